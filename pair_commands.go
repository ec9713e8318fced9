package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
)

// What operators ask of a pair, by page, API and command line.

// Status is what is observed of the pair now.
func (p *pair) Status() appliance.PairStatus {
	h := p.half.Load()
	m, paired := p.members.Current()
	if h == nil || !paired { // a node whose pair was broken a moment ago is about to end
		return p.alone()
	}
	s := h.node.Status()
	s.Self.Name, s.Peer.Name = m.Self.Name, m.Peer.Name
	s.Settings = h.node.Settle(byHeartbeats(p.settingsStatus(s.Self.State), s))
	s.Table = h.node.Settle(p.tableStatus(h.node))
	s.Aside = p.setAside()
	s.Floating = p.floating(s.Self.State == appliance.Active || s.Self.State == appliance.HandingOn)
	return s
}

// alone is the status without a node that runs.
func (p *pair) alone() appliance.PairStatus {
	running := p.a.control.Running()
	s := appliance.PairStatus{At: time.Now(), Self: appliance.NodeStatus{
		ID: p.members.ID(), Name: p.a.hostname(), State: appliance.Alone, Revision: running.Revision.Number, Hash: running.Revision.Hash, Healthy: true, Version: Version,
	}, Sentence: "This appliance is in no pair: when it fails, its services fail."}
	if m, paired := p.members.Current(); paired {
		s.Paired, s.Self.Name, s.Self.Role, s.Self.Address, s.Self.State = true, m.Self.Name, m.Self.Role, m.Self.Address, appliance.Starting
		s.Peer = appliance.NodeStatus{ID: m.Peer.ID, Name: m.Peer.Name, Role: m.Peer.Role, Address: m.Peer.Address}
		s.Sentence = "The heartbeat of the pair is about to start."
		s.Settings = appliance.SyncStatus{Pending: true, Sentence: s.Sentence}
		s.Table = s.Settings
	}
	if peer, open := p.members.Unfinished(); open && !s.Paired {
		s.Unfinished, s.Peer = true, appliance.NodeStatus{ID: peer.ID, Name: peer.Name, Role: peer.Role, Address: peer.Address}
		s.Sentence = strings.TrimSpace(fmt.Sprintf("The pair with %s at %s is unfinished: the connection was cut before it confirmed. It is tried again by itself every few seconds; give the pairing up if that node never comes back. %s",
			peer.Name, peer.Address, p.members.WhyUnfinished()))
	}
	if end, ok := p.members.Ended(); ok {
		s.Ended = &end
	}
	s.Aside = p.setAside()
	if e := p.unheard.Load(); e != nil {
		s.Limits = append(s.Limits, e.Text()+" "+e.Hint)
	}
	s.Floating = p.floating(!s.Paired)
	return s
}

// setAside tells of the revisions that are in no line any more, on either node, and that nobody has seen yet.
func (p *pair) setAside() []string {
	out := []string{}
	for _, f := range p.a.control.Forks() {
		if !f.Seen {
			out = append(out, f.Sentence("this node"))
		}
	}
	return append(out, p.settings.Forks()...)
}

// settingsStatus is told by who sends on the active node, and by who takes on the passive one.
func (p *pair) settingsStatus(state appliance.Activity) appliance.SyncStatus {
	if state == appliance.Active || state == appliance.HandingOn {
		return p.settings.Status()
	}
	return p.receiver.Status()
}

// byHeartbeats is what a passive node says of its settings: what it was told to have may be older than what heartbeats tell that the active one runs.
func byHeartbeats(told appliance.SyncStatus, s appliance.PairStatus) appliance.SyncStatus {
	if told.InSync && s.Peer.State == appliance.Active && s.Peer.Hash != "" && s.Peer.Hash != s.Self.Hash {
		return appliance.SyncStatus{Sentence: fmt.Sprintf("%s runs revision %d, this node revision %d.", s.Peer.Name, s.Peer.Revision, s.Self.Revision)}
	}
	return told
}

