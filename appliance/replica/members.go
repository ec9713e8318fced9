package replica

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// Options of Members. All that is not said to be optional is required.
type Options struct {
	Secrets Secrets
	Version string
	HostKey string // of this node's SSH endpoint, as in authorized_keys
	SSHPort uint16 // where that listens

	Name     func() string         // of this node
	Services func() int            // of the cluster line, saved or running
	Floating func() []netip.Addr   // the addresses of virtual services
	Own      func() []netip.Addr   // the addresses of this machine; nil: not known
	Networks func() []netip.Prefix // its own addresses with their networks, without floating ones; nil: heartbeats have one path
	Active   func() bool           // this node owns the floating addresses
	Lost     func() bool           // the peer is not heard; nil: nobody asks a peer that is not heard whether there still is a pair
	// Leave gives up the services, because after the pair they belong to the other node.
	Leave func(context.Context, appliance.Origin) error
	// Verify checks the password of loadbalancer; it slows guesses down and records them.
	Verify func(ctx context.Context, from netip.Addr, password string) error

	Alert   func(appliance.Alert) // nil: nobody is told
	Clear   func(code string)     // nil: likewise
	Changed func()                // is called after the membership changed; it must not wait for a connection of the peer. nil: nobody wants to know
	Dial    Dial                  // nil: the network's
	Log     *slog.Logger          // nil: nothing is logged
	Now     func() time.Time      // nil: time.Now
}

// Members keeps who the peer is. It makes and breaks pairs, and says whose password and whose key open the SSH endpoint. It is safe for concurrent use.
type Members struct {
	o    Options
	self identity
	log  *slog.Logger
	turn chan struct{} // holds a token while a pair is made or broken from here

	asked time.Time // when a peer that is lost was asked last; only Run's

	current atomic.Pointer[appliance.Membership] // nil: no pair

	mu      sync.Mutex // guards what follows, and changes of current; held while one is written
	pending *pending
	stuck   string // why the pending pair was not finished at the last try
	former  []former
}

// pending is a pair that is being made. It is decided when the Primary has the Secondary's word, and signs in by its key to hold it to that; only the Primary decides, so
// that a cut in the middle leaves a question that one sign-in answers, and never half a pair.
type pending struct {
	Membership appliance.Membership `json:"membership"`
	Decided    bool                 `json:"decided"`
}

// former is a pair that was broken here: its other node is told so when it comes.
type former struct {
	Key    string    `json:"key"`
	Name   string    `json:"name"`
	Broken time.Time `json:"broken"`
	Kept   bool      `json:"kept,omitempty"` // this node has kept the services
	By     breaker   `json:"by,omitempty"`
	Seen   bool      `json:"seen,omitempty"` // somebody has dismissed it, or there was another pair since
}

const mostFormer = 8

// Open reads what is kept. A pair that another node began to make and did not finish is dropped.
func Open(ctx context.Context, o Options) (*Members, error) {
	m := &Members{o: o, log: o.Log, turn: make(chan struct{}, 1)}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.log = m.log.With("component", "replica")
	if m.o.Now == nil {
		m.o.Now = time.Now
	}
	if m.o.Dial == nil {
		m.o.Dial = racing((&net.Dialer{Control: impatient}).DialContext)
	}
	if m.o.Own == nil {
		m.o.Own = func() []netip.Addr { return nil }
	}
	if m.o.Networks == nil {
		m.o.Networks = func() []netip.Prefix { return nil }
	}
	if m.o.Alert == nil {
		m.o.Alert = func(appliance.Alert) {}
	}
	if m.o.Clear == nil {
		m.o.Clear = func(string) {}
	}
	if m.o.Changed == nil {
		m.o.Changed = func() {}
	}
	var err error
	if m.self, err = readIdentity(ctx, o.Secrets); err != nil {
		return nil, err
	}
	current, err := readSecret[appliance.Membership](ctx, o.Secrets, secretPair)
	if err != nil {
		return nil, err
	}
	m.current.Store(current)
	if m.pending, err = readSecret[pending](ctx, o.Secrets, secretPending); err != nil {
		return nil, err
	}
	list, err := readSecret[[]former](ctx, o.Secrets, secretFormer)
	if err != nil {
		return nil, err
	}
	if list != nil {
		m.former = *list
	}
	m.tellEnded()
	if m.pending != nil && !m.pending.Decided {
		m.pending = nil
		return m, o.Secrets.ExchangeSecrets(ctx, nil, []string{secretPending})
	}
	return m, nil
}

