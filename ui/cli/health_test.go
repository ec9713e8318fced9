package cli

import (
	"time"

	"evenkeel/appliance"
)

// memory is a history and statistics of the first service.
type memory struct{}

func (memory) Changes(q appliance.HealthQuery) (appliance.HealthList, error) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	return appliance.HealthList{Total: 9, Events: []appliance.HealthEvent{{ID: 2, At: at, ServiceID: "id1", Service: "HL7", ServerID: "id2", Server: "Corepoint1", State: "down", Sentence: "Connection refused.\x1b[31m" + q.Text}}}, nil
}

func (memory) Outages(string, time.Time) ([]appliance.Outage, error) {
	now := time.Now()
	return []appliance.Outage{{ServiceID: "id1", Service: "HL7", From: now.Add(-6 * time.Minute), Lasted: 6 * time.Minute, State: "down", Sentence: "All are down."}}, nil
}

func (memory) Points(_, _ string, period appliance.Period) (out []appliance.Point, kept bool, err error) {
	for range period.Length() / period.Step() {
		out = append(out, appliance.Point{Up: 1})
	}
	return out, true, nil
}
