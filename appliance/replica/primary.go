package replica

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// hello is what the Primary says first.
type hello struct {
	Format   int            `json:"format"`
	Version  string         `json:"version"`
	Node     appliance.Node `json:"node"`
	Floating []netip.Addr   `json:"floating"`
	Address  netip.Addr     `json:"address"` // by which the Primary finds the Secondary
}

// welcome is what the Secondary answers: what it is, or why not.
type welcome struct {
	Format  int            `json:"format"`
	Version string         `json:"version"`
	Node    appliance.Node `json:"node"`
	Refused *refusal       `json:"refused,omitempty"`
}

// proposal is the membership as the Secondary is to keep it.
type proposal struct {
	Membership appliance.Membership `json:"membership"`
}

// agreed says that the Secondary keeps the proposal and waits for the Primary's key, or why not.
type agreed struct {
	Refused *refusal `json:"refused,omitempty"`
}

// PeerKey returns the fingerprint of the host key of the SSH endpoint there, for the operator to confirm. Nothing else is sent or asked.
func (m *Members) PeerKey(ctx context.Context, at netip.AddrPort) (string, error) {
	if err := m.checkAddress(at); err != nil {
		return "", err
	}
	key, err := hostKey(ctx, m.o.Dial, at)
	if err != nil {
		return "", err
	}
	if authorized(key) == m.o.HostKey {
		return "", ownAddress(at.Addr())
	}
	return ssh.FingerprintSHA256(key), nil
}

// Pair makes this node the Primary of a pair. report is told each step, when it begins and when it is done. After an error there is no pair on either node, or it is
// Unfinished: then Run finishes it, or Pair for the same node. Kinds: invalid at a field of the wish, conflict and unsupported with the reason, denied, unavailable.
func (m *Members) Pair(ctx context.Context, o appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) (appliance.Membership, error) {
	done, err := m.begin()
	if err != nil {
		return appliance.Membership{}, err
	}
	defer done()
	made, err := m.pair(ctx, o, w, report)
	if err != nil {
		m.log.Error("no pair was made", "peer", w.Address, "error", err)
		if written := m.o.Secrets.ExchangeSecrets(context.WithoutCancel(ctx), nil, nil, m.entry(o, "pair_make", w.Address.String(), err)); written != nil {
			m.log.Error("audit entry not written", "action", "pair_make", "error", written)
		}
	}
	return made, err
}

