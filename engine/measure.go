package engine

import (
	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

// Measure returns what was counted of every running service, each followed by its servers.
func (e *Engine) Measure() []stats.Measure {
	var out []stats.Measure
	for _, s := range e.view.Load().services {
		status := e.serviceStatus(s)
		m := stats.Measure{Service: s.id, Sums: sums(s.shards, func(s *shard) *stats.Traffic { return &s.traffic }), Up: serves(status.Health)}
		for _, shard := range s.shards {
			m.Counters = stats.Sum(m.Counters, stats.Load(&shard.counters))
		}
		now := s.running.Load()
		if now.config.PoolOnly { // its clients are those of its servers
			for _, r := range now.servers {
				m.Counters = stats.Sum(m.Counters, countersOf(r))
				for _, n := range r.seats {
					n.traffic.AddTo(&m.Sums)
				}
			}
		}
		out = append(out, m)
		for i, r := range now.servers {
			one := stats.Measure{Service: s.id, Server: r.id, Sums: sums(r.seats, func(n *seat) *stats.Traffic { return &n.traffic }), Up: -1}
			if i < len(status.Servers) && status.Servers[i].ID == r.id {
				one.Up = seen(status.Servers[i].Check.Health)
			}
			one.Counters = countersOf(r)
			out = append(out, one)
		}
	}
	return out
}

func countersOf(r *server) (sum wire.Counters) {
	for _, n := range r.seats {
		sum = stats.Sum(sum, stats.Load(&n.Counters))
	}
	return sum
}

// serves tells whether real servers serve.
func serves(h appliance.ServiceHealth) float32 {
	switch h {
	case appliance.ServiceUp, appliance.ServiceDegraded:
		return 1
	case appliance.ServiceUnknown:
		return -1
	}
	return 0
}

func seen(h appliance.Health) float32 {
	switch h {
	case appliance.Up:
		return 1
	case appliance.Down:
		return 0
	}
	return -1
}
