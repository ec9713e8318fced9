package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestThePersistenceTableIsPagedAndChosen(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	for i := range 250 {
		r.engine.entries = append(r.engine.entries, appliance.PersistenceEntry{
			ServiceID: r.id("HL7"), ServerID: r.id("HL7", "Corepoint1"), Kind: "address", Key: fmt.Sprintf("10.0.%d.%d", i/100, i%100), Age: time.Minute, Remaining: time.Minute,
		})
	}
	_, _, body := r.get(r.client, persistencePath)
	if strings.Count(body, `value="one"`) != 100 || !strings.Contains(body, "1–100 of 250") || !strings.Contains(body, "from=100") || !strings.Contains(body, "Clear all 250 entries") {
		t.Errorf("first page: %s", body)
	}
	_, _, body = r.get(r.client, persistencePath+"?from=200&sort=key&dir=desc")
	if strings.Count(body, `value="one"`) != 50 || !strings.Contains(body, "201–250 of 250") || !strings.Contains(body, `aria-sort="descending"`) {
		t.Errorf("last page: %s", body)
	}
	_, _, body = r.get(r.client, persistencePath+"?q=10.0.2.&service="+r.id("HL7"))
	if strings.Count(body, `value="one"`) != 50 || !strings.Contains(body, "Clear these 50 entries") || !strings.Contains(body, ">Corepoint2</option>") {
		t.Errorf("chosen: %s", body)
	}
	if _, _, body = r.get(r.client, persistencePath+"?export=csv"); strings.Count(body, "\r\n") != 251 {
		t.Error("the export is not whole")
	}
	if status, _, _ := r.get(r.client, persistencePath+"?service=nothing"); status != http.StatusNotFound {
		t.Error(status)
	}
}

func TestEntriesAreClearedOneOrAllThatAreShown(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	for i, service := range []string{"HL7", "HL7", "HL7", "DMWL"} {
		r.engine.entries = append(r.engine.entries, appliance.PersistenceEntry{ServiceID: r.id(service), ServerID: r.serverOf(service, i%2), Key: fmt.Sprintf("10.0.0.%d", i)})
	}
	for _, c := range []struct {
		form   []string
		status int
		left   int
	}{
		{[]string{"do", "one", "service", r.id("HL7")}, http.StatusUnprocessableEntity, 4},
		{[]string{"do", "all", "service", "nothing"}, http.StatusNotFound, 4},
		{[]string{"do", "one", "service", r.id("HL7"), "key", "10.0.0.1"}, http.StatusSeeOther, 3},
		{[]string{"do", "all", "service", r.id("HL7"), "server", r.id("HL7", "Corepoint2")}, http.StatusSeeOther, 3},
		{[]string{"do", "all", "service", r.id("HL7")}, http.StatusSeeOther, 1},
		{[]string{"do", "all"}, http.StatusSeeOther, 0},
	} {
		status, h, body := r.post(r.client, persistencePath, c.form...)
		if status != c.status || len(r.engine.entries) != c.left {
			t.Errorf("%v: %d, %d left: %s", c.form, status, len(r.engine.entries), body)
		}
		if to, err := url.Parse(h.Get("Location")); status == http.StatusSeeOther && (err != nil || to.Path != persistencePath) {
			t.Errorf("%v: to %s", c.form, h.Get("Location"))
		}
	}
	if _, _, body := r.get(r.client, auditPath); !strings.Contains(body, "persistence clear") {
		t.Error("nothing in the audit")
	}
	viola := r.operator("viola", appliance.Viewer)
	if status, _, _ := r.post(viola, persistencePath, "do", "all"); status != http.StatusForbidden {
		t.Errorf("a viewer: %d", status)
	}
}
