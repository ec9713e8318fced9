package engine

import (
	"context"
	"net/netip"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

// Status returns a copy of what is observed of the running services, in the order of the configuration.
func (e *Engine) Status() appliance.Status {
	v := e.view.Load()
	out := appliance.Status{At: time.Now(), Driver: e.Driver(), Services: make([]appliance.ServiceStatus, 0, len(v.services))}
	for _, s := range v.services {
		out.Services = append(out.Services, e.serviceStatus(s))
	}
	return out
}

// Driver names by what the loops move bytes: epoll or io_uring; empty before Run.
func (e *Engine) Driver() string {
	select {
	case <-e.started:
		return string(e.lanes[0].loop.Driver())
	default:
		return ""
	}
}

func (e *Engine) serviceStatus(s *service) appliance.ServiceStatus {
	now := s.running.Load()
	var sum wire.Counters
	for _, shard := range s.shards {
		sum = stats.Sum(sum, stats.Load(&shard.counters))
	}
	out := appliance.ServiceStatus{
		ID: s.id, Label: now.config.Label, Connections: int(sum.Open), Total: sum.Total, Requests: sum.Requests, Refused: sum.Refused,
		BytesIn: sum.BytesIn, BytesOut: sum.BytesOut, Servers: make([]appliance.ServerStatus, len(now.servers)),
	}
	var clients map[string]int
	if now.table != nil {
		clients = now.table.CountByServer(e.now())
	}
	for i, r := range now.servers {
		out.Servers[i] = e.serverStatus(r, &now.config.RealServers[i])
		out.Servers[i].PersistenceEntries = clients[r.id]
	}
	if now.config.PoolOnly {
		sumUp(&out)
	}
	out.Health, out.Sentence = judge(now.config, out.Servers)
	if out.Waiting = int(s.queue.Waiting()); out.Waiting > 0 {
		out.Sentence += " " + waiting(out.Waiting)
	}
	return out
}

// sumUp shows of a pool, which has no clients of its own, what its servers have.
func sumUp(out *appliance.ServiceStatus) {
	for i := range out.Servers {
		r := &out.Servers[i]
		out.Connections, out.Total = out.Connections+r.Connections, out.Total+r.Total
		out.BytesIn, out.BytesOut = out.BytesIn+r.BytesIn, out.BytesOut+r.BytesOut
	}
}

func (e *Engine) serverStatus(r *server, c *appliance.RealServer) appliance.ServerStatus {
	var sum wire.Counters
	out := appliance.ServerStatus{ID: r.id, Label: c.Label, State: c.State, Weight: c.Weight, Check: e.monitor.Health(r.id)}
	for i, n := range r.seats {
		sum = stats.Sum(sum, stats.Load(&n.Counters))
		if t := n.ages.Oldest(); t != 0 {
			if began := e.lanes[i].loop.Wall(t); out.Oldest.IsZero() || began.Before(out.Oldest) {
				out.Oldest = began
			}
		}
	}
	r.naming.Load().tell(string(c.Address), &out)
	e.tellAgent(r, &out)
	out.Connections, out.Total, out.BytesIn, out.BytesOut = int(sum.Open), sum.Total, sum.BytesIn, sum.BytesOut
	return out
}

// Test probes a server once as service says, whether or not either is saved, and returns the result with a transcript for people. No health changes.
func (e *Engine) Test(ctx context.Context, service appliance.VirtualService, server appliance.RealServer) (appliance.Probe, string, error) {
	e.mu.Lock()
	scripts := e.scripts
	e.mu.Unlock()
	at := func(ctx context.Context) (netip.Addr, error) { return e.lookUp(ctx, &service, &server) }
	probe, transcript := e.monitor.Test(ctx, service, server, scripts, at)
	if err := ctx.Err(); err != nil && !probe.Good {
		return probe, transcript, &appliance.Error{Kind: appliance.Unavailable, Op: "test server", Subject: server.ID, Message: "The test was broken off.", Err: err}
	}
	return probe, transcript, nil
}
