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

// beside makes a rig whose node has the services of an imaging system and is in the pair that is shown.
func beside(t *testing.T, s appliance.PairStatus) (*rig, *pairOf) {
	t.Helper()
	f := &pairOf{status: s, events: decided()}
	r := newRig(t, rigOptions{setUp: true, pair: f})
	r.fill()
	return r, f
}

// standBy makes control refuse what only the active node may change.
func standBy(r *rig) {
	r.store.SetWriter(r.control.Writable)
	r.control.SetWriter(func() (bool, string, string) { return false, "lb1", "https://192.168.0.11:9443/lbadmin/" })
}

// has demands texts on a page, as a person reads them, and that others are not there.
func (r *rig) has(body string, wants ...string) {
	r.t.Helper()
	for _, want := range wants {
		text, absent := strings.CutPrefix(want, "!")
		if strings.Contains(html.UnescapeString(body), text) == absent {
			r.t.Errorf("the page %s %q", map[bool]string{true: "has", false: "lacks"}[absent], text)
		}
	}
}

func alone() appliance.PairStatus {
	return appliance.PairStatus{Sentence: "This appliance is alone.", Self: appliance.NodeStatus{Name: "lb1", State: appliance.Alone}}
}

func TestAddingANodeShowsItsHostKeyBeforeThePasswordIsAsked(t *testing.T) {
	r, f := beside(t, alone())
	_, _, body := r.get(r.client, pairPath)
	r.has(body, ownFingerprint, "Add new node", `value="10.0.0.11"`, `!value="192.168.0.188"`, "!Break Clustered Pair", `!type="password"`)

	status, _, body := r.post(r.client, pairPath+"/add", "address", "192.168.0.300", "port", "99999", "own", "nobody")
	if status != http.StatusUnprocessableEntity || len(f.was()) > 0 {
		t.Errorf("%d, asked %v", status, f.was())
	}
	r.has(body, "belongs here, such as 192.168.0.12", "1 to 65535", "Choose one of", `value="192.168.0.300"`)

	status, _, body = r.post(r.client, pairPath+"/add", "address", "192.168.0.12", "port", "2222", "own", "192.168.0.11")
	if status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	r.has(body, peerFingerprint, "Nothing was sent to it yet", `type="password"`)

	form := []string{"address", "192.168.0.12", "port", "2222", "own", "192.168.0.11", "host_key", peerFingerprint, "password", "not this one"}
	status, _, body = r.post(r.client, pairPath+"/add", form...)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("not confirmed: %d", status)
	}
	r.has(body, "say that they are the same", "!not this one")
	status, _, body = r.post(r.client, pairPath+"/add", append(form, "confirmed", "true")...)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("wrong password: %d", status)
	}
	r.has(body, "refused the password", "Connecting to 192.168.0.12:2222", "Signing in as loadbalancer", peerFingerprint, "!not this one")

	form[9] = "four kind windmills"
	status, h, _ := r.post(r.client, pairPath+"/add", append(form, "confirmed", "true")...)
	if status != http.StatusSeeOther || h.Get("Location") != pairPath {
		t.Errorf("%d to %s", status, h.Get("Location"))
	}
	if len(f.wishes) != 1 || f.wishes[0].Address.String() != "192.168.0.12:2222" || f.wishes[0].Own.String() != "192.168.0.11" || f.wishes[0].HostKey != peerFingerprint {
		t.Errorf("%+v", f.wishes)
	}
	_, _, body = r.get(r.client, pairPath)
	r.has(body, "The two appliances are a pair.", "What was done with 192.168.0.12", "Signing in as loadbalancer", "!four kind windmills", "lb2", "Secondary", "Make Active")
}

