package view

import (
	"fmt"
	"math"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// Availability is how much of a period each service was served.
type Availability struct {
	Service  string // id; empty: all
	Services []form.Option
	Periods  []Tab
	Period   string
	Rows     []AvailabilityRow
	Outages  []OutageRow
	Empty    string
}

// AvailabilityRow is one service.
type AvailabilityRow struct {
	appliance.Availability
	Path string // of its outages
}

// OutageRow is one outage.
type OutageRow struct {
	appliance.Outage
	Path string // of the changes around it
}

// HealthChanges is the history of changes.
type HealthChanges struct {
	Bar   ReportBar
	Rows  []HealthRow
	Pager Pager
}

// HealthRow is one change.
type HealthRow struct {
	appliance.HealthEvent
	Path string // of the service or server; empty: it is gone
}

// Percent says how much of the time a service was up; it never rounds up to all of it.
func Percent(p float64) string {
	switch {
	case p < 0:
		return "not known"
	case p >= 100:
		return "100 %"
	}
	return fmt.Sprintf("%.3f %%", math.Floor(p*1000)/1000)
}

// Lasted says how long something lasted, to the second within an hour.
func Lasted(d time.Duration) string {
	if d < time.Minute || d >= time.Hour {
		return Span(d)
	}
	if s := int(d.Seconds()) % 60; s > 0 {
		return fmt.Sprintf("%s %d s", Span(d), s)
	}
	return Span(d)
}

func availabilityState(a appliance.Availability) State {
	switch {
	case a.Percent < 0:
		return State{"unknown", "Not known"}
	case len(a.Outages) > 0 && a.Outages[0].To.IsZero():
		return ServiceState(appliance.ServiceHealth(a.Outages[0].State))
	case a.Down > 0:
		return State{"degraded", "Outages"}
	}
	return State{"up", "Up"}
}

// knownShare says how much of a period is known, when that is not nearly all of it.
func knownShare(a appliance.Availability) string {
	switch length := a.Period.Length(); {
	case a.Known == 0:
		return "nothing"
	case a.Known >= length-length/50:
		return "all of it"
	}
	return Span(a.Known)
}

// eventState is how what a service or server became is shown.
func eventState(e appliance.HealthEvent) State {
	switch e.State {
	case string(appliance.Drain):
		return State{"drain", "Drained"}
	case string(appliance.Halt):
		return State{"halt", "Halted"}
	case string(appliance.Online):
		return State{"up", "Online"}
	case "removed":
		return State{"unknown", "Removed"}
	}
	if e.ServerID != "" {
		return healthState(appliance.Health(e.State))
	}
	return ServiceState(appliance.ServiceHealth(e.State))
}
