package view

import (
	"fmt"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// NeverReplicated marks the pages of Local Configuration.
const NeverReplicated = "Of this appliance alone, never replicated."

// PairChip is the pair in the header of every page.
type PairChip struct {
	Paired   bool
	Role     appliance.PairRole
	State    appliance.Activity
	Peer     appliance.NodeStatus
	Heard    bool // the peer, now
	InSync   bool
	Pending  bool // it is not known yet whether they are in sync
	Sync     string
	Sentence string
}

// Passive says on a page that it cannot be changed here, and where it can.
type Passive struct {
	Text string
	Name string // of the active node
	Link string // of the same page there; empty: it is not known
}

// Pair is the page of the pair.
type Pair struct {
	appliance.PairStatus
	Possible   bool // a pair can be made here
	Edit       bool
	Product    string
	Key        string // fingerprint of the own host key
	Events     []appliance.PairEvent
	EventCount int
	Pairing    Pairing
	Form       PairForm
}

// lastOne tells whether this node is a Secondary that serves, and whose Primary is not heard.
func (v Pair) lastOne() bool {
	return v.Self.Role == appliance.Secondary && v.Self.State == appliance.Active && !Heard(v.PairStatus)
}

// Pairing is how far making or breaking a pair came, or what a drill measured.
type Pairing struct {
	With  string // the other node, in words
	Goes  bool   // it goes on
	Steps []appliance.PairStep
	Drill *appliance.PairDrill
}

// Made tells whether what was done made a pair.
func (p Pairing) Made() bool {
	if len(p.Steps) == 0 {
		return false
	}
	last := p.Steps[len(p.Steps)-1]
	return last.Code == "done" && last.Done
}

// PairForm is the form of a new node.
type PairForm struct {
	Own           SimpleField
	Address, Port string
	HostKey       string // the fingerprint to be confirmed; empty: it was not asked for yet
	Confirmed     bool   // it was compared
	Errors        form.Errors
	Pairing       Pairing
}

// PairDifferences is what would change here if this node ran what the peer runs.
type PairDifferences struct {
	Status  appliance.PairStatus
	Changes []Change
}

// PairTimeline is every decision of both nodes.
type PairTimeline struct {
	Query, Node string
	Nodes       []string
	Events      []appliance.PairEvent
	Total       int
	Pager       Pager
}

// Heartbeat is the page of the heartbeat.
type Heartbeat struct {
	appliance.PairStatus
	Form    SimpleForm
	Act     bool
	Refused []Refusal
}

// Refusal counts datagrams that were thrown away for one reason.
type Refusal struct {
	Reason string
	Count  uint64
}

// Floating is the page of the addresses that move.
type Floating struct {
	Paired     bool
	Self, Peer string
	PeerActive bool
	Sentence   string
	Addresses  []appliance.FloatingAddress
}

// Heard tells whether the peer is heard on any path now.
func Heard(s appliance.PairStatus) bool {
	for _, p := range s.Paths {
		if p.Alive {
			return true
		}
	}
	return false
}

// activity is how what a node does is shown.
func activity(a appliance.Activity) State {
	switch a {
	case appliance.Active, appliance.Alone:
		return State{"up", "Active"}
	case appliance.Passive:
		return State{"drain", "Passive"}
	case appliance.Starting:
		return State{"unknown", "Starting"}
	case appliance.Taking:
		return State{"degraded", "Taking over"}
	case appliance.HandingOn:
		return State{"degraded", "Handing on"}
	case appliance.Cut:
		return State{"down", "Cut off"}
	}
	return State{"unknown", "Not known"}
}

// peerActivity is activity of a node that may not be heard.
func peerActivity(n appliance.NodeStatus, heard bool) State {
	if heard {
		return activity(n.State)
	}
	return State{"down", "Not heard"}
}

func syncState(s appliance.SyncStatus) State {
	if s.InSync {
		return State{"up", "In sync"}
	}
	if s.Pending {
		return State{"unknown", "Reconnecting"}
	}
	return State{"degraded", "Differs"}
}

func witnessState(w appliance.WitnessStatus) State {
	switch {
	case !w.Configured:
		return State{"unknown", "None"}
	case w.Answers:
		return State{"up", "Answers"}
	}
	return State{"down", "Silent"}
}

func pathState(p appliance.PathStatus) State {
	if p.Alive {
		return State{"up", "Alive"}
	}
	return State{"down", "Silent"}
}

func pairStep(s appliance.PairStep, goes bool) State {
	switch {
	case s.Done:
		return State{"up", "Done"}
	case goes:
		return State{"degraded", "Now"}
	}
	return State{"down", "Stopped"}
}

func roleWord(r appliance.PairRole) string {
	if r == "" {
		return "No role"
	}
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

func addressWord(n appliance.NodeStatus) string {
	if !n.Address.IsValid() {
		return "–"
	}
	return n.Address.String()
}

// Fine writes a short time with the digits that matter: 0.24 ms, 12.3 ms, 151 ms, 4.62 s.
func Fine(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case d <= 0:
		return "0 ms"
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return Span(d)
}

// measured is how long nobody had the addresses, and how exact that is.
func measured(t appliance.Takeover) string {
	if t.Within == 0 {
		return Fine(t.Took)
	}
	return Fine(t.Took) + " ± " + Fine(t.Within)
}

// roundTrip is how long a heartbeat and its echo take, while there are some.
func roundTrip(s appliance.PairStatus) string {
	if !Heard(s) {
		return "–"
	}
	return Fine(s.Round)
}

func shortHash(hash string) string {
	if len(hash) > 8 {
		return hash[:8]
	}
	return hash
}

// eventClass colours a decision by what it means.
func eventClass(code string) string {
	switch code {
	case "took_over", "took_vacant", "elected", "given", "pair_founded", "paired", "peer_back", "peer_heard", "health_back", "rival_wins":
		return "good"
	case "woke", "solo", "peer_unaware", "peer_vacant", "witness_silent", "switch_off", "switch_off_peer", "switch_off_late", "hands_at_limit", "lease_yielded", "table_rebuilt":
		return "wait"
	case "peer_silent", "peer_deaf", "lease_lost", "renew_gave_up", "health_gone", "stays_unhealthy", "gave_unhealthy", "gave_bare", "stays_bare", "owner_answers", "owner_seen", "rival_insists", "rival_loses", "rival_deaf", "clone_seen", "forced":
		return "bad"
	}
	if strings.Contains(code, "refused") {
		return "bad"
	}
	return "blue"
}

func eventWords(code string) string { return strings.ReplaceAll(code, "_", " ") }

// keyStep says where a change of the heartbeat's key is.
func keyStep(step string) string {
	switch step {
	case "accept":
		return "Step 1 of 3: both nodes accept the new key."
	case "send":
		return "Step 2 of 3: the new key is sent; the old one is still accepted."
	case "forget":
		return "Step 3 of 3: the old key is forgotten."
	}
	return "Both nodes use one key. Nothing of a change is under way."
}

// place says on which node an address is now.
func (f Floating) place(a appliance.FloatingAddress) string {
	switch {
	case a.Here:
		return f.Self
	case f.PeerActive:
		return f.Peer
	}
	return "nowhere known"
}

// pairLead is the first sentence of the page.
func pairLead(v Pair) string {
	switch {
	case v.Paired:
		return "Two appliances, of which the Active one owns the floating addresses."
	case v.Possible:
		return "This appliance is alone. A second one beside it takes over when this one fails."
	}
	return ""
}
