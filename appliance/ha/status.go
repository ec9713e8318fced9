package ha

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

// lastTakeover is the last time that this node took the addresses.
type lastTakeover struct {
	at      time.Duration
	planned bool
	record  role.Record
}

// snapshot is what the loop shows of itself.
type snapshot struct {
	at       time.Duration
	state    role.State
	config   role.Config
	peer     beat.Beat
	heardAt  time.Duration
	facts    *facts
	round    time.Duration
	paths    []appliance.PathStatus
	closed   []error
	witness  time.Duration
	kind     appliance.WitnessKind
	gateway  bool
	step     string
	last     *lastTakeover
	barred   role.Record // why this node does not own the addresses; none: it has said nothing of it
	cloned   time.Duration
	late     time.Duration
	unfair   bool
	table    bool // the peer is silent here, and alive on the table's connection
	contact  bool
	turned   time.Duration // when a role, or whether the nodes hear each other, changed last
	running  bool
	activity appliance.Activity
}

// show publishes a snapshot.
func (l *loop) show(now time.Duration) {
	l.nextShow = now + shownEvery
	if now-l.lateAt > lateTold {
		l.late = 0
	}
	s := &snapshot{
		at: now, state: l.state, config: l.config, peer: l.peer, heardAt: l.heardAt, facts: l.facts, round: l.round, witness: l.witness.at,
		kind: l.witness.settings.Witness, gateway: l.memory.Gateway, step: l.keys.rotation.Step(), last: l.last, barred: l.barred, cloned: l.cloned, late: l.late,
		unfair: l.unfair != nil, table: l.tableSpeaks(), contact: l.state.Contact(l.config, now), running: true, activity: l.state.Activity(),
	}
	patience := l.state.Patience(l.config)
	for _, p := range l.paths {
		s.paths = append(s.paths, p.status(now, patience))
		if p.socket == nil && p.why != nil {
			s.closed = append(s.closed, p.why)
		}
	}
	before := l.n.seen.Load()
	if s.turned = before.turned; before.activity != s.activity || before.peer.State != s.peer.State || before.contact != s.contact {
		s.turned = now
	}
	l.n.seen.Store(s)
	if changed := l.n.o.Changed; changed != nil && before.activity != s.activity {
		l.n.announce(s.activity)
	}
}

// Activity is what the node does now; Starting before Run.
func (n *Node) Activity() appliance.Activity {
	if s := n.seen.Load(); s.running {
		return s.activity
	}
	return appliance.Starting
}

// Timeline returns what both nodes have decided, oldest first, also in earlier lives.
func (n *Node) Timeline() []appliance.PairEvent { return n.timeline.all() }

// Status returns what heartbeats tell of the pair; Settings, Table and Floating are for main to fill in.
func (n *Node) Status() appliance.PairStatus {
	s, m, f := n.seen.Load(), &n.o.Membership, n.facts.Load()
	out := appliance.PairStatus{
		At: time.Now(), Paired: true, Round: s.round, Paths: s.paths, KeyChange: s.step, Rejected: n.rejected(),
		Self: nodeStatus(m.Self, n.Activity(), f.Revision, f.Hash, f.Healthy, f.Version),
		Peer: nodeStatus(m.Peer, s.peer.State, s.peer.Revision, hexOf(s.peer.Hash), role.Says(s.peer.Says).Has(role.Healthy), s.peer.Release.String()),
	}
	out.Self.Name, out.Peer.Name = n.named().self, n.named().peer
	out.Peer.Heard = wallTime(s.heardAt)
	out.Witness = n.witnessStatus(s)
	out.Limits = n.limits(s, &out)
	out.Sentence = n.sentence(s)
	if t := s.last; t != nil {
		out.Last = &appliance.Takeover{At: wallTime(t.at), Planned: t.planned, Took: t.record.Taken, Why: t.record.Sentence()}
		if t.record.Code == role.TookOver {
			out.Last.Silence = t.record.Lasted
		}
	}
	return out
}

