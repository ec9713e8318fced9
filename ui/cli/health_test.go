package cli

import (
	"testing"
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

func TestTimesHaveNoEmptyParts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 10 * time.Minute: "10m", 90 * time.Second: "1m30s", 2 * time.Hour: "2h", 10 * time.Hour: "10h", 125 * time.Minute: "2h5m", 3605 * time.Second: "1h0m5s",
	} {
		if got := lasted(d); got != want {
			t.Errorf("%v is written as %s, not %s", time.Duration(d), got, want)
		}
	}
}
