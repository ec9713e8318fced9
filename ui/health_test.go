package ui

import (
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// years is a history: HL7 fell over twice, and is down; VNA_DICOM was drained once.
type years struct{ r *rig }

func (y *years) events() []appliance.HealthEvent {
	now, hl7, vna := time.Now().UTC().Truncate(time.Second), y.r.id("HL7"), y.r.id("VNA_DICOM")
	return []appliance.HealthEvent{
		{ID: 1, At: now.Add(-8 * 24 * time.Hour), ServiceID: hl7, Service: "HL7", ServerID: y.r.id("HL7", "Corepoint1"), Server: "Corepoint1", State: "up", Sentence: "Connected in 1 ms."},
		{ID: 2, At: now.Add(-8 * 24 * time.Hour), ServiceID: hl7, Service: "HL7", State: "up", Sentence: "All 2 real servers are up."},
		{ID: 3, At: now.Add(-50 * time.Hour), ServiceID: vna, Service: "VNA_DICOM", ServerID: y.r.id("VNA_DICOM", "VNA2"), Server: "VNA2", State: "drain", Sentence: "Drained by an operator: no new clients."},
		{ID: 4, At: now.Add(-26 * time.Hour), ServiceID: hl7, Service: "HL7", ServerID: "gone", Server: "Corepoint0", State: "down", Sentence: "Connection refused on port 6667. The machine answers, the service <does> not."},
		{ID: 5, At: now.Add(-26 * time.Hour), ServiceID: hl7, Service: "HL7", State: "down", Sentence: "All 2 real servers that are online are down; new clients are turned away."},
		{ID: 6, At: now.Add(-25 * time.Hour), ServiceID: hl7, Service: "HL7", State: "degraded", Sentence: "Corepoint0 is down; 1 other serves."},
		{ID: 7, At: now.Add(-130 * time.Second), ServiceID: hl7, Service: "HL7", State: "fallback", Sentence: "All 2 real servers that are online are down; new clients get the fallback."},
	}
}

func (y *years) Changes(q appliance.HealthQuery) (appliance.HealthList, error) {
	list := slices.DeleteFunc(y.events(), func(e appliance.HealthEvent) bool {
		return q.Service != "" && e.ServiceID != q.Service || q.Server != "" && e.ServerID != q.Server || !strings.Contains(e.Service+e.Server+e.Sentence, q.Text)
	})
	slices.Reverse(list)
	return appliance.HealthList{Events: list[min(q.Offset, len(list)):], Total: len(list)}, nil
}

func (y *years) Outages(service string, from time.Time) ([]appliance.Outage, error) {
	e, hl7 := y.events(), y.r.id("HL7")
	list := []appliance.Outage{
		{ServiceID: hl7, Service: "HL7", From: e[4].At, To: e[5].At, Lasted: time.Hour, State: "down", Sentence: e[4].Sentence},
		{ServiceID: hl7, Service: "HL7", From: e[6].At, Lasted: 130 * time.Second, State: "fallback", Sentence: e[6].Sentence},
	}
	return slices.DeleteFunc(list, func(o appliance.Outage) bool {
		return service != "" && o.ServiceID != service || !o.To.IsZero() && o.To.Before(from)
	}), nil
}

// newKept is a rig with a history and statistics.
func newKept(t *testing.T) *rig {
	t.Helper()
	y := &years{}
	y.r = newRig(t, rigOptions{setUp: true, statistics: waves{}, history: y})
	y.r.fill()
	return y.r
}

func TestAvailabilityIsToldWithItsOutages(t *testing.T) {
	bare := newRig(t, rigOptions{setUp: true})
	if _, _, body := bare.get(bare.client, availabilityPath); !strings.Contains(body, "Nothing is kept over time") {
		t.Errorf("%s", body)
	}
	r := newKept(t)
	for query, want := range map[string]struct {
		outages  int
		contains string
	}{
		"?period=week": {2, "99.35"}, "?period=hour": {1, "<b>96."}, "": {2, "1 h"}, "?service=" + r.id("DMWL"): {0, "There was none in this time"},
	} {
		status, _, body := r.get(r.client, availabilityPath+query)
		if status != http.StatusOK || strings.Count(body, ">HL7</a></td>") != want.outages || !strings.Contains(html.UnescapeString(body), want.contains) {
			t.Errorf("%s: %d, %d outages, no %q in %s", query, status, strings.Count(body, ">HL7</a></td>"), want.contains, body)
		}
	}
	if _, _, body := r.get(r.client, availabilityPath+"?export=csv&list=outages"); strings.Count(body, "\r\n") != 3 || !strings.Contains(body, "fallback") {
		t.Errorf("%s", body)
	}
	if _, _, body := r.get(r.client, availabilityPath+"?export=csv&list=services&service="+r.id("HL7")); strings.Count(body, "\r\n") != 2 || !strings.Contains(body, "HL7,month,") {
		t.Errorf("%s", body)
	}
	if status, _, _ := r.get(r.client, availabilityPath+"?service=nothing"); status != http.StatusNotFound {
		t.Error(status)
	}
}

func TestHealthChangesAreSearched(t *testing.T) {
	bare := newRig(t, rigOptions{setUp: true})
	if _, _, body := bare.get(bare.client, healthChangesPath); !strings.Contains(body, "Nothing has changed") {
		t.Errorf("%s", body)
	}
	r := newKept(t)
	_, _, body := r.get(r.client, healthChangesPath)
	for _, want := range []string{"7 changes", "the service &lt;does&gt; not", serverPath(r.id("HL7"), r.id("HL7", "Corepoint1")), "Corepoint0", "Drained by an operator"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "/servers/gone") {
		t.Error("a link to a server that is gone")
	}
	if _, _, body = r.get(r.client, healthChangesPath+"?q=refused&service="+r.id("HL7")); !strings.Contains(body, "1 change<") {
		t.Errorf("%s", body)
	}
	if _, _, body = r.get(r.client, healthChangesPath+"?export=json"); strings.Count(body, `"state"`) != 7 {
		t.Errorf("%s", body)
	}
}
