package main

import (
	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
	"evenkeel/ui/metrics"
)

// samples gives /metrics what the engine has counted, under the labels of the running configuration.
func (a *instance) samples() []metrics.Sample {
	status := a.engine.Status()
	measures := a.engine.Measure()
	out := make([]metrics.Sample, 0, len(measures))
	for i := range measures {
		m := &measures[i]
		s, ok := status.Service(m.Service)
		if !ok {
			continue
		}
		sample := sampleOf(m)
		sample.Service, sample.Waiting = s.Label, s.Waiting
		if m.Server != "" {
			r, ok := s.Server(m.Server)
			if !ok {
				continue
			}
			sample.Server, sample.Weight, sample.Remembered = r.Label, r.Weight, r.PersistenceEntries
		}
		out = append(out, sample)
	}
	return out
}

func sampleOf(m *stats.Measure) metrics.Sample {
	out := metrics.Sample{
		Connections: m.Open, Total: m.Total, Requests: m.Requests, Refused: m.Refused, Retries: m.Retries, BytesIn: m.BytesIn, BytesOut: m.BytesOut,
		Codes: m.Codes, Failures: map[string]uint64{}, Up: m.Up > 0,
	}
	for i, n := range m.Ends {
		if end := wire.End(i); !end.Good() && end != wire.EndUnknown {
			out.Failures[end.String()] = n
		}
	}
	out.Latency = metrics.Latency{Below: map[float64]uint64{}, Count: m.Latency.Total(), Sum: appliance.Duration(m.Latency.Sum).D()}
	for _, bound := range stats.Bounds() {
		out.Latency.Below[bound.Seconds()] = m.Latency.Within(bound)
	}
	return out
}
