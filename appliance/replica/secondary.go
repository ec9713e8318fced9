package replica

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"evenkeel/appliance"
)

// ServePairing speaks with a Primary that signed in by password. Nothing is kept before its proposal was examined, and what is kept then counts only when the Primary signs
// in by its key.
func (m *Members) ServePairing(ctx context.Context, rw io.ReadWriter, from netip.Addr) error {
	var first hello
	if err := hear(rw, &first); err != nil {
		return err
	}
	if err := m.examine(first); err != nil {
		m.refuse(ctx, from, first.Node.Name, err)
		return say(rw, welcome{Format: Format, Version: m.o.Version, Refused: refusalOf(err)})
	}
	self := m.node(appliance.Secondary, first.Address)
	if err := say(rw, welcome{Format: Format, Version: m.o.Version, Node: self}); err != nil {
		return err
	}
	var p proposal
	if err := hear(rw, &p); err != nil {
		return err
	}
	if err := m.agree(ctx, p.Membership, first.Node, self); err != nil {
		m.refuse(ctx, from, first.Node.Name, err)
		return say(rw, agreed{refusalOf(err)})
	}
	return say(rw, agreed{})
}

func (m *Members) refuse(ctx context.Context, from netip.Addr, who string, err error) {
	m.log.Warn("pairing refused", "from", from, "node", clean(who), "error", err)
	entry := m.entry(appliance.Origin{Operator: PairingUser, From: from, Via: "ssh"}, "pair_make", clean(who), err)
	if err := m.o.Secrets.ExchangeSecrets(context.WithoutCancel(ctx), nil, nil, entry); err != nil {
		m.log.Error("audit entry not written", "action", "pair_make", "error", err)
	}
}

// examine tells whether this node can be the Secondary of the one that says hello.
func (m *Members) examine(h hello) error {
	const op = "make a pair"
	if h.Format != Format {
		return otherFormat(m.o.Version, h.Version)
	}
	if err := m.free(); err != nil {
		return err
	}
	if n := m.o.Services(); n > 0 {
		return &appliance.Error{
			Kind: appliance.Conflict, Op: op, Message: fmt.Sprintf("%s has virtual services of its own (%d), which would be lost.", m.o.Name(), n),
			Hint: "Remove them there first, or make that node the Primary.",
		}
	}
	if err := checkNode(h.Node); err != nil {
		return err
	}
	switch {
	case h.Node.ID == m.self.id || h.Node.Key == m.self.public():
		return clone()
	case h.Node.HostKey == m.o.HostKey || h.Node.Address == h.Address && h.Node.SSHPort == m.o.SSHPort:
		return ownAddress(h.Address)
	case slices.Contains(h.Floating, h.Address) || slices.Contains(h.Floating, h.Node.Address):
		return &appliance.Error{Kind: appliance.Invalid, Op: op, Field: "address", Message: "The address of a virtual service moves between the nodes; it is no node's own address."}
	}
	return nil
}

// checkNode tells whether a node's own words can be used.
func checkNode(n appliance.Node) error {
	_, badHost := parseKey(n.HostKey)
	_, badKey := parseKey(n.Key)
	a := n.Address
	if badHost != nil || badKey != nil || n.HostKey == n.Key || !isHex(n.ID, 8) || n.SSHPort == 0 || clean(n.Name) != n.Name || len(n.Name) > longestName ||
		!a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" || a.Is4In6() {
		return &appliance.Error{Kind: appliance.Invalid, Op: "make a pair", Message: "What the node that asks says of itself makes no sense."}
	}
	return nil
}

// agree keeps the proposal if it is what both have said of themselves, and if this node finds the other by its host key.
func (m *Members) agree(ctx context.Context, p appliance.Membership, peer, self appliance.Node) error {
	const op = "make a pair"
	peer.Role = appliance.Primary
	said := p.Self
	said.SSHPort = self.SSHPort                                   // the Primary may know another port, when one is forwarded to this
	noWitness := p.Witness.ID != 0 && len(p.Witness.Secret) != 32 // a version without witness nodes proposes none
	if noWitness || appliance.Hash(p.Peer) != appliance.Hash(peer) || appliance.Hash(said) != appliance.Hash(self) || !isHex(p.Cluster, 8) || len(p.Keys) != 1 || len(p.Keys[0].Secret) != 32 {
		return &appliance.Error{Kind: appliance.Invalid, Op: op, Message: "The proposal is not what both nodes have said of themselves."}
	}
	at := netip.AddrPortFrom(peer.Address, peer.SSHPort)
	key, err := hostKey(ctx, m.o.Dial, at)
	if err != nil {
		return &appliance.Error{
			Kind: appliance.Unavailable, Op: op, Field: "own", Err: err, Message: fmt.Sprintf("%s does not reach %s at %s: %s", self.Name, peer.Name, at, appliance.ErrorsOf(err)[0].Text()),
			Hint: "Each node must reach the SSH endpoint of the other.",
		}
	}
	if authorized(key) != peer.HostKey {
		return &appliance.Error{Kind: appliance.Conflict, Op: op, Field: "own", Message: fmt.Sprintf("At %s %s finds another machine than %s.", at, self.Name, peer.Name)}
	}
	if err := m.free(); err != nil {
		return err
	}
	return m.propose(ctx, pending{Membership: p})
}
