package ui

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// parted is a node whose pair the other one broke.
func parted() appliance.PairEnd {
	return appliance.PairEnd{At: time.Date(2026, 11, 21, 22, 10, 0, 0, time.UTC), By: "lb1"}
}

// TestNodeWhosePairTheOtherBrokeSaysSoUntilItIsDismissed: on every page, and only an administrator is offered to take it back.
func TestNodeWhosePairTheOtherBrokeSaysSoUntilItIsDismissed(t *testing.T) {
	r, f := beside(t, alone())
	r.control.Raise(parted().Alert())
	const says, button = "lb1 broke the pair on 21 November 2026 at 22:10 UTC: lb1 keeps the virtual services, and this node has given up its own and is alone.", `action="/lbadmin/pair/dismiss"`
	viewer := r.operator("viola", appliance.Viewer)
	for _, path := range []string{"/lbadmin/", layer7, pairPath} {
		_, _, body := r.get(r.client, path)
		r.has(body, says, "Add this node to a pair again on lb1", button)
		_, _, body = r.get(viewer, path)
		r.has(body, says, "!"+button)
	}
	if status, _, _ := r.post(viewer, pairPath+"/dismiss"); status != http.StatusForbidden {
		t.Errorf("a viewer dismissed it: %d", status)
	}
	r.post(r.client, pairPath+"/dismiss")
	if !slices.ContainsFunc(f.was(), func(s string) bool { return strings.HasSuffix(s, ": dismiss") }) {
		t.Errorf("%q", f.was())
	}
}

// TestNodesThatAreReconnectingDoNotDiffer: on the page of the pair and in the header of every page.
func TestNodesThatAreReconnectingDoNotDiffer(t *testing.T) {
	s := pairedStatus()
	s.Settings = appliance.SyncStatus{Pending: true, Sentence: "The nodes are reconnecting: their roles changed a moment ago."}
	s.Table = s.Settings
	r, f := beside(t, s)
	_, _, body := r.get(r.client, pairPath)
	r.has(body, "Reconnecting", " reconnecting", s.Table.Sentence, "!Differs<", "! differs")
	s.Settings.Pending, s.Table.Pending = false, false
	f.show(s)
	_, _, body = r.get(r.client, pairPath)
	r.has(body, "Differs", " differs", "!Reconnecting")
}
