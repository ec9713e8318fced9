package ui

import (
	"fmt"
	"net/http"
	"net/netip"
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

func TestConnectionsAreListedAndOneIsClosed(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	for i := range 130 {
		r.engine.open = append(r.engine.open, appliance.Connection{
			ID: fmt.Sprintf("0-1%08x", i), Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 50000), ServiceID: r.id("HL7"), ServerID: r.id("HL7", "Corepoint1"),
			Protocol: appliance.TCP, TLS: i == 0, State: "open", Age: time.Minute,
		})
	}
	r.engine.open[129].ServerID, r.engine.open[129].State = "fallback", "=1+1<b>"
	_, _, body := r.get(r.client, connectionsPath)
	if strings.Count(body, `value="close"`) != 100 || !strings.Contains(body, "130 connections") || !strings.Contains(body, "TCP Mode, TLS") || !strings.Contains(body, "from=100") {
		t.Errorf("first page: %s", body)
	}
	_, _, body = r.get(r.client, connectionsPath+"?from=100&service="+r.id("HL7")+"&q=10.0.0.")
	if strings.Count(body, `value="close"`) != 30 || !strings.Contains(body, "=1+1&lt;b&gt;") || !strings.Contains(body, "fallback") {
		t.Errorf("last page: %s", body)
	}
	if _, _, body = r.get(r.client, connectionsPath+"?export=csv"); strings.Count(body, "\r\n") != 131 || !strings.Contains(body, "'=1+1") {
		t.Error("the export is not whole, or holds a formula")
	}
	status, h, _ := r.post(r.client, connectionsPath, "id", "0-100000007", "client", "10.0.0.7:50000", "back", connectionsPath+"?q=10")
	if status != http.StatusSeeOther || h.Get("Location") != connectionsPath+"?q=10" || len(r.engine.open) != 129 {
		t.Errorf("%d %v, %d left", status, h, len(r.engine.open))
	}
	if status, _, _ = r.post(r.client, connectionsPath, "id", "0-100000007"); status != http.StatusNotFound {
		t.Errorf("twice: %d", status)
	}
	if _, _, body := r.get(r.client, auditPath); !strings.Contains(body, "connection close") || !strings.Contains(body, "10.0.0.7:50000") {
		t.Error("nothing in the audit")
	}
	viola := r.operator("viola", appliance.Viewer)
	if status, _, _ := r.post(viola, connectionsPath, "id", "0-100000008"); status != http.StatusForbidden || len(r.engine.open) != 129 {
		t.Errorf("a viewer: %d", status)
	}
	if _, _, body := r.get(viola, connectionsPath); strings.Contains(body, `value="close"`) {
		t.Error("a viewer gets buttons")
	}
}

func TestTheLayer7StatusIsLive(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	r.engine.see(r.id("HL7", "Corepoint2"), func(s *appliance.ServerStatus) {
		s.Check.Health, s.Check.Sentence, s.BytesIn = appliance.Down, "Connection <refused>.", 5<<20
	})
	_, _, body := r.get(r.client, layer7StatusPath)
	for _, want := range []string{"Connection &lt;refused&gt;.", "5.0 MB", "VNA_DICOM", "Corepoint1", `data-live="layer7"`, "on=layer7"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if _, _, body = r.get(r.client, layer7StatusPath+"?q=dmwl"); strings.Contains(body, "Corepoint1") || !strings.Contains(body, "DMWL") {
		t.Errorf("chosen: %s", body)
	}
}