func TestPairPageTellsBothNodesAndWhatDiffers(t *testing.T) {
	r, f := beside(t, pairedStatus())
	_, _, body := r.get(r.client, pairPath)
	r.has(body, "lb1 is Active and owns 3 floating addresses", "Primary · ", "</span>Active</b>", "192.168.0.12", "in sync, revision 142", "0.24 ms", "paused by its hypervisor", "163 ms after the last heartbeat", "took over", "!Add new node")
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "lb<b>9") {
		t.Error("what the peer says is not inert")
	}
	f.show(cutStatus())
	_, _, body = r.get(r.client, pairPath)
	r.has(body, "Cut off", "Not heard", "does not answer", "lb2 was last heard with revision 142")
	_, _, body = r.get(r.client, "/lbadmin/")
	r.has(body, "</span>Cut off</b>", "not heard")

	f.plan = appliance.Plan{Changes: []appliance.Change{{Object: "virtual_service", Label: "HL7", Action: appliance.Changed, Fields: []appliance.FieldChange{{Field: "ports", Name: "Ports", From: "6667", To: "6668"}}}}}
	_, _, body = r.get(r.client, pairPath+"/differences")
	r.has(body, "ON LB1", "ON LB2", "6668")
	f.refuse = &appliance.Error{Kind: appliance.Unavailable, Message: "lb2 does not answer."}
	if status, _, body := r.get(r.client, pairPath+"/differences"); status != http.StatusServiceUnavailable || !strings.Contains(body, "lb2 does not answer.") {
		t.Errorf("%d", status)
	}
}

func TestConfirmationsSayWhatHappensAndActionsAreAsked(t *testing.T) {
	r, f := beside(t, pairedStatus())
	r.engine.see(r.id("HL7", "Corepoint1"), func(s *appliance.ServerStatus) { s.Connections = 23 })
	_, _, body := r.get(r.client, pairPath+"/active?node=peer")
	r.has(body, "Make lb2 Active?", "23 open TCP sessions of this node end with FIN", "at most 5 s", "!in sync:")
	_, _, body = r.get(r.client, pairPath+"/active?node=self")
	r.has(body, "Make lb1 Active?", "TCP sessions of lb2 end with FIN")
	_, _, body = r.get(r.client, pairPath+"/break")
	r.has(body, "lb1 keeps every service", "lb2 gives its services up", "keys are destroyed on both")
	_, _, body = r.get(r.client, pairPath+"/drill")
	r.has(body, "Run a failover drill?", "23 open TCP sessions")
	r.post(r.client, pairPath+"/active", "node", "peer")
	r.post(r.client, pairPath+"/active", "node", "self")
	r.post(r.client, pairPath+"/drill")
	_, _, body = r.get(r.client, pairPath)
	r.has(body, "The last drill", "3.41 ms ± 0.12 ms", "3.90 ms ± 0.12 ms", "by the clock of this node alone", "lb2 is Active.", "lb1 is Active.")
	r.post(r.client, heartbeatPath+"/restart")
	r.post(r.client, heartbeatPath+"/rotate-key")
	r.post(r.client, pairPath+"/primary")
	f.refuse = &appliance.Error{Kind: appliance.Conflict, Message: "lb2 is not well.", Hint: "Look at its page."}
	if status, h, _ := r.post(r.client, pairPath+"/active", "node", "peer"); status != http.StatusSeeOther || h.Get("Location") != pairPath {
		t.Errorf("%d", status)
	}
	_, _, body = r.get(r.client, pairPath)
	r.has(body, "Not done: lb2 is not well. Look at its page.")
	f.refuse = nil
	r.post(r.client, pairPath+"/break")
	want := []string{"activate peer", "activate self", "drill", "restart", "rotate", "primary", "activate peer", "break"}
	got := f.was()
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], "loadbalancer: ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("asked %v", got)
	}
	_, _, body = r.get(r.client, pairPath)
	r.has(body, "lb1 keeps the services", "Telling lb2 that the pair ends")
	left := cutStatus()
	left.Self.Role, left.Self.State = appliance.Secondary, appliance.Active
	f.show(left)
	_, _, body = r.get(r.client, pairPath)
	r.has(body, `href="/lbadmin/pair/primary"`)
	_, _, body = r.get(r.client, pairPath+"/primary")
	r.has(body, "The pair with lb2 ends", "keep it switched off")
	f.show(cutStatus())
	_, _, body = r.get(r.client, pairPath+"/break")
	r.has(body, "Only this node leaves the pair")
	_, _, body = r.get(r.client, pairPath+"/active?node=peer")
	r.has(body, "the switch will be refused", "not in sync")
}