// PeerDigest is the digest of the peer's persistence table, as its newest heartbeat says, and when that came; the zero time: never.
func (n *Node) PeerDigest() (digest [16]byte, at time.Time) {
	s := n.seen.Load()
	return s.peer.Digest, wallTime(s.heardAt)
}

func nodeStatus(of appliance.Node, state appliance.Activity, revision int64, hash string, healthy bool, version string) appliance.NodeStatus {
	return appliance.NodeStatus{
		ID: of.ID, Name: of.Name, Role: of.Role, State: state, Address: of.Address, Revision: revision, Hash: hash, Healthy: healthy, Version: version,
	}
}

// hexOf writes a hash; one of zeros is none.
func hexOf(b [16]byte) string {
	if b == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(b[:])
}

func (n *Node) rejected() map[string]uint64 {
	all := map[string]uint64{}
	for _, c := range []*beat.Counters{n.counters.Load(), &n.refused} {
		if c == nil {
			continue
		}
		for reason, count := range c.Rejected() {
			all[reason] += count
		}
	}
	return all
}

func (n *Node) witnessStatus(s *snapshot) appliance.WitnessStatus {
	if !s.running {
		return appliance.WitnessStatus{Sentence: "The heartbeat is not running yet."}
	}
	w := appliance.WitnessStatus{Configured: s.config.Witness, At: wallTime(s.witness)}
	w.Answers = w.Configured && s.witness != 0 && s.at-s.witness <= wordLasts
	who := map[appliance.WitnessKind]string{
		appliance.WitnessGateway: "default gateway", appliance.WitnessAddresses: "asked addresses", appliance.WitnessNode: "witness node",
	}[s.kind]
	switch {
	case n.o.Kernel == nil:
		w.Sentence = "No witness is asked: no address moves between the nodes."
	case s.kind == appliance.WitnessNone:
		w.Sentence = "No witness is configured: the last looks for the floating addresses decide alone."
	case s.kind == appliance.WitnessGateway && !s.gateway:
		w.Sentence = "This network has no default gateway that could be asked: the last looks for the floating addresses decide alone. Name other addresses as witness."
	case s.kind == appliance.WitnessNode && n.witness == nil:
		w.Sentence = "A witness node is configured, and this node has no key for it: it cannot be asked, and this node will not take over. Make the pair again: that draws one."
	case w.Answers:
		w.Sentence = fmt.Sprintf("The %s answers.", who)
	default:
		w.Sentence = fmt.Sprintf("The %s does not answer: while that lasts, this node does not take over. Look at the network of this node, or choose another witness.", who)
	}
	return w
}

// limits are what this pair cannot promise as it is.
func (n *Node) limits(s *snapshot, st *appliance.PairStatus) []string {
	out := append([]string(nil), n.o.Limits...)
	add := func(when bool, sentence string) {
		if when {
			out = append(out, sentence)
		}
	}
	bare, name := s.heardAt != 0 && role.Says(s.peer.Says).Has(role.Bare), n.named().peer
	add(n.o.Kernel == nil && (bare || s.heardAt == 0), "This pair has no floating addresses: it shares settings and tables only.")
	add(n.o.Kernel == nil && !n.o.Founder && !bare && s.heardAt != 0, "Only "+name+" can own the floating addresses: this node's kernel or rights do not let it enforce a lease. When "+name+" fails, nobody takes them over.")
	add(n.o.Kernel != nil && bare && !role.Says(s.peer.Says).Has(role.Owns), name+" cannot own the floating addresses, as its own page explains: when this node fails, nobody takes them over.")
	add(s.unfair, "The heartbeat has no real-time priority (CAP_SYS_NICE is missing): on a machine that is very busy, it may come late.")
	add(!s.unfair && runtime.NumCPU() == 1, "This machine has a single processor: when it is very busy, the heartbeat may come late. Give it a second one.")
	add(s.late > 50*time.Millisecond, fmt.Sprintf("In the last hour the heartbeat came up to %d ms late, because this machine was too busy or stood still.", s.late.Milliseconds()))
	add(s.state.Restless(), "This machine stands still again and again, so its lease lives longer until a minute has passed without that: nothing moves for it, and a failover takes two seconds and more. Give it processors of its own on its host.")
	for _, err := range s.closed {
		add(true, closedSentence(err, n.o.Membership.Self.Address))
	}
	add(s.running && len(s.paths) == 1, "There is one heartbeat path: if it is cut while both nodes are well, the witness decides.")
	add(s.running && !s.config.Witness && n.o.Kernel != nil, "Nobody tells a dead peer from a cut wire: if the two nodes lose each other on every network, both may own the addresses until they meet again.")
	add(s.running && s.kind == appliance.WitnessGateway && s.gateway, "If both nodes reach the gateway and not each other on any network, both may own the addresses; only a witness node excludes that.")
	add(s.cloned != 0 && s.at-s.cloned < 10*time.Minute, sentenceOf(role.Record{Code: cloneSeen}))
	deaf := s.heardAt == 0 || s.at-s.heardAt > 3*time.Second
	add(st.Rejected["version"] > 0 && deaf, "Heartbeats of another version arrive, which this one does not understand: bring both nodes to the same version of the product.")
	add(st.Rejected["key"] > 0 && deaf, "Heartbeats arrive that are sealed with a key this node does not hold: make the pair again.")
	return out
}

