package ui

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"evenkeel/appliance"
)

const (
	peerFingerprint = "SHA256:kGRsoTZ9VlIZSRUFDGMEnRmTfpxaKLHgMY5a2VVVhXk"
	ownFingerprint  = "SHA256:3rvW2mJ0yZ1c4l5s6V7bXq8nT9uYpOaEkDfGhJlZxCv"
)

// pairOf plays the pair: what it shows is set by the test, what it is asked is remembered.
type pairOf struct {
	mu     sync.Mutex // guards what follows
	status appliance.PairStatus
	events []appliance.PairEvent
	plan   appliance.Plan
	asked  []string
	wishes []appliance.PairWish
	refuse error
}

func (f *pairOf) show(s appliance.PairStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = s
}

func (f *pairOf) ask(o appliance.Origin, what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, o.Operator+": "+what)
	return f.refuse
}

func (f *pairOf) was() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

func (f *pairOf) Status() appliance.PairStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *pairOf) Timeline() []appliance.PairEvent { return f.events }

func (f *pairOf) OwnKey() string { return ownFingerprint }

func (f *pairOf) PeerKey(_ context.Context, at netip.AddrPort) (string, error) {
	return peerFingerprint, f.ask(appliance.Origin{}, "key of "+at.String())
}

func (f *pairOf) Differences(context.Context) (appliance.Plan, error) {
	return f.plan, f.ask(appliance.Origin{}, "differences")
}

func (f *pairOf) Pair(_ context.Context, o appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) error {
	for _, s := range []appliance.PairStep{{Code: "connect", Sentence: "Connecting to " + w.Address.String()}, {Code: "sign_in", Sentence: "Signing in as loadbalancer"}} {
		report(s)
		if s.Code == "sign_in" && w.Password != "four kind windmills" {
			return &appliance.Error{Kind: appliance.Denied, Field: "password", Message: "The other appliance refused the password.", Hint: "It waits longer after each wrong one."}
		}
		s.Done = true
		report(s)
	}
	f.mu.Lock()
	f.wishes = append(f.wishes, w)
	f.mu.Unlock()
	f.show(pairedStatus())
	return f.ask(o, "pair "+w.Address.String())
}

func (f *pairOf) Break(_ context.Context, o appliance.Origin, report func(appliance.PairStep)) (appliance.PairBroken, error) {
	report(appliance.PairStep{Code: "tell", Sentence: "Telling lb2 that the pair ends", Done: true})
	return appliance.PairBroken{Keeps: "lb1"}, f.ask(o, "break")
}

func (f *pairOf) MakePrimary(_ context.Context, o appliance.Origin) error { return f.ask(o, "primary") }

func (f *pairOf) Dismiss(_ context.Context, o appliance.Origin) error { return f.ask(o, "dismiss") }

func (f *pairOf) Activate(_ context.Context, o appliance.Origin, peer bool) error {
	return f.ask(o, map[bool]string{true: "activate peer", false: "activate self"}[peer])
}

func (f *pairOf) ActivateAlone(_ context.Context, o appliance.Origin) error {
	return f.ask(o, "activate alone")
}

func (f *pairOf) RestartHeartbeat(_ context.Context, o appliance.Origin) error {
	return f.ask(o, "restart")
}

func (f *pairOf) RotateKey(_ context.Context, o appliance.Origin) error { return f.ask(o, "rotate") }

func (f *pairOf) Drill(_ context.Context, o appliance.Origin) (appliance.PairDrill, error) {
	now := time.Now()
	return appliance.PairDrill{
		There:    appliance.Takeover{At: now.Add(-2 * time.Second), Planned: true, Took: 3_410_000, Within: 120_000, Why: "A drill: lb2 takes the addresses."},
		Back:     appliance.Takeover{At: now, Planned: true, Took: 3_900_000, Within: 120_000, Why: "The drill is over: lb1 takes them back."},
		Sentence: "lb2 had the addresses after 3.41 ms, lb1 after 3.90 ms; nothing was refused.",
	}, f.ask(o, "drill")
}