func TestPassiveNodeIsReadOnlyAndSaysWhereChangesAreMade(t *testing.T) {
	r, _ := beside(t, passiveStatus())
	standBy(r)
	for path, on := range map[string]string{layer7: layer7, layer7 + "/" + r.id("HL7"): layer7, certificatesPath: certificatesPath, advancedPath: advancedPath, heartbeatPath: heartbeatPath, scriptsPath: scriptsPath} {
		_, _, body := r.get(r.client, path)
		r.has(body, "Read-only here: this node is Passive", `href="https://192.168.0.11:9443`+on, "Secondary · ", "</span>Passive</b>", `!id="save"`)
	}
	_, _, body := r.get(r.client, advancedPath)
	r.has(body, "<fieldset disabled")
	_, _, body = r.get(r.client, localPath)
	r.has(body, "!<fieldset disabled", "never replicated", "!Read-only here", `id="save"`)
	_, _, body = r.get(r.client, "/lbadmin/")
	r.has(body, "what is counted here is its own", `href="https://192.168.0.11:9443/lbadmin/"`)
	_, _, body = r.get(r.client, pairPath)
	r.has(body, `href="/lbadmin/pair/active?node=self"`)
	settings := r.control.Saved().Config.Cluster.Settings
	_, _, body = r.get(r.client, passwordsPath)
	r.has(body, "Read-only here", "!Add a user", "!Change the password</button>", "API tokens", "a program needs a token of each node")
	status, _, body := r.post(r.client, advancedPath, "base", appliance.Hash(&settings), "apply_at_once", "true")
	if status != http.StatusConflict || !strings.Contains(body, "changed on lb1") {
		t.Errorf("a forged change: %d", status)
	}
	if status, _, body := r.post(r.client, serverPath(r.id("HL7"), r.id("HL7", "Corepoint1"))+"/drain", "sure", "yes"); status != http.StatusConflict || !strings.Contains(body, "changed on lb1") {
		t.Errorf("a drain: %d", status)
	}
	local := r.control.Saved().Config.Local
	if status, _, _ := r.post(r.client, localPath, "base", appliance.Hash(&local), "hostname", "lb2"); status != http.StatusSeeOther {
		t.Errorf("the hostname: %d", status)
	}
	if got := r.control.Saved().Config.Local.Hostname; got != "lb2" {
		t.Errorf("hostname %q", got)
	}
}

func TestHeartbeatSettingsAreSavedLikeAllOthers(t *testing.T) {
	r, f := beside(t, cutStatus())
	_, _, body := r.get(r.client, heartbeatPath)
	r.has(body, "UDP port 6694", "192.168.0.11:6694", "24\u202f011", "LOST OR LATE", "wrong key", "held back on a path that stalled, or played back", "Step 2 of 3", `value="150ms"`, "Restart Heartbeat", "A machine that is paused")
	h := r.control.Saved().Config.Cluster.Heartbeat.OrDefault()
	base := appliance.Hash(&h)
	status, _, body := r.post(r.client, heartbeatPath, "base", base, "interval", "10ms", "dead_time", "soon", "witness", "addresses", "witness_addresses", "192.168.0.1, gate")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("%d", status)
	}
	r.has(body, `"gate" is not an IP address`, `value="soon"`, "2 fields cannot stay")
	status, _, body = r.post(r.client, heartbeatPath, "base", base, "interval", "10ms", "dead_time", "20ms", "witness", "node")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("%d", status)
	}
	r.has(body, "At least three intervals", "Name at least one address")
	fields := []string{"base", base, "interval", "10ms", "dead_time", "300 ms", "witness", "addresses", "witness_addresses", "192.168.0.1, 192.168.0.2", "automatic_failback", "true"}
	if status, _, body := r.post(r.client, heartbeatPath, fields...); status != http.StatusSeeOther {
		t.Errorf("%d %s", status, body)
	}
	if got := r.control.Saved().Config.Cluster.Heartbeat; got.Dead.String() != "300ms" || len(got.Asked) != 2 || !got.Failback {
		t.Errorf("%+v", got)
	}
	fields[5] = "400ms"
	status, _, body = r.post(r.client, heartbeatPath, fields...)
	if status != http.StatusConflict {
		t.Errorf("a stale form: %d", status)
	}
	r.has(body, "Overwrite with mine")
	_, _, body = r.get(r.client, "/lbadmin/commit")
	r.has(body, "Heartbeat", "300ms")
	if len(f.was()) > 0 {
		t.Errorf("asked %v", f.was())
	}
}