func (m *Members) pair(ctx context.Context, o appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) (appliance.Membership, error) {
	steps := steps{report: report}
	if peer, open := m.Unfinished(); open && peer.Address == w.Address.Addr() {
		steps.next("keys", "Finishing what was begun with "+peer.Name)
		if err := m.finish(ctx, o); err == nil {
			steps.end()
			made, _ := m.Current()
			return made, nil
		}
	}
	steps.next("check", "Checking what was asked for")
	if err := m.checkWish(w); err != nil {
		return appliance.Membership{}, err
	}
	steps.next("connect", fmt.Sprintf("Connecting to %s, comparing its host key with the one that was confirmed, and signing in", w.Address))
	c, key, err := signIn(ctx, m.o.Dial, w.Address, PairingUser, w.HostKey, ssh.Password(w.Password), signTime)
	if err != nil {
		return appliance.Membership{}, ofPassword(err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	membership, err := m.negotiate(ctx, c.Client, key, w, &steps)
	if err != nil {
		return appliance.Membership{}, err
	}
	if err := m.propose(ctx, pending{Membership: membership, Decided: true}); err != nil {
		return appliance.Membership{}, err
	}
	c.Close()
	steps.next("keys", "Signing in by this node's own key; the password is not used again")
	if err := m.finish(ctx, o); err != nil {
		return appliance.Membership{}, err
	}
	named := membership.Distinct()
	steps.next("done", named.Self.Name+" is the Primary, "+named.Peer.Name+" the Secondary")
	steps.end()
	return membership, nil
}

// ofPassword says of a sign-in that the other node denied which field was wrong.
func ofPassword(err error) error {
	if e, ok := errors.AsType[*appliance.Error](err); ok && e.Kind == appliance.Denied && errors.Is(err, errSaidNo) {
		denied := *e
		denied.Field = "password"
		return &denied
	}
	return err
}

// steps tells what happens, one step after the other.
type steps struct {
	report func(appliance.PairStep)
	now    appliance.PairStep
}

func (s *steps) next(code, sentence string) {
	s.end()
	s.now = appliance.PairStep{Code: code, Sentence: sentence}
	if s.report != nil {
		s.report(s.now)
	}
}

func (s *steps) end() {
	if s.now.Code == "" || s.report == nil {
		return
	}
	s.now.Done = true
	s.report(s.now)
	s.now = appliance.PairStep{}
}

func ownAddress(a netip.Addr) error {
	return &appliance.Error{Kind: appliance.Invalid, Op: "make a pair", Field: "address", Message: fmt.Sprintf("%s is this appliance itself.", a), Hint: "Type the address of the other one."}
}

// checkAddress looks at the address alone.
func (m *Members) checkAddress(at netip.AddrPort) error {
	const op, field = "make a pair", "address"
	a := at.Addr()
	switch {
	case !a.IsValid() || at.Port() == 0 || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" || a.Is4In6():
		return &appliance.Error{Kind: appliance.Invalid, Op: op, Field: field, Message: "This is not the address of another appliance."}
	case slices.Contains(m.o.Own(), a):
		return ownAddress(a)
	case slices.Contains(m.o.Floating(), a):
		return &appliance.Error{
			Kind: appliance.Invalid, Op: op, Field: field, Message: fmt.Sprintf("%s is the address of a virtual service; it moves between the nodes.", a),
			Hint: "Type the other appliance's own address.",
		}
	}
	return nil
}

func (m *Members) checkWish(w appliance.PairWish) error {
	const op = "make a pair"
	if err := m.free(); err != nil {
		return err
	}
	if err := m.checkAddress(w.Address); err != nil {
		return err
	}
	switch {
	case w.HostKey == "":
		return &appliance.Error{
			Kind: appliance.Invalid, Op: op, Field: "host_key", Message: "The fingerprint of the other node's host key was not confirmed.",
			Hint: "Compare it with the one on the other node's page or console.",
		}
	case w.HostKey == Fingerprint(m.o.HostKey):
		return ownAddress(w.Address.Addr())
	case w.Password == "":
		return &appliance.Error{Kind: appliance.Invalid, Op: op, Field: "password", Message: "The password of loadbalancer on the other node is missing."}
	case w.Own.IsValid() && (w.Own.IsUnspecified() || w.Own.IsMulticast() || w.Own.Zone() != "" || slices.Contains(m.o.Floating(), w.Own)):
		return &appliance.Error{Kind: appliance.Invalid, Op: op, Field: "own", Message: fmt.Sprintf("%s is not this node's own address.", w.Own)}
	}
	return nil
}

// negotiate speaks with the Secondary until it has agreed.
func (m *Members) negotiate(ctx context.Context, c *ssh.Client, key ssh.PublicKey, w appliance.PairWish, steps *steps) (appliance.Membership, error) {
	const op = "make a pair"
	self, err := m.asPrimary(c, w)
	if err != nil {
		return appliance.Membership{}, err
	}
	talk, err := openTalk(c)
	if err != nil {
		return appliance.Membership{}, unreachable(w.Address, err)
	}
	defer talk.Close()
	steps.next("examine", "Asking the other node whether it can be the Secondary")
	var answer welcome
	if err := talk.ask(hello{Format, m.o.Version, self, m.o.Floating(), w.Address.Addr()}, &answer); err != nil {
		return appliance.Membership{}, unreachable(w.Address, err)
	}
	if answer.Refused != nil {
		return appliance.Membership{}, answer.Refused.err(op)
	}
	if answer.Format != Format {
		return appliance.Membership{}, otherFormat(m.o.Version, answer.Version)
	}
	peer := answer.Node
	peer.Name, peer.Role, peer.Address, peer.SSHPort, peer.HostKey = clean(peer.Name), appliance.Secondary, w.Address.Addr(), w.Address.Port(), authorized(key)
	peer.Networks = networks(peer.Networks)
	if _, err := parseKey(peer.Key); err != nil || !isHex(peer.ID, 8) {
		return appliance.Membership{}, &appliance.Error{Kind: appliance.Invalid, Op: op, Message: "What the other node says of itself makes no sense.", Err: err}
	}
	if peer.ID == self.ID || peer.Key == self.Key {
		return appliance.Membership{}, clone()
	}
	made := appliance.Membership{Cluster: randomHex(8), Self: self, Peer: peer, Since: m.o.Now().UTC(), Keys: []appliance.HeartbeatKey{{ID: 1, Secret: make([]byte, 32)}}}
	made.Witness = appliance.HeartbeatKey{ID: 1, Secret: make([]byte, 32)}
	for _, secret := range [][]byte{made.Keys[0].Secret, made.Witness.Secret} {
		_, _ = rand.Read(secret) // never fails
	}
	steps.next("reach", "Having the other node reach this one and compare its host key")
	theirs := made
	theirs.Self, theirs.Peer = made.Peer, made.Self
	var word agreed
	if err := talk.ask(proposal{theirs}, &word); err != nil {
		return appliance.Membership{}, unreachable(w.Address, err)
	}
	if word.Refused != nil {
		return appliance.Membership{}, word.Refused.err(op)
	}
	return made, ctx.Err()
}

func clone() error {
	return &appliance.Error{
		Kind: appliance.Conflict, Op: "make a pair", Message: "Both nodes have the same identity: one is a copy of the other's disk, or they are the same appliance.",
		Hint: "Set up the second appliance anew instead of copying the first.",
	}
}

func otherFormat(ours, theirs string) error {
	return &appliance.Error{
		Kind: appliance.Unsupported, Op: "make a pair", Message: fmt.Sprintf("This node has version %s, the other %s; they cannot work together.", ours, clean(theirs)),
		Hint: "Bring both to the same version.",
	}
}

// asPrimary is what this node says of itself.
func (m *Members) asPrimary(c *ssh.Client, w appliance.PairWish) (appliance.Node, error) {
	own := w.Own
	if !own.IsValid() {
		if tcp, ok := c.LocalAddr().(*net.TCPAddr); ok {
			own = tcp.AddrPort().Addr().Unmap().WithZone("")
		}
	}
	if !own.IsValid() || slices.Contains(m.o.Floating(), own) {
		return appliance.Node{}, &appliance.Error{
			Kind: appliance.Invalid, Op: "make a pair", Field: "own", Message: "By which address the other node finds this one is not clear: the connection begins at the address of a virtual service.",
			Hint: "Type this node's own address.",
		}
	}
	return m.node(appliance.Primary, own), nil
}

func (m *Members) node(role appliance.PairRole, address netip.Addr) appliance.Node {
	return appliance.Node{ID: m.self.id, Name: m.own(), Role: role, Address: address, SSHPort: m.o.SSHPort, HostKey: m.o.HostKey, Key: m.self.public(), Networks: networks(m.o.Networks())}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%x", b)
}

// mostNetworks is how many networks a node tells of.
const mostNetworks = 16

// networks keeps what may be told of a node's networks, its own or the other's.
func networks(list []netip.Prefix) []netip.Prefix {
	list = slices.DeleteFunc(slices.Clone(list), func(p netip.Prefix) bool {
		a := p.Addr()
		return !p.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Zone() != "" || a.Is4In6()
	})
	if len(list) == 0 {
		return nil
	}
	return list[:min(len(list), mostNetworks)]
}