// pairedStatus is a pair on an ordinary day, seen from its Active node.
func pairedStatus() appliance.PairStatus {
	now := time.Now()
	return appliance.PairStatus{
		At: now, Paired: true, Sentence: "lb1 is Active and owns 3 floating addresses; lb2 stands by and can take over at any moment.",
		Self:     appliance.NodeStatus{ID: "5f1d0c2ab3e49687", Name: "lb1", Role: appliance.Primary, State: appliance.Active, Address: netip.MustParseAddr("192.168.0.11"), Revision: 142, Hash: "9b1f0c77d2a44e18", Healthy: true, Version: "0.1.0"},
		Peer:     appliance.NodeStatus{ID: "c0ffee2ab3e49687", Name: "lb2", Role: appliance.Secondary, State: appliance.Passive, Address: netip.MustParseAddr("192.168.0.12"), Revision: 142, Hash: "9b1f0c77d2a44e18", Healthy: true, Version: "0.1.0", Heard: now},
		Settings: appliance.SyncStatus{InSync: true, Sentence: "in sync, revision 142"}, Table: appliance.SyncStatus{InSync: true, Sentence: "in sync, 48 120 entries, 12 ms behind"},
		Witness: appliance.WitnessStatus{Configured: true, Answers: true, Sentence: "the default gateway 192.168.0.1 answers by ARP", At: now},
		Paths: []appliance.PathStatus{
			{Local: netip.MustParseAddrPort("192.168.0.11:6694"), Peer: netip.MustParseAddrPort("192.168.0.12:6694"), Interface: "eth0", Alive: true, Heard: now, Received: 8_214_402, Lost: 17, Jitter: 84 * time.Microsecond},
			{Local: netip.MustParseAddrPort("10.0.0.11:6694"), Peer: netip.MustParseAddrPort("10.0.0.12:6694"), Interface: "eth1", Heard: now.Add(-4 * time.Minute), Received: 8_190_010, Lost: 24_011, Jitter: 120 * time.Microsecond},
		},
		Floating: []appliance.FloatingAddress{
			{Address: netip.MustParseAddr("192.168.0.184"), Interface: "eth0", Services: []string{"DMWL"}, Here: true},
			{Address: netip.MustParseAddr("192.168.0.188"), Interface: "eth0", Services: []string{"VNA_DICOM"}, Here: true},
			{Address: netip.MustParseAddr("192.168.0.189"), Interface: "eth0", Services: []string{"HL7"}, Here: true, Sentence: "Another machine, 02:42:ac:11:00:09, answered for it 3 min ago; it was announced again."},
		},
		Rejected: map[string]uint64{"stranger": 12, "replayed": 3, "wrong_key": 1},
		Limits:   []string{"A machine that is paused by its hypervisor wakes with up to 150 ms of its lease left.", "If both nodes reach the witness but not each other on any path, only the witness node could tell who shall serve."},
		Round:    240 * time.Microsecond, Last: &appliance.Takeover{At: now.Add(-26 * time.Hour), Silence: 163 * time.Millisecond, Took: 9 * time.Millisecond, Why: "lb2 was silent on every path and the gateway answered."},
	}
}

// passiveStatus is the same pair, seen from the node that stands by.
func passiveStatus() appliance.PairStatus {
	s := pairedStatus()
	s.Self, s.Peer = s.Peer, s.Self
	s.Self.Heard, s.Peer.Heard = time.Time{}, time.Now()
	s.Sentence = "lb1 is Active; this node stands by and can take over at any moment."
	for i := range s.Floating {
		s.Floating[i].Here, s.Floating[i].Sentence = false, ""
	}
	return s
}

// cutStatus is a node that hears nobody.
func cutStatus() appliance.PairStatus {
	s := pairedStatus()
	s.Self.State = appliance.Cut
	s.Sentence = "This node hears neither lb2 nor its witness, and so owns no address: its network is cut."
	s.Witness.Answers, s.Witness.Sentence = false, "the default gateway 192.168.0.1 does not answer"
	s.Settings, s.Table = appliance.SyncStatus{Sentence: "lb2 was last heard with revision 142; this node runs 143"}, appliance.SyncStatus{Sentence: "not connected for 4 min"}
	s.Self.Revision, s.Peer.Heard, s.KeyChange = 143, time.Now().Add(-4*time.Minute), "send"
	s.Paths[0].Alive, s.Paths[0].Heard = false, time.Now().Add(-4*time.Minute)
	for i := range s.Floating {
		s.Floating[i].Here = false
	}
	return s
}

// decided are a few lines of a timeline, the newest first.
func decided() []appliance.PairEvent {
	at := time.Date(2026, 3, 1, 12, 30, 0, 163_000_000, time.Local)
	return []appliance.PairEvent{
		{At: at, Node: "lb1", Code: "took_over", Sentence: "lb2 was silent for 163 ms on both paths, the gateway answered, nobody answered for 192.168.0.188: lb1 owns the addresses."},
		{At: at.Add(-10 * time.Millisecond), Node: "lb1", Code: "peer_silent", Sentence: "lb2 is silent for 150 ms on both paths."},
		{At: at.Add(-26 * time.Hour), Node: "lb2", Code: "handed_on", Sentence: "An operator made lb1 Active: 14 TCP sessions ended, 3 requests were finished."},
		{At: at.Add(-27 * time.Hour), Node: "lb1", Code: "paired", Sentence: "lb1 and lb2 are a pair."},
		{At: at.Add(-28 * time.Hour), Node: "=lb<b>9", Code: "foreign", Sentence: "<script>alert(1)</script>"},
	}
}
