package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
	"evenkeel/engine/persist"
	"evenkeel/engine/persist/mirror"
)

// tableState is what is known of the copy of the persistence table.
type tableState struct {
	round atomic.Pointer[tableRound]
	heard atomic.Int64 // when the last round was done, in nanoseconds since the program began
}

// tableRound is what the last round has shown.
type tableRound struct {
	mirror.Round
	sent bool // by this node; it has taken it otherwise
}

var programBegan = time.Now()

// signOfLife is how old the last round may be for the peer to count as alive by it. While it does, a passive node is not able to take over; if that lasts until the
// machine wants a new answer of the witness, every takeover takes twenty rounds of questions instead of four (measured: with 100 ms in four of ten isolations).
const signOfLife = 60 * time.Millisecond

func (t *tableState) told(r tableRound) {
	t.round.Store(&r)
	t.heard.Store(int64(time.Since(programBegan)))
}

// forget says that nothing is known any more.
func (t *tableState) forget() { t.round.Store(nil) }

// alive tells whether the peer was heard a moment ago.
func (t *tableState) alive() bool {
	return t.round.Load() != nil && time.Since(programBegan)-time.Duration(t.heard.Load()) < signOfLife
}

// status says whether the tables are equal, as proven by the last round; pending: there is none since the node does what it does.
func (t *tableState) status(now appliance.Activity) appliance.SyncStatus {
	r := t.round.Load()
	switch {
	case r == nil || !t.fresh() || r.sent != sendsTable(now):
		return appliance.SyncStatus{Pending: true, Sentence: fmt.Sprintf("The persistence table is not being copied: no connection on TCP %d.", appliance.PortPersistence)}
	case r.Equal:
		return appliance.SyncStatus{InSync: true, Sentence: fmt.Sprintf("in sync, %d entries", r.Entries)}
	}
	return appliance.SyncStatus{Sentence: fmt.Sprintf("being copied, %d parts differ", r.Differ)}
}

// digest is that of all tables: the same on both nodes when these are.
func (p *pair) digest() (out [16]byte) {
	tables := p.a.engine.Tables()
	slices.SortFunc(tables, func(a, b mirror.Table) int { return strings.Compare(a.Service, b.Service) })
	h := sha256.New()
	for _, t := range tables {
		_, _ = fmt.Fprintf(h, "%d %s", len(t.Service), t.Service)
		for n := range persist.Shards {
			s := t.Table.Sum(n)
			_, _ = fmt.Fprintf(h, " %d %d", s.Digest, s.Entries)
		}
	}
	copy(out[:], h.Sum(nil))
	return out
}

// tableStatus says whether the tables are equal: as the last round has proven, or, while there is no connection, as heartbeats tell.
func (p *pair) tableStatus(node *ha.Node) appliance.SyncStatus {
	s := p.table.status(node.Activity())
	if !s.Pending {
		return s
	}
	if theirs, at := node.PeerDigest(); time.Since(at) < signOfLife && theirs == p.digest() {
		s.Sentence += " What both nodes have is the same now."
	}
	return s
}

// fresh tells whether a round was done lately.
func (t *tableState) fresh() bool {
	return time.Since(programBegan)-time.Duration(t.heard.Load()) < 3*time.Second
}

// copyTables copies the persistence tables to the peer while this node is active, and takes the peer's while it is not.
func (p *pair) copyTables(ctx context.Context, m appliance.Membership, node *ha.Node) error {
	secrecy, err := p.members.TLS()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.sendTables(ctx, m, node, secrecy) })
	group.Go(func() error { return p.takeTables(ctx, m, node, secrecy) })
	return group.Wait()
}

// sendsTable tells whether a node gives its tables to the peer.
func sendsTable(now appliance.Activity) bool {
	return now == appliance.Active || now == appliance.HandingOn
}

// mirrorOptions are those of a connection that lasts while something is so. It is asked before each step, because what a node that has become active still took from its
// peer would undo what its own clients have done since.
func (p *pair) mirrorOptions(sent bool, so func() bool) mirror.Options {
	return mirror.Options{
		Tables: p.a.engine.Tables, Now: p.a.engine.Clock, Log: p.a.options.log, While: so,
		Told: func(r mirror.Round) { p.table.told(tableRound{r, sent}) },
	}
}

