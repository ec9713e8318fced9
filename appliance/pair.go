package appliance

import (
	"log/slog"
	"net/netip"
	"time"
)

// PairRole is given to a node by the administrator when the pair is made; it says who was there first, not who owns the addresses.
type PairRole string

// The roles.
const (
	Primary   PairRole = "primary"
	Secondary PairRole = "secondary"
)

// Valid tells whether r is one of the roles.
func (r PairRole) Valid() bool { return r == Primary || r == Secondary }

// Activity is what the pair finds by itself: who owns the floating addresses.
type Activity string

// The activities.
const (
	Alone     Activity = "alone"      // not in a pair: it owns the addresses of its services
	Starting  Activity = "starting"   // it listens, and has not decided yet
	Passive   Activity = "passive"    // the peer owns the addresses
	Taking    Activity = "taking"     // the peer is silent; the last looks before it takes the addresses
	Active    Activity = "active"     // it owns the addresses
	HandingOn Activity = "handing_on" // a planned switch: it lets requests in flight finish before the peer takes the addresses
	Cut       Activity = "cut"        // it hears neither the peer nor its witness, and so owns nothing
)

// Node is one of the two appliances of a pair, as the other knows it.
type Node struct {
	ID      string     `json:"id"` // 16 hexadecimal digits, made with the data folder
	Name    string     `json:"name"`
	Role    PairRole   `json:"role"`
	Address netip.Addr `json:"address"`  // for heartbeat, table and settings
	SSHPort uint16     `json:"ssh_port"` // where its settings are sent

	// Networks are its own addresses with their networks when the pair was made: on each that both nodes are in, heartbeats travel.
	Networks []netip.Prefix `json:"networks,omitempty"`

	HostKey string `json:"host_key"` // of its SSH endpoint, pinned; as in authorized_keys
	Key     string `json:"key"`      // ed25519, as in authorized_keys: by it the node signs in at the other, signs settings and speaks on TCP 7778
}

// Membership is what makes two appliances a pair. It is a secret of the node, in no revision: a rollback neither makes nor breaks a pair.
type Membership struct {
	Cluster string         `json:"cluster"` // 16 hexadecimal digits, made by pairing
	Self    Node           `json:"self"`
	Peer    Node           `json:"peer"`
	Since   time.Time      `json:"since"`
	Keys    []HeartbeatKey `json:"keys"`             // newest last, at most two: while they change both are accepted
	Witness HeartbeatKey   `json:"witness,omitzero"` // shared with the witness node, if there is one; no heartbeat key, and not changed with them; zero: of a pair made before there were any
}

// Distinct returns the membership with names that tell the two nodes apart: behind names that are the same, and instead of one that is missing, stand the addresses.
// Machines that nobody named are often all called the same.
func (m Membership) Distinct() Membership {
	same := m.Self.Name == m.Peer.Name
	for _, n := range []*Node{&m.Self, &m.Peer} {
		switch {
		case n.Name == "":
			n.Name = n.Address.String()
		case same:
			n.Name += " (" + n.Address.String() + ")"
		}
	}
	return m
}

// HeartbeatKey authenticates heartbeats (HMAC-SHA-256).
type HeartbeatKey struct {
	ID     uint8  `json:"id"`
	Secret []byte `json:"secret"` // 32 bytes
}

// LogValue keeps secrets out of logs.
func (HeartbeatKey) LogValue() string { return "[secret]" }

// PairStatus is what is observed of the pair: the same on the pages, in the API and on the command line.
type PairStatus struct {
	At         time.Time         `json:"at"`
	Paired     bool              `json:"paired"`
	Unfinished bool              `json:"unfinished"` // this node has decided on a pair that the other one, Peer, has not confirmed yet
	Self       NodeStatus        `json:"self"`
	Peer       NodeStatus        `json:"peer"`            // zero when there is no pair
	Sentence   string            `json:"sentence"`        // what the pair does and why, in one sentence
	Ended      *PairEnd          `json:"ended,omitempty"` // the last pair, when the other node has broken it and nobody has dismissed that; nil: there is nothing to say
	Aside      []string          `json:"set_aside"`       // what was set aside on either node and nobody has seen yet, a sentence each
	Settings   SyncStatus        `json:"settings"`
	Table      SyncStatus        `json:"table"` // of persistence
	Witness    WitnessStatus     `json:"witness"`
	Paths      []PathStatus      `json:"paths"`
	Floating   []FloatingAddress `json:"floating"`
	Rejected   map[string]uint64 `json:"rejected"` // datagrams on the heartbeat's port that were not the peer's, by reason
	Limits     []string          `json:"limits"`   // what this pair cannot promise, as it is set up: a missing right, no witness, …
	Round      time.Duration     `json:"round_trip_ns"`
	Last       *Takeover         `json:"last_takeover,omitempty"`
	KeyChange  string            `json:"key_change,omitempty"` // the step of a change of the heartbeat's key: "accept", "send", "forget"; empty: none is under way
}

