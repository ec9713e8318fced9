package main

import (
	"io"
	"path/filepath"

	"evenkeel/appliance"
	"evenkeel/engine/history"
	"evenkeel/engine/rings"
	"evenkeel/engine/stats"
	"evenkeel/engine/traffic"
	"evenkeel/engine/wire"
)

// newRings returns the statistics over time, in a file of the data folder.
func (a *instance) newRings() *rings.Rings {
	return rings.New(rings.Options{
		Path: filepath.Join(a.options.dir, "statistics.rings"), Source: a.measures, Log: a.options.log,
		Alert: func(alert appliance.Alert) { a.control.Raise(alert) }, Clear: func(code string) { a.control.Clear(code) },
	})
}

// measures are what the engine has counted, and how busy the machine is.
func (a *instance) measures() []stats.Measure {
	out := a.engine.Measure()
	if m, known := a.ui.MachineSeen(); known {
		out = append(out, stats.Measure{Service: appliance.MachineSeries, Counters: wire.Counters{Open: int64(1e6 * m.CPU)}, Up: -1})
	}
	return out
}

// newHistory returns the history of health changes, in a file beside that of the statistics.
func (a *instance) newHistory() *history.History {
	return history.New(history.Options{
		Path: filepath.Join(a.options.dir, "statistics.changes"), Source: a.engine.Status, Log: a.options.log,
		Watch: func() (<-chan struct{}, func()) { return a.control.Watch() },
		Alert: func(alert appliance.Alert) { a.control.Raise(alert) }, Clear: func(code string) { a.control.Clear(code) },
	})
}

// trafficLines gives the pages the traffic log in their own words.
type trafficLines struct{ log *traffic.Log }

// liveSearch is how much of the log a live page looks at, each second.
const liveSearch = 1 << 20

// Last returns the newest lines that are wanted.
func (t trafficLines) Last(service, contains string, limit int, deep bool) ([]string, bool, error) {
	f := traffic.Filter{Service: service, Contains: contains}
	if !deep {
		f.Newest = liveSearch
	}
	return t.log.Last(f, limit)
}

// WriteTo writes every line that is wanted.
func (t trafficLines) WriteTo(w io.Writer, service, contains string) error {
	return t.log.WriteTo(w, traffic.Filter{Service: service, Contains: contains})
}
