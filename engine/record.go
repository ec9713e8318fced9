package engine

import (
	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/traffic"
	"evenkeel/engine/wire"
)

var _ wire.Recorder = (*shard)(nil)

// NewID implements wire.Recorder.
func (s *shard) NewID() uint64 { return s.lane.traffic.NewID() }

// AppendID implements wire.Recorder.
func (s *shard) AppendID(dst []byte, id uint64) []byte { return s.lane.traffic.AppendID(dst, id) }

// Lines implements wire.Recorder.
func (s *shard) Lines() bool { return s.config.Log != appliance.LogOff }

// Blank implements wire.Recorder.
func (s *shard) Blank() *wire.Record { return s.lane.traffic.Blank() }

// Record implements wire.Recorder: it counts what is over, for the service and for the server, and writes its line when the service wants that.
func (s *shard) Record(r *wire.Record) {
	s.traffic.Add(r)
	if r.Server != nil {
		if seat, ok := r.Server.Owner.(*seat); ok {
			seat.traffic.Add(r)
		}
	}
	switch {
	case s.config.Log == appliance.LogOff:
	case s.config.Log == appliance.LogErrors && r.End.Good() && r.Status < 500:
	default:
		s.lane.traffic.Write(s.config.Label, s.lane.loop.Wall(r.Ended), r)
	}
}

// TrafficLog returns what is kept of the traffic log.
func (e *Engine) TrafficLog() *traffic.Log { return e.traffic }

// sums adds up what the loops have counted of a service or a server.
func sums[T any](list []T, of func(T) *stats.Traffic) stats.Sums {
	var out stats.Sums
	for _, v := range list {
		of(v).AddTo(&out)
	}
	return out
}