func TestFloatingAddressesSayWhereTheyAre(t *testing.T) {
	r, f := beside(t, pairedStatus())
	_, _, body := r.get(r.client, floatingPath)
	r.has(body, "192.168.0.184", "VNA_DICOM", "02:42:ac:11:00:09", "eth0")
	f.show(passiveStatus())
	_, _, body = r.get(r.client, floatingPath)
	r.has(body, "s-drain", "lb1")
	f.show(alone())
	_, _, body = r.get(r.client, floatingPath)
	r.has(body, "192.168.0.184", "192.168.0.189", "DMWL")
	_, h, body := r.get(r.client, floatingPath+"?export=csv")
	r.has(body, "192.168.0.188,,VNA_DICOM,true,")
	if !strings.HasPrefix(h.Get("Content-Type"), "text/csv") {
		t.Error(h.Get("Content-Type"))
	}
}

func TestTimelineIsFilteredAndExportedInert(t *testing.T) {
	r, _ := beside(t, pairedStatus())
	_, _, body := r.get(r.client, timelinePath)
	r.has(body, "5 decisions", "took over", "handed on", ".163")
	_, _, body = r.get(r.client, timelinePath+"?node=lb1&q=silent")
	r.has(body, "2 decisions", "!handed on")
	_, _, body = r.get(r.client, timelinePath+"?export=csv&node=%3Dlb%3Cb%3E9")
	r.has(body, "'=lb<b>9,foreign,")
	_, _, body = r.get(r.client, timelinePath+"?export=json&q=paired")
	r.has(body, `"code": "paired"`, "!took_over")
}

func TestWithoutAPairThePagesSaySo(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	for _, path := range []string{pairPath, heartbeatPath, floatingPath} {
		status, _, body := r.get(r.client, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		r.has(body, appliance.NoPairHere, "!Add new node")
	}
	for _, path := range []string{pairPath + "/add"} {
		if status, _, body := r.post(r.client, path); status != http.StatusUnprocessableEntity || !strings.Contains(body, "No pair can be made here") {
			t.Errorf("%s: %d", path, status)
		}
	}
	_, _, body := r.get(r.client, "/lbadmin/")
	r.has(body, "single appliance")
}

func TestPairLooksToAViewerButDoesNotObey(t *testing.T) {
	r, f := beside(t, pairedStatus())
	c := r.operator("viola", appliance.Viewer)
	for _, path := range []string{pairPath, heartbeatPath, floatingPath, timelinePath, pairPath + "/differences"} {
		status, _, body := r.get(c, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		r.has(body, "!Make Active", "!Break Clustered Pair", "!Restart Heartbeat", `!id="save"`)
	}
	for _, path := range []string{"/add", "/active", "/break", "/drill", "/primary"} {
		if status, _, _ := r.post(c, pairPath+path); status != http.StatusForbidden {
			t.Errorf("%s: %d", path, status)
		}
	}
	if got := f.was(); len(got) != 1 || got[0] != ": differences" {
		t.Errorf("asked %v", got)
	}
}

func TestHeaderAndPairFollowByTheStream(t *testing.T) {
	r, f := beside(t, pairedStatus())
	lines, cancel := r.stream(r.client, "/lbadmin/events?on=pair&at="+pairPath)
	defer cancel()
	f.show(cutStatus())
	deadline := time.After(10 * time.Second)
	for missing := []string{"Cut off", "lb2 was last heard with revision 142"}; len(missing) > 0; {
		select {
		case line := <-lines:
			missing = slices.DeleteFunc(missing, func(want string) bool { return strings.Contains(line, want) })
		case <-deadline:
			t.Fatalf("the stream did not say %q", missing)
		}
	}
}

func TestPairMakesANodeActiveWhoseOtherIsOff(t *testing.T) {
	r, f := beside(t, cutStatus())
	_, _, body := r.get(r.client, pairPath)
	r.has(body, `href="/lbadmin/pair/active?off=true"`)
	_, _, body = r.get(r.client, pairPath+"/active?off=true")
	r.has(body, "Is lb2 off?", "pull its plug", "lb2 is off: make lb1 Active")
	r.post(r.client, pairPath+"/active", "off", "true")
	if got := f.was(); len(got) == 0 || !strings.Contains(got[len(got)-1], "activate alone") {
		t.Errorf("asked %v", got)
	}
}