// floating lists the services' addresses with who has them.
func (p *pair) floating(here bool) []appliance.FloatingAddress {
	out := []appliance.FloatingAddress{}
	list := p.a.control.Running().Config.Cluster.VirtualServices
	for _, a := range p.serviceAddresses() {
		f := appliance.FloatingAddress{Address: a, Here: here, Interface: interfaceOf(a)}
		for i := range list {
			if list[i].Address == a {
				f.Services = append(f.Services, list[i].Label)
			}
		}
		if f.Services == nil {
			f.Sentence = "Saved, and not yet applied."
		}
		out = append(out, f)
	}
	if p.ground.fixed() {
		return settled(out, here)
	}
	return out
}

// Timeline lists what both nodes decided, the newest first.
func (p *pair) Timeline() []appliance.PairEvent {
	list := []appliance.PairEvent{}
	if h := p.half.Load(); h != nil {
		list = slices.Clone(h.node.Timeline())
	} else if before := p.decided.Load(); before != nil {
		list = slices.Clone(*before)
	}
	slices.Reverse(list)
	return list
}

// OwnKey is the fingerprint of this node's SSH host key.
func (p *pair) OwnKey() string { return p.key }

// PeerKey asks another appliance for the fingerprint of its host key.
func (p *pair) PeerKey(ctx context.Context, at netip.AddrPort) (string, error) {
	return p.members.PeerKey(ctx, at)
}

// Differences is what would change here if this node ran what the peer runs.
func (p *pair) Differences(ctx context.Context) (appliance.Plan, error) {
	return p.settings.Differences(ctx)
}

// Pair makes this node the Primary of a pair.
func (p *pair) Pair(ctx context.Context, o appliance.Origin, w appliance.PairWish, report func(appliance.PairStep)) error {
	if e := p.unheard.Load(); e != nil {
		refused := *e
		refused.Op, refused.Message = "make a pair", "The other node could not reach this one: "+e.Text()
		return &refused
	}
	p.founding.Store(true)
	_, err := p.members.Pair(ctx, o, w, report)
	if err != nil {
		p.founding.Store(false)
	}
	return err
}

// Break ends the pair: the active node keeps the services and their addresses.
func (p *pair) Break(ctx context.Context, o appliance.Origin, report func(appliance.PairStep)) (appliance.PairBroken, error) {
	done, err := p.members.Break(ctx, o, report)
	if err != nil {
		return appliance.PairBroken{}, err
	}
	out := appliance.PairBroken{Keeps: done.Keeps}
	if done.Told != nil {
		out.Untold = appliance.ErrorsOf(done.Told)[0].Text()
	}
	return out, nil
}

// MakePrimary ends the pair of a Secondary whose Primary is gone, so that it can be the Primary of the next one. It keeps the services.
func (p *pair) MakePrimary(ctx context.Context, o appliance.Origin) error {
	const op = "make this node a Primary"
	m, paired := p.members.Current()
	switch h := p.half.Load(); {
	case !paired:
		return nil // it is alone, and every node that is alone can be one
	case m.Self.Role == appliance.Primary:
		return &appliance.Error{Kind: appliance.Conflict, Op: op, Message: "This node is the Primary."}
	case h == nil || h.node.Activity() != appliance.Active:
		return &appliance.Error{
			Kind: appliance.Conflict, Op: op, Message: "This node does not own the floating addresses; it would be a Primary without services.",
			Hint: "Make it active first, or break the pair.",
		}
	case h.node.Status().Peer.State != "" && time.Since(h.node.Status().Peer.Heard) < goneFor:
		return &appliance.Error{Kind: appliance.Conflict, Op: op, Message: fmt.Sprintf("The Primary, %s, is there.", m.Peer.Name), Hint: "Break the pair, if it is not to be one any more."}
	}
	_, err := p.members.Break(ctx, o, func(appliance.PairStep) {})
	return err
}