// NodeStatus is what is observed of one node.
type NodeStatus struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Role     PairRole   `json:"role"`
	State    Activity   `json:"state"`
	Address  netip.Addr `json:"address"`
	Revision int64      `json:"revision"` // of the cluster line, running
	Hash     string     `json:"hash"`     // of its content
	Healthy  bool       `json:"healthy"`
	Version  string     `json:"version"`
	Heard    time.Time  `json:"heard,omitzero"` // when the last authentic heartbeat came; zero for oneself, and for a peer that was never heard
}

// SyncStatus says whether something is the same on both nodes.
type SyncStatus struct {
	InSync   bool   `json:"in_sync"`
	Pending  bool   `json:"pending,omitempty"` // it is not known yet, because the nodes connect anew after a change of their roles; what lasts is told as what differs
	Sentence string `json:"sentence"`          // "in sync, revision 142", or what differs
}

// WitnessStatus is what the third party says that tells a dead peer from a cut wire.
type WitnessStatus struct {
	Configured bool      `json:"configured"`
	Answers    bool      `json:"answers"`
	Sentence   string    `json:"sentence"`
	At         time.Time `json:"at,omitzero"`
}

// PathStatus is one way by which heartbeats travel.
type PathStatus struct {
	Local     netip.AddrPort `json:"local"`
	Peer      netip.AddrPort `json:"peer"`
	Interface string         `json:"interface"`
	Alive     bool           `json:"alive"`
	Heard     time.Time      `json:"heard,omitzero"`
	Received  uint64         `json:"received"`
	Lost      uint64         `json:"lost"`
	Jitter    time.Duration  `json:"jitter_ns"`
}

// FloatingAddress is an address of virtual services: it belongs to the active node.
type FloatingAddress struct {
	Address   netip.Addr `json:"address"`
	Interface string     `json:"interface"`
	Services  []string   `json:"services"` // their labels
	Here      bool       `json:"here"`     // this node owns it now
	Sentence  string     `json:"sentence,omitempty"`
}

// Takeover is how the last change of owner went, as the node that took the addresses measured it.
type Takeover struct {
	At      time.Time     `json:"at"`
	Planned bool          `json:"planned"`
	Silence time.Duration `json:"silence_ns"`          // from the last heartbeat of the peer to the lease
	Took    time.Duration `json:"took_ns"`             // from the decision to the lease
	Within  time.Duration `json:"within_ns,omitempty"` // what was measured is exact to so much, either way; zero: one clock saw all of it
	Why     string        `json:"why"`
}

// PairEvent is one line of the pair's timeline.
type PairEvent struct {
	At       time.Time `json:"at"`
	Node     string    `json:"node"` // whose decision it was, by name
	Code     string    `json:"code"` // from the catalogue: "took_over", "peer_silent", …
	Sentence string    `json:"sentence"`

	// Late is for how long at most the heartbeat was under way that told what the other node decided: At, by the clock of this node, may be so much too late. Zero for
	// its own decisions, and when it is not known.
	Late time.Duration `json:"late_ns,omitempty"`
}

// PairStep is one step of making or breaking a pair, as it is shown while it happens.
type PairStep struct {
	Code     string `json:"code"` // "connect", "examine", …
	Sentence string `json:"sentence"`
	Done     bool   `json:"done"`
}

// PairWish asks that this node becomes the Primary of a pair.
type PairWish struct {
	Address  netip.AddrPort `json:"address"`      // of the other node's SSH endpoint
	HostKey  string         `json:"host_key"`     // the fingerprint of its host key, as it was confirmed; required
	Password string         `json:"password"`     // of loadbalancer there
	Own      netip.Addr     `json:"own,omitzero"` // by which the other node finds this one; zero: the one that the connection has
}

// LogValue keeps the password out of logs.
func (w PairWish) LogValue() slog.Value { return slog.StringValue("pair with " + w.Address.String()) }
