package model

import (
	"time"

	"evenkeel/appliance/ha/role"
)

// Result is how a run went.
type Result struct {
	Broken  string // the first invariant that broke, and when; empty: none
	Changes int    // of owner
	Records map[role.Code]int
}

// Run follows one schedule. The trace may be nil.
func Run(s Schedule, step Stepper, trace func(at time.Duration, node int, r role.Record)) Result {
	w := newSim(s, step)
	w.trace = trace
	w.watch.records = map[role.Code]int{}
	w.run(s.Length)
	return Result{Broken: w.watch.broken, Changes: w.watch.changes, Records: w.watch.records}
}
