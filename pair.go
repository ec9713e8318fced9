package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
	"evenkeel/appliance/replica"
	"evenkeel/appliance/sshd"
	"evenkeel/engine"
)

// pair is this appliance's half of a pair, made or not: who the peer is, the SSH endpoint, settings on their way, and while there is a pair the node that runs.
type pair struct {
	a        *instance
	members  *replica.Members
	settings *replica.Sender
	receiver *replica.Receiver
	ground   *territory
	key      string // the fingerprint of the SSH host key
	doors    []sshd.Door
	table    tableState

	changed  chan struct{} // the membership is another
	early    *guarded      // what prepare has guarded, until the node runs
	half     atomic.Pointer[half]
	decided  atomic.Pointer[[]appliance.PairEvent] // the timeline while no node runs, oldest first; nil: nothing is kept
	parting  atomic.Pointer[engine.Parting]        // of a planned switch; nil: there is nothing to restore
	founding atomic.Bool                           // a pair is being made of this node, which served alone until now
	unheard  atomic.Pointer[appliance.Error]       // why the SSH endpoint does not listen; nil: it does

	mu       sync.Mutex // guards what follows
	watchers map[chan struct{}]struct{}
}

// half is the node that runs while there is a pair.
type half struct {
	membership appliance.Membership
	node       *ha.Node
}

// openPair reads who the peer is. Nothing runs yet.
func (a *instance) openPair(ctx context.Context) (*pair, error) {
	p := &pair{a: a, ground: a.ground, changed: make(chan struct{}, 1), watchers: map[chan struct{}]struct{}{}}
	p.recall(a.options.dir)
	key, err := sshd.HostKey(ctx, a.store)
	if err != nil {
		return nil, err
	}
	hostKey, fingerprint, err := sshd.Authorized(key)
	if err != nil {
		return nil, err
	}
	p.key = fingerprint
	_, port, err := net.SplitHostPort(a.options.ssh)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Invalid, Op: "open the pair", Message: fmt.Sprintf("%q is not an address with a port for the SSH endpoint.", a.options.ssh)}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Invalid, Op: "open the pair", Message: fmt.Sprintf("%q is not a port for the SSH endpoint.", port)}
	}
	p.members, err = replica.Open(ctx, replica.Options{
		Secrets: a.store, Version: Version, HostKey: hostKey, SSHPort: uint16(number),
		Name: a.hostname, Services: p.services, Floating: p.serviceAddresses, Own: p.ownAddresses, Networks: p.ownNetworks, Active: p.active, Lost: p.lost,
		Leave: a.control.Leave, Alert: a.control.Raise, Clear: a.control.Clear, Verify: p.verify, Changed: p.rejoin, Log: a.options.log,
	})
	if err != nil {
		return nil, err
	}
	a.control.SetWriter(p.writable) // from the first moment of a pair on, for its first settings
	p.settings = replica.NewSender(replica.SenderOptions{
		Members: p.members, Settings: a.control, Version: Version, Active: p.active, Watch: p.watch, Alert: a.control.Raise, Clear: a.control.Clear, Log: a.options.log,
	})
	p.receiver = replica.NewReceiver(replica.ReceiverOptions{Members: p.members, Settings: a.control, Version: Version, Restart: p.restartHere, Audit: a.store.Audit, Log: a.options.log})
	p.doors = []sshd.Door{
		{User: replica.PairingUser, Subsystem: replica.PairingSubsystem, Password: p.members.EnterByPassword, Serve: p.servePairing, Time: time.Minute},
		{User: replica.SettingsUser, Subsystem: replica.SettingsSubsystem, Key: p.members.EnterByKey, Serve: p.serveSettings, Newest: true},
	}
	return p, nil
}

// recall makes readable what was decided in earlier lives of this process.
func (p *pair) recall(dir string) {
	if told := ha.ReadTimeline(dir); len(told) > 0 {
		p.decided.Store(&told)
	}
}

func (p *pair) servePairing(ctx context.Context, s sshd.Session) error {
	return p.members.ServePairing(ctx, s, s.From.Addr())
}

func (p *pair) serveSettings(ctx context.Context, s sshd.Session) error {
	p.begun(ctx)
	return p.receiver.Serve(ctx, s, s.From.Addr(), s.Key)
}

// beginTime is how long settings wait for the node of a new pair to run.
const beginTime = 10 * time.Second

