package http1

import (
	"fmt"
	"time"

	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

var _ wire.Waiter = (*core)(nil)

// stay is a request's time in the queue of its service.
type stay struct {
	ticket wire.Ticket   // nil: it never waited
	since  wire.Time     // zero: it does not wait
	until  wire.Time     // the whole of its patience; zero: it never waited
	spent  time.Duration // waits that are over
}

// waits tells whether a request stands in the queue.
func (x *exchange) waits() bool { return x.stay.since != 0 }

// wait has the request wait for a place. Its client is read meanwhile, so that it is seen when that goes away.
func (k *core) wait(t wire.Ticket) {
	x, now := k.x, k.now()
	p := &x.stay
	if p.ticket, p.since = t, now; p.until == 0 {
		p.until = now.Add(t.Patience())
	}
	x.dialedAt = 0 // servers that were silent before the wait do not count behind it
	k.armAt(p.until)
}

// waited ends the wait.
func (p *stay) waited(now wire.Time) {
	p.spent += now.Sub(p.since)
	p.since = 0
}

// Turn implements wire.Waiter: there is a place, or nothing to wait for.
func (k *core) Turn() {
	x := k.x
	if k.over || x == nil || !x.waits() {
		return
	}
	x.stay.waited(k.now())
	if k.leftover {
		k.pause() // until the server is connected
	}
	if k.choose(nil) && !x.connecting {
		k.proceed()
	}
}

// giveUp turns the request away that has waited long enough.
func (k *core) giveUp() {
	p := &k.x.stay
	whole := p.until.Sub(p.since) + p.spent
	retry := int(min(max(whole, time.Second), time.Minute) / time.Second)
	k.refuseAs(wire.EndQueueTimeout, request.Verdict{Status: 503, Reason: fmt.Sprintf("waited %s in the queue", spoken(whole)), Retry: retry})
}

// spoken writes a time as people read it.
func spoken(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
	return fmt.Sprintf("%d ms", int(d/time.Millisecond))
}

// leaveQueue gives up the place in the queue, if there is one.
func (x *exchange) leaveQueue(now wire.Time) {
	if x.waits() {
		x.stay.waited(now)
		x.stay.ticket.Leave()
	}
}