// closedSentence says why a path is closed. A node without the address of the membership is probably no node: a disk that was copied, for one.
func closedSentence(err error, own netip.Addr) string {
	var none *noAddressError
	if errors.As(err, &none) && none.address == own {
		return fmt.Sprintf("This machine does not have the address %s, by which the other node finds it: its address was changed, or it is a copy of the node. "+
			"Give it that address; or break the pair here, and make it again.", own)
	}
	return fmt.Sprintf("A heartbeat path is closed: %v. It is opened when that ends.", err)
}

// sentence says what the pair does and why.
func (n *Node) sentence(s *snapshot) string {
	self, peer := n.named().self, n.named().peer
	silent := "was never heard"
	if s.heardAt != 0 {
		silent = "has been silent for " + lasting(s.at-s.heardAt)
	}
	switch {
	case !s.running:
		return "The heartbeat of " + self + " is not running."
	case s.table:
		return fmt.Sprintf("%s sends no heartbeats that arrive here, but its table's connection is alive: UDP %d is blocked between the nodes. Nobody takes over while that is so.", peer, Port)
	case s.activity == appliance.Active && s.contact && n.o.Kernel == nil:
		return fmt.Sprintf("%s is active, %s passive. No address moves between them: this pair shares its settings and its persistence table.", self, peer)
	case s.activity == appliance.Active && s.contact:
		return fmt.Sprintf("%s is active and owns the floating addresses; %s is ready to take them.", self, peer)
	case s.activity == appliance.Active:
		return fmt.Sprintf("%s is active and alone: %s %s. Nobody would take over; look at %s and at the network between them.", self, peer, silent, peer)
	case s.activity == appliance.HandingOn:
		return fmt.Sprintf("%s hands the floating addresses on to %s; requests in flight finish first.", self, peer)
	case s.activity == appliance.Taking:
		return fmt.Sprintf("%s %s; %s looks for the last time whether anybody owns the floating addresses before it takes them.", peer, silent, self)
	case s.activity == appliance.Cut:
		return fmt.Sprintf("%s hears neither %s nor its witness: it is probably cut off, and owns nothing. Look at its network.", self, peer)
	case s.activity == appliance.Starting:
		return fmt.Sprintf("%s has just started and listens for %s before it decides anything.", self, peer)
	case s.contact && role.Says(s.peer.Says).Has(role.Owns) && n.o.Kernel == nil:
		return fmt.Sprintf("%s is active, %s passive. No address moves between them: this pair shares its settings and its persistence table.", peer, self)
	case s.contact && role.Says(s.peer.Says).Has(role.Owns):
		return fmt.Sprintf("%s is active and owns the floating addresses; %s is passive and ready to take them.", peer, self)
	case s.contact:
		return fmt.Sprintf("Neither node owns the floating addresses at this moment; %s and %s agree on one.", self, peer)
	}
	return fmt.Sprintf("%s is passive; %s %s.", self, peer, silent)
}

func lasting(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return d.Round(time.Second).String()
}