// Dismiss says that somebody knows of the pair that the other node broke.
func (p *pair) Dismiss(ctx context.Context, o appliance.Origin) error {
	return p.members.Dismiss(ctx, o)
}

// tellEnded puts into the timeline that the other node has broken the pair.
func (p *pair) tellEnded() {
	end, ok := p.members.Last()
	if !ok {
		return
	}
	told, err := ha.AddToTimeline(p.a.options.dir, appliance.PairEvent{At: end.At, Node: p.a.hostname(), Code: appliance.CodePairEnded, Sentence: end.Sentence()})
	if err != nil {
		p.a.options.log.Warn("timeline not saved", "component", "main", "error", err)
	}
	p.decided.Store(&told)
}

// lost tells whether the peer is not heard, by the node that runs.
func (p *pair) lost() bool {
	h := p.half.Load()
	return h != nil && h.node.Activity() != appliance.Starting && time.Since(h.node.Status().Peer.Heard) > lostFor
}

// lostFor is how long a peer must have been silent to be asked whether there still is a pair.
const lostFor = 3 * time.Second

// goneFor is how long a peer must have been silent to count as gone for good.
const goneFor = 10 * time.Second

// running is the node, or why there is none.
func (p *pair) running(op string) (*ha.Node, error) {
	if h := p.half.Load(); h != nil {
		return h.node, nil
	}
	return nil, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "This node is in no pair."}
}

// recorded writes into the audit what became of an action.
func (p *pair) recorded(ctx context.Context, o appliance.Origin, action, detail string, err error) error {
	e := appliance.AuditEntry{At: time.Now().UTC(), Origin: o, Action: action, Subject: "pair", Outcome: "done", Detail: detail}
	if err != nil {
		e.Outcome, e.Detail = "refused", appliance.ErrorsOf(err)[0].Text()
	}
	if written := p.a.store.Audit(context.WithoutCancel(ctx), e); written != nil {
		p.a.options.log.Error("audit entry not written", "component", "main", "action", action, "error", written)
	}
	return err
}

// switchTime is how long a planned switch may take.
const switchTime = 15 * time.Second

// Activate lets this node, or the peer, own the floating addresses.
func (p *pair) Activate(ctx context.Context, o appliance.Origin, peer bool) error {
	node, err := p.running("make active")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	who := "this node"
	if peer {
		who, err = "the peer", node.StandBy(ctx)
	} else {
		err = node.MakeActive(ctx, false)
	}
	return p.recorded(ctx, o, "pair_make_active", who, err)
}

// ActivateAlone lets this node own the floating addresses without its witness: the peer is off, as the operator has made sure.
func (p *pair) ActivateAlone(ctx context.Context, o appliance.Origin) error {
	node, err := p.running("make active")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	return p.recorded(ctx, o, "pair_make_active", "this node, the other one being off", node.MakeActive(ctx, true))
}

// RestartHeartbeat opens the paths of the heartbeat anew, on both nodes.
func (p *pair) RestartHeartbeat(ctx context.Context, o appliance.Origin) error {
	node, err := p.running("restart the heartbeat")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	if err = node.RestartHeartbeat(ctx); err == nil {
		err = p.members.RestartPeer(ctx)
	}
	return p.recorded(ctx, o, "pair_restart_heartbeat", "on both nodes", err)
}

// restartHere is the peer's wish.
func (p *pair) restartHere(ctx context.Context) error {
	node, err := p.running("restart the heartbeat")
	if err != nil {
		return err
	}
	return node.RestartHeartbeat(ctx)
}

// RotateKey begins a change of the heartbeat's key.
func (p *pair) RotateKey(ctx context.Context, o appliance.Origin) error {
	node, err := p.running("change the heartbeat's key")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, switchTime)
	defer cancel()
	return p.recorded(ctx, o, "pair_rotate_key", "", node.RotateKey(ctx))
}