// readSecret returns nil when there is none.
func readSecret[T any](ctx context.Context, s Secrets, name string) (*T, error) {
	b, err := s.Secret(ctx, name, nil)
	if appliance.KindOf(err) == appliance.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(b, out); err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "read the membership", Message: "What is kept of the pair cannot be read by this version.", Err: err}
	}
	return out, nil
}

// Current returns the membership, with the names that the nodes have now, told apart; ok is false for a node that is in no pair. What it points to must not be changed.
func (m *Members) Current() (of appliance.Membership, ok bool) {
	c := m.current.Load()
	if c == nil {
		return appliance.Membership{}, false
	}
	of = *c
	of.Self.Name = m.own()
	return of.Distinct(), true
}

// ID returns the id of this node.
func (m *Members) ID() string { return m.self.id }

// Unfinished returns the other node of a pair that this node, as its Primary, has decided on and not yet seen confirmed.
func (m *Members) Unfinished() (other appliance.Node, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil || !m.pending.Decided {
		return appliance.Node{}, false
	}
	return m.pending.Membership.Peer, true
}

// WhyUnfinished returns why that pair was not confirmed at the last try; empty: it was not tried yet.
func (m *Members) WhyUnfinished() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stuck
}

// Known tells whether an address is the peer's.
func (m *Members) Known(a netip.Addr) bool {
	if c := m.current.Load(); c != nil {
		return c.Peer.Address == a
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pending != nil && m.pending.Membership.Peer.Address == a
}

// EnterByPassword tells whether the password opens the pairing. Whoever knows it is told why there can be no pair; others are told that it is wrong.
func (m *Members) EnterByPassword(ctx context.Context, from netip.Addr, password string) error {
	if err := m.o.Verify(ctx, from, password); err != nil {
		return err
	}
	err := m.free()
	if err != nil {
		m.refuse(ctx, from, "", err)
	}
	return err
}

// free tells whether this node can become part of a pair.
func (m *Members) free() error {
	const op = "make a pair"
	if peer, ok := m.Current(); ok {
		return &appliance.Error{
			Kind: appliance.Conflict, Op: op, Message: m.o.Name() + " is in a pair with " + peer.Peer.Name + " already.", Hint: "Break that pair first, on either of its nodes.",
		}
	}
	if peer, ok := m.Unfinished(); ok {
		return &appliance.Error{
			Kind: appliance.Conflict, Op: op, Message: m.o.Name() + " is about to become a pair with " + peer.Name + "; that is not finished.",
			Hint: "It finishes by itself when the other node can be reached; or give it up there.",
		}
	}
	return nil
}

// EnterByKey tells whether the key opens the settings. The first sign-in of the Primary's key makes this node the Secondary that it agreed to be.
func (m *Members) EnterByKey(ctx context.Context, from netip.Addr, key string) error {
	promoted, err := m.enterByKey(ctx, from, key)
	if promoted {
		m.o.Changed()
	}
	return err
}

func (m *Members) enterByKey(ctx context.Context, from netip.Addr, key string) (promoted bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.current.Load()
	if current != nil && current.Peer.Key == key {
		return false, nil
	}
	if current == nil && m.pending != nil && !m.pending.Decided && m.pending.Membership.Peer.Key == key {
		return true, m.promote(ctx, appliance.Origin{Operator: "system", From: from, Via: "pair"})
	}
	for _, f := range m.former {
		if f.Key == key {
			return false, f.refusal(m.own())
		}
	}
	return false, &appliance.Error{Kind: appliance.NotFound, Op: "sign in", Message: "This node is in no pair with the one that has this key."}
}

// promote makes the pending membership the one that counts. The caller holds mu.
func (m *Members) promote(ctx context.Context, o appliance.Origin) error {
	made := m.pending.Membership
	keep := []former{}
	for _, f := range m.former {
		if f.Key != made.Peer.Key {
			f.Seen = true
			keep = append(keep, f)
		}
	}
	err := m.write(ctx, map[string]any{secretPair: made, secretFormer: keep}, []string{secretPending}, m.entry(o, "pair_make", made.Peer.Name, nil))
	if err != nil {
		return err
	}
	m.pending, m.former = nil, keep
	m.current.Store(&made)
	m.o.Clear(appliance.CodePairEnded)
	m.log.Info("the pair is made", "peer", made.Peer.Name, "address", made.Peer.Address, "role", made.Self.Role)
	return nil
}

// propose keeps a pair that is being made.
func (m *Members) propose(ctx context.Context, p pending) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current.Load() != nil || m.pending != nil && m.pending.Decided {
		return &appliance.Error{Kind: appliance.Conflict, Op: "make a pair", Message: "Another pair was made meanwhile."}
	}
	if err := m.write(ctx, map[string]any{secretPending: p}, nil); err != nil {
		return err
	}
	m.pending = &p
	return nil
}

