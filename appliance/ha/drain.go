package ha

import (
	"context"
	"time"

	"evenkeel/appliance/ha/role"
)

// drain is a planned switch's last requests.
type drain struct {
	stop context.CancelFunc // nil: none is under way
	turn uint64
}

// startDrain lets requests in flight finish, beside the loop and beside the hands.
func (l *loop) startDrain(until time.Duration) {
	if l.drain.stop != nil {
		l.drain.stop()
	}
	l.drain.turn++
	ctx, cancel := context.WithCancel(l.ctx)
	l.drain.stop = cancel
	turn, left := l.drain.turn, until-bootTime()
	l.n.draining.Go(func() { l.n.finish(ctx, left, turn) })
}

// finish waits for the requests, then for the end of the switch.
func (n *Node) finish(over context.Context, left time.Duration, turn uint64) {
	ctx, cancel := context.WithTimeout(over, left)
	defer cancel()
	var err error
	if n.o.Drain != nil {
		err = n.o.Drain(ctx)
	}
	if err == nil {
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

// finishDrain ends it when the switch is over, whichever way it went.
func (l *loop) finishDrain() {
	if l.drain.stop == nil || l.state.Phase == role.Handing || l.state.Phase == role.Releasing {
		return
	}
	l.drain.stop()
	l.drain.stop = nil
	l.drain.turn++
}
