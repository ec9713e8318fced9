package api

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

// memory is a history and statistics of one service.
type memory struct{ service string }

func (m memory) Changes(q appliance.HealthQuery) (appliance.HealthList, error) {
	e := appliance.HealthEvent{ID: 1, At: time.Now(), ServiceID: m.service, Service: "HL7", State: "down", Sentence: "It is down."}
	if q.Text != "" || q.Service != "" && q.Service != m.service {
		return appliance.HealthList{}, nil
	}
	return appliance.HealthList{Events: []appliance.HealthEvent{e}, Total: 3}, nil
}

func (m memory) Outages(service string, from time.Time) ([]appliance.Outage, error) {
	return []appliance.Outage{{ServiceID: m.service, Service: "HL7", From: time.Now().Add(-6 * time.Minute), To: time.Now(), Lasted: 6 * time.Minute, State: "down"}}, nil
}

func (m memory) Points(service, server string, period appliance.Period) (out []appliance.Point, kept bool, err error) {
	for range period.Length() / period.Step() {
		out = append(out, appliance.Point{Up: 1})
	}
	return out, true, nil
}

func TestAvailabilityAndHealthChanges(t *testing.T) {
	p := newPlace(t)
	if got := read[[]appliance.Availability](t, p.must(200, "GET", "/availability", "")); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := read[[]appliance.HealthEvent](t, p.must(200, "GET", "/health-changes", "")); got == nil || len(got) != 0 {
		t.Errorf("%+v", got)
	}
	s := p.service(hl7)
	p.must(200, "POST", "/apply", "")
	p.api.History, p.api.Statistics = memory{s.ID}, memory{s.ID}
	got := read[[]appliance.Availability](t, p.must(200, "GET", "/availability?period=hour&service="+s.ID, ""))
	if len(got) != 1 || got[0].Percent < 89.9 || got[0].Percent > 90.1 || len(got[0].Outages) != 1 || got[0].Known != time.Hour {
		t.Errorf("%+v", got)
	}
	p.must(422, "GET", "/availability?period=decade", "")
	p.must(404, "GET", "/availability?service=none", "")
	a := p.must(200, "GET", "/health-changes?limit=1", "")
	if list := read[[]appliance.HealthEvent](t, a); len(list) != 1 || list[0].Sentence != "It is down." || a.header.Get("Total-Count") != "3" {
		t.Errorf("%+v, %v", list, a.header)
	}
	if list := read[[]appliance.HealthEvent](t, p.must(200, "GET", "/health-changes?text=x", "")); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
