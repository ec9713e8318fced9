package appliance

import "time"

// Observe is how live traffic takes a server down: so many failures within the window. Failures are connections that cannot be made, answers with one of the codes, and
// answers that do not come. The check of the service brings the server back.
type Observe struct {
	Failures int      `json:"failures"` // 0: off
	Codes    string   `json:"codes"`    // of answers in HTTP Mode: a list or ranges
	Window   Duration `json:"window"`
}

func newObserve() Observe { return Observe{Codes: "500-599", Window: Duration(10 * time.Second)} }

// maxObserved bounds Observe.Failures: so many times are remembered for each server.
const maxObserved = 1000

func (v *validation) observe(m *Monitor) {
	o := &m.Observe
	v.between("check.observe.failures", o.Failures, 0, maxObserved)
	v.lasts("check.observe.window", o.Window, 100*time.Millisecond, time.Hour)
	if codes, err := ParsePorts(o.Codes); err != nil || codes.Count() == 0 || codes[0].First < 100 || codes[len(codes)-1].Last > 599 {
		v.refuse("check.observe.codes", "Write codes from 100 to 599: 500 or 500,503 or 500-599.")
	}
	if o.Failures > 0 && m.Kind == MonitorNone {
		v.refuse("check.observe.failures", "Choose a check first: without one nothing would bring the server back.")
	}
}