// tableAgain is how long nothing is tried after a connection has failed.
const tableAgain = 100 * time.Millisecond

// sendTables is the active node's side.
func (p *pair) sendTables(ctx context.Context, m appliance.Membership, node *ha.Node, secrecy *tls.Config) error {
	from := &net.TCPAddr{IP: m.Self.Address.AsSlice()}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second, LocalAddr: from}, Config: secrecy}
	at := netip.AddrPortFrom(m.Peer.Address, appliance.PortPersistence).String()
	var last string
	for ctx.Err() == nil {
		if node.Activity() == appliance.Active {
			err := p.sendOnce(ctx, node, &dialer, at)
			if err != nil && err.Error() != last {
				last = err.Error()
				p.a.options.log.Warn("persistence table not copied", "component", "main", "peer", at, "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(tableAgain):
		}
	}
	return nil
}

func (p *pair) sendOnce(ctx context.Context, node *ha.Node, dialer *tls.Dialer, at string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	defer p.table.forget()
	so := func() bool { return sendsTable(node.Activity()) }
	go p.while(ctx, cancel, so)
	return mirror.Send(ctx, conn, p.mirrorOptions(true, so))
}

// while cancels when something is no longer so: the connection may be waiting for the other side then.
func (p *pair) while(ctx context.Context, cancel func(), so func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for so() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	cancel()
}

// mostStrangers is how many connections may be about to prove whose they are.
const mostStrangers = 4

// takeTables is the passive node's side. One connection at a time: the newest that has proven to be the peer's, because an older one is what a peer left that has gone.
func (p *pair) takeTables(ctx context.Context, m appliance.Membership, node *ha.Node, secrecy *tls.Config) error {
	at := netip.AddrPortFrom(m.Self.Address, appliance.PortPersistence).String()
	l, err := listenWhenFree(ctx, at)
	if err != nil || l == nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	proven := make(chan *tls.Conn)
	var group errgroup.Group
	group.SetLimit(mostStrangers + 1)
	group.Go(func() error { return p.takeNewest(ctx, node, proven) })
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return group.Wait()
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(tableAgain):
			}
			continue
		}
		welcome := func() error { return prove(ctx, tls.Server(conn, secrecy), proven) }
		if addrPort(conn.RemoteAddr()).Addr() != m.Peer.Address || node.Activity() == appliance.Active || !group.TryGo(welcome) {
			_ = conn.Close()
		}
	}
}

// prove hands a connection on when it has shown the key of the peer.
func prove(ctx context.Context, conn *tls.Conn, proven chan<- *tls.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil || conn.HandshakeContext(ctx) != nil {
		_ = conn.Close()
		return nil
	}
	select {
	case proven <- conn:
	case <-ctx.Done():
		_ = conn.Close()
	}
	return nil
}

// takeNewest takes the tables of one connection, until the next.
func (p *pair) takeNewest(ctx context.Context, node *ha.Node, proven <-chan *tls.Conn) error {
	end := func() {}
	defer func() { end() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case conn := <-proven:
			end()
			own, cancel := context.WithCancel(ctx)
			done := make(chan struct{})
			end = func() { cancel(); <-done }
			go func() {
				defer close(done)
				p.takeOnce(own, cancel, node, conn)
			}()
		}
	}
}

func (p *pair) takeOnce(ctx context.Context, cancel func(), node *ha.Node, conn *tls.Conn) {
	defer cancel()
	defer p.table.forget()
	so := func() bool { return node.Activity() != appliance.Active }
	go p.while(ctx, cancel, so)
	if err := mirror.Receive(ctx, conn, p.mirrorOptions(false, so)); err != nil && ctx.Err() == nil {
		p.a.options.log.Warn("copy of the persistence table ended", "component", "main", "error", err)
	}
}

// listenWhenFree listens as soon as it can; nil: the context has ended before.
func listenWhenFree(ctx context.Context, at string) (net.Listener, error) {
	var config net.ListenConfig
	for ctx.Err() == nil {
		if l, err := config.Listen(ctx, "tcp", at); err == nil {
			return l, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil, nil
}