// begun waits until the node runs. Before that the addresses are not behind the lease, and settings of a new pair would put on this machine what the peer owns.
func (p *pair) begun(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beginTime)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for p.half.Load() == nil {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// verify checks the password of loadbalancer for whoever wants to make this node a Secondary.
func (p *pair) verify(ctx context.Context, from netip.Addr, password string) error {
	_, err := p.a.door.Verify(ctx, appliance.Origin{Operator: replica.PairingUser, From: from, Via: "ssh"}, replica.PairingUser, password)
	return err
}

// services counts those of the cluster line, saved or running.
func (p *pair) services() int {
	saved, running := p.a.configurations()
	return max(len(saved.Cluster.VirtualServices), len(running.Cluster.VirtualServices))
}

// serviceAddresses are those of virtual services, saved or running.
func (p *pair) serviceAddresses() []netip.Addr {
	var out []netip.Addr
	saved, running := p.a.configurations()
	for _, s := range slices.Concat(saved.Cluster.VirtualServices, running.Cluster.VirtualServices) {
		if s.Address.IsValid() && !s.Address.IsUnspecified() && !s.Address.IsLoopback() {
			out = append(out, s.Address)
		}
	}
	return union(out, nil)
}

// ownAddresses are those of this machine that stay here.
func (p *pair) ownAddresses() []netip.Addr {
	floating := p.serviceAddresses()
	return slices.DeleteFunc(ownAddresses(), func(a netip.Addr) bool { return slices.Contains(floating, a) })
}

// ownNetworks are the addresses of this machine that stay here, with their networks.
func (p *pair) ownNetworks() []netip.Prefix {
	floating := p.serviceAddresses()
	return slices.DeleteFunc(ownPrefixes(), func(n netip.Prefix) bool { return slices.Contains(floating, n.Addr()) })
}

// active tells whether this node owns the addresses, and so the settings. Alone it does.
func (p *pair) active() bool {
	if _, paired := p.members.Current(); !paired {
		return true
	}
	h := p.half.Load()
	if h == nil {
		return false
	}
	switch h.node.Activity() {
	case appliance.Active, appliance.HandingOn:
		return true
	}
	return false
}

// writable is control's question whether this node may change what both have in common.
func (p *pair) writable() (ok bool, name, url string) {
	m, paired := p.members.Current()
	if !paired || p.active() {
		return true, "", ""
	}
	h := p.half.Load()
	if h == nil {
		return false, "", ""
	}
	if s := h.node.Status(); s.Peer.State == appliance.Active || s.Peer.State == appliance.HandingOn {
		return false, m.Peer.Name, "https://" + net.JoinHostPort(m.Peer.Address.String(), strconv.Itoa(appliance.PortWebUI)) + "/lbadmin/"
	}
	return false, "", ""
}

// rejoin is told that the membership is another.
func (p *pair) rejoin() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
	p.wake()
}

// wake has the sender look.
func (p *pair) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// watch gives a tick after everything that may have changed what both nodes have in common, or who is active.
func (p *pair) watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	p.mu.Lock()
	p.watchers[c] = struct{}{}
	p.mu.Unlock()
	news, end := p.a.control.Watch()
	written, endWritten := p.a.store.Watch() // certificates and users are in no revision
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-news:
				p.wake()
			case <-written:
				p.wake()
			}
		}
	}()
	return c, func() {
		close(done)
		end()
		endWritten()
		p.mu.Lock()
		delete(p.watchers, c)
		p.mu.Unlock()
	}
}

// run keeps the SSH endpoint, the settings and, while there is a pair, the node going.
func (p *pair) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.serveSSH(ctx) })
	group.Go(func() error { return p.members.Run(ctx) })
	group.Go(func() error { return p.settings.Run(ctx) })
	group.Go(func() error { return p.keep(ctx) })
	return group.Wait()
}

const listenAgain = 2 * time.Second

// serveSSH listens as soon as the port is free.
func (p *pair) serveSSH(ctx context.Context) error {
	for ctx.Err() == nil {
		l, err := sshd.Listen(p.a.options.ssh)
		if err == nil {
			p.unheard.Store(nil)
			server, err := p.sshServer(ctx, l)
			if err != nil {
				l.Close()
				return err
			}
			return server.Run(ctx)
		}
		if first := p.unheard.Swap(appliance.ErrorsOf(err)[0]); first == nil {
			p.a.options.log.Warn("the SSH endpoint of the pair does not listen", "component", "main", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

func (p *pair) sshServer(ctx context.Context, l net.Listener) (*sshd.Server, error) {
	key, err := sshd.HostKey(ctx, p.a.store)
	if err != nil {
		return nil, err
	}
	return sshd.New(sshd.Options{Listener: l, HostKey: key, Doors: p.doors, Known: p.members.Known, Audit: p.a.store.Audit, Log: p.a.options.log})
}

// keep runs a node for as long as there is a pair, and the next one for the next pair.
func (p *pair) keep(ctx context.Context) error {
	for ctx.Err() == nil {
		m, paired := p.members.Current()
		if !paired {
			p.tellEnded()
			select {
			case <-ctx.Done():
			case <-p.changed:
			}
			continue
		}
		if err := p.together(ctx, m); err != nil && ctx.Err() == nil {
			p.a.options.log.Error("the heartbeat does not run", "component", "main", "error", err)
			p.a.control.Raise(appliance.Alert{
				Code: codeNoHeartbeat, Severity: appliance.Critical, Sentence: "The heartbeat of the pair does not run: " + appliance.ErrorsOf(err)[0].Text(),
				Hint: "It is tried again every few seconds; this node owns no floating addresses meanwhile.",
			})
			select {
			case <-ctx.Done():
			case <-p.changed:
			case <-time.After(listenAgain):
			}
			continue
		}
		p.a.control.Clear(codeNoHeartbeat)
	}
	return nil
}

// codeNoHeartbeat is the alert while the node of a pair cannot run.
const codeNoHeartbeat = "no_heartbeat"
