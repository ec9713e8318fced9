package engine

import "evenkeel/engine/persist/mirror"

// Tables returns the persistence tables of the running services, for a copy of them on another machine. Their clock is Clock's.
func (e *Engine) Tables() []mirror.Table {
	var out []mirror.Table
	for _, s := range e.view.Load().services {
		if t := s.running.Load().table; t != nil {
			out = append(out, mirror.Table{Service: s.id, Table: t})
		}
	}
	return out
}

// Clock is that of the tables' times, in nanoseconds since the engine was made.
func (e *Engine) Clock() int64 { return e.now() }
