package appliance

import "time"

// Point is what was counted of a service or a real server in one stretch of time. Rates are per second.
type Point struct {
	At          time.Time     `json:"at"`          // begin of the stretch
	Connections float64       `json:"connections"` // open, on average
	Opened      float64       `json:"opened"`      // connections per second
	Requests    float64       `json:"requests"`    // per second
	BytesIn     float64       `json:"bytes_in"`    // per second
	BytesOut    float64       `json:"bytes_out"`   // per second
	Errors      float64       `json:"errors"`      // requests and sessions that did not end well, per second
	P50         time.Duration `json:"p50_ns"`      // half of the answers began within it; 0: there was none
	P99         time.Duration `json:"p99_ns"`      // 99 of 100 answers began within it; 0: there was none
	Up          float64       `json:"up"`          // share of the time in which it served; -1: not known
}

// MachineSeries is under which name, instead of a service's id, the statistics keep what the machine did: Connections is the busy share of its cores, in millionths.
const MachineSeries = "0-machine"

// Period is how far back statistics are shown.
type Period string

// The periods.
const (
	LastHour  Period = "hour"
	LastDay   Period = "day"
	LastWeek  Period = "week"
	LastMonth Period = "month"
	LastYear  Period = "year"
)

// Periods lists them, the shortest first.
func Periods() []Period { return []Period{LastHour, LastDay, LastWeek, LastMonth, LastYear} }

// Length returns how long a period is; 0 for none of them.
func (p Period) Length() time.Duration {
	const day = 24 * time.Hour
	return map[Period]time.Duration{LastHour: time.Hour, LastDay: day, LastWeek: 7 * day, LastMonth: 30 * day, LastYear: 365 * day}[p]
}

// Step returns how long the stretches of a period are.
func (p Period) Step() time.Duration {
	return map[Period]time.Duration{LastHour: 10 * time.Second, LastDay: time.Minute, LastWeek: 10 * time.Minute, LastMonth: 10 * time.Minute, LastYear: 2 * time.Hour}[p]
}
