package ha

import (
	"context"
	"time"

	"evenkeel/appliance/ha/role"
)

// drain is a planned switch's last requests.
type drain struct {
	stop  context.CancelFunc // nil: none is under way
	ready chan struct{}      // closed when the peer is ready to take the addresses
	turn  uint64
}

// startDrain lets requests in flight finish, beside the loop and beside the hands.
func (l *loop) startDrain(until time.Duration) {
	if l.drain.stop != nil {
		l.drain.stop()
	}
	l.drain.turn++
	ctx, cancel := context.WithCancel(l.ctx)
	l.drain.stop, l.drain.ready = cancel, make(chan struct{})
	ready, turn, left := l.drain.ready, l.drain.turn, until-bootTime()
	l.n.draining.Go(func() { l.n.finish(ctx, left, ready, turn) })
}

// finish waits for the requests, then for the end of the switch.
func (n *Node) finish(over context.Context, left time.Duration, ready <-chan struct{}, turn uint64) {
	ctx, cancel := context.WithTimeout(over, left)
	defer cancel()
	if n.part(ctx, ready) == nil {
		n.insist(over, func(l *loop) {
			if l.drain.turn == turn {
				l.give(role.Event{Kind: role.Drained})
			}
		})
	}
	<-over.Done()
	if n.o.Resume != nil {
		n.o.Resume()
	}
}

// part returns nil when nothing is under way any more and nobody comes after it.
func (n *Node) part(ctx context.Context, ready <-chan struct{}) error {
	if n.o.Drain != nil {
		if err := n.o.Drain(ctx); err != nil {
			return err
		}
	}
	select {
	case <-ready:
	case <-ctx.Done():
	}
	if n.o.Shut == nil {
		return nil
	}
	return n.o.Shut(ctx)
}

// followDrain tells it when the peer is ready, and ends it when the switch is over, whichever way it went.
func (l *loop) followDrain() {
	if l.drain.stop == nil {
		return
	}
	switch l.state.Phase {
	case role.Handing:
		if l.drain.ready != nil && l.state.Peer.Says.Has(role.Claims|role.Prepared) {
			close(l.drain.ready)
			l.drain.ready = nil
		}
	case role.Releasing:
	default:
		l.drain.stop()
		l.drain.stop, l.drain.ready = nil, nil
		l.drain.turn++
	}
}
