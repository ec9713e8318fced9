package appliance

import (
	"math"
	"time"
)

// HealthEvent is one change of what is seen of a service or a real server, or of what an operator wants of a server.
type HealthEvent struct {
	ID        int64     `json:"id"` // grows with each event
	At        time.Time `json:"at"`
	ServiceID string    `json:"virtual_service"`
	Service   string    `json:"virtual_service_label"` // as it was called then
	ServerID  string    `json:"real_server,omitempty"` // empty: the service as a whole
	Server    string    `json:"real_server_label,omitempty"`
	// State is what it became: up or down, or what an operator did: online, drain or halt; of a service one of its states.
	State    string `json:"state"`
	Sentence string `json:"sentence"`
}

// HealthQuery chooses events; what is zero chooses everything.
type HealthQuery struct {
	Service string // id
	Server  string // id
	Whole   bool   // only services as a whole
	Text    string // is a part of a label or of the sentence, in whatever case
	Since   time.Time
	Offset  int
	Limit   int // 0: 1000
}

// HealthList is a part of the events that were asked for, the newest first.
type HealthList struct {
	Events []HealthEvent
	Total  int // how many there are
}

// Outage is a time in which no real server of a service served its clients.
type Outage struct {
	ServiceID string        `json:"virtual_service"`
	Service   string        `json:"virtual_service_label"`
	From      time.Time     `json:"from"`
	To        time.Time     `json:"to,omitzero"` // zero: it goes on
	Lasted    time.Duration `json:"lasted_ns"`   // until To or now
	State     string        `json:"state"`       // that it began with: down, fallback or drained
	Sentence  string        `json:"sentence"`    // why it began
}

// Within returns how much of an outage lies in a stretch of time.
func (o *Outage) Within(from, to time.Time) time.Duration {
	end := to
	if !o.To.IsZero() && o.To.Before(to) {
		end = o.To
	}
	if o.From.After(from) {
		from = o.From
	}
	return max(end.Sub(from), 0)
}

// Availability is how much of a period a service was served by its real servers.
type Availability struct {
	ServiceID string        `json:"virtual_service"`
	Service   string        `json:"virtual_service_label"`
	Period    Period        `json:"period"`
	Known     time.Duration `json:"known_ns"` // of the period; what is not known counts neither way
	Down      time.Duration `json:"down_ns"`
	Longest   time.Duration `json:"longest_ns"` // of the outages
	Percent   float64       `json:"percent"`    // up, of what is known; -1: nothing is
	Outages   []Outage      `json:"outages"`    // the newest first
}

// AvailabilityOf computes the availability over the period that ends now: known is told by the points of the statistics, down by the outages, oldest first.
func AvailabilityOf(period Period, points []Point, outages []Outage, now time.Time) Availability {
	a := Availability{Period: period, Percent: -1, Outages: []Outage{}}
	from := now.Add(-period.Length())
	for _, p := range points {
		if p.Up >= 0 {
			a.Known += period.Step()
		}
	}
	a.Known = min(a.Known, period.Length())
	for i := len(outages) - 1; i >= 0; i-- {
		lasted := outages[i].Within(from, now)
		if lasted == 0 && !outages[i].To.IsZero() {
			continue
		}
		a.Outages = append(a.Outages, outages[i])
		a.Down += lasted
		a.Longest = max(a.Longest, lasted)
	}
	if a.Known = max(a.Known, a.Down); a.Known > 0 {
		a.Percent = math.Floor(1e7*(1-a.Down.Seconds()/a.Known.Seconds())) / 1e5 // never up to all of it
	}
	return a
}