// drop gives a pair up that was being made.
func (m *Members) drop(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil {
		return nil
	}
	if err := m.o.Secrets.ExchangeSecrets(context.WithoutCancel(ctx), nil, []string{secretPending}); err != nil {
		return err
	}
	m.pending = nil
	return nil
}

// write is not abandoned because who asked went away.
func (m *Members) write(ctx context.Context, set map[string]any, forget []string, audit ...appliance.AuditEntry) error {
	text := map[string][]byte{}
	for name, v := range set {
		b, err := json.Marshal(v)
		if err != nil {
			return &appliance.Error{Kind: appliance.Internal, Op: "write the membership", Err: err}
		}
		text[name] = b
	}
	return m.o.Secrets.ExchangeSecrets(context.WithoutCancel(ctx), text, forget, audit...)
}

func (m *Members) entry(o appliance.Origin, action, subject string, err error) appliance.AuditEntry {
	e := appliance.AuditEntry{At: m.o.Now().UTC(), Origin: o, Action: action, Subject: subject, Outcome: "done"}
	if err != nil {
		e.Outcome, e.Detail = "refused", appliance.ErrorsOf(err)[0].Text()
	}
	return e
}

func (m *Members) begin() (done func(), err error) {
	select {
	case m.turn <- struct{}{}:
		return func() { <-m.turn }, nil
	default:
		return nil, &appliance.Error{Kind: appliance.Conflict, Op: "change the pair", Message: "The pair is being made or broken already.", Hint: "Wait a moment."}
	}
}

func (m *Members) signer() ssh.AuthMethod {
	s, err := ssh.NewSignerFromKey(m.self.key)
	if err != nil {
		panic("replica: an ed25519 key is refused: " + err.Error())
	}
	return ssh.PublicKeys(s)
}

// dialPeer signs in at a node by the own key.
func (m *Members) dialPeer(ctx context.Context, peer appliance.Node, limit time.Duration) (*peerClient, error) {
	c, _, err := signIn(ctx, m.o.Dial, netip.AddrPortFrom(peer.Address, peer.SSHPort), SettingsUser, Fingerprint(peer.HostKey), m.signer(), limit)
	return c, err
}

// finish asks the other node of a decided pair to hold to its word. The pair is made, or dropped when the other node definitely says no; otherwise it stays open.
func (m *Members) finish(ctx context.Context, o appliance.Origin) error {
	peer, ok := m.Unfinished()
	if !ok {
		return nil
	}
	c, err := m.dialPeer(ctx, peer, signTime)
	if err != nil {
		if saidParted(err) {
			return errors.Join(err, m.drop(ctx))
		}
		return err
	}
	c.Close()
	m.mu.Lock()
	if m.pending != nil {
		err = m.promote(ctx, o)
	}
	m.mu.Unlock()
	if err == nil {
		m.o.Changed()
	}
	return err
}

const (
	finishFirst = time.Second
	finishMost  = 30 * time.Second
)

// Run finishes a pair that a cut or a restart left unfinished, and ends one that the other node broke while this one was away. It returns nil when the context ends.
func (m *Members) Run(ctx context.Context) error {
	pause := finishFirst
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if _, open := m.Unfinished(); !open {
			pause = finishFirst
			m.askLost(ctx)
		} else if done, err := m.begin(); err == nil {
			if err := m.finish(ctx, appliance.Origin{Operator: "system", Via: "pair"}); err != nil {
				m.log.Warn("the pair is not finished", "error", err)
				m.mu.Lock()
				m.stuck = appliance.ErrorsOf(err)[0].Text()
				m.mu.Unlock()
			}
			done()
			pause = min(2*pause, finishMost)
		}
		t.Reset(pause)
	}
}

func isHex(text string, bytes int) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == bytes
}
