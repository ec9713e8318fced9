package relay

import (
	"fmt"
	"time"

	"evenkeel/engine/wire"
)

var _ wire.Waiter = (*session)(nil)

// stay is a session's time in the queue of its service.
type stay struct {
	ticket wire.Ticket
	since  wire.Time     // zero: it does not wait now
	until  wire.Time     // the whole of its patience
	spent  time.Duration // waits that are over
}

// queued tells whether the session stands in the queue.
func (s *session) queued() bool { return s.stay != nil && s.stay.since != 0 }

// place is the ticket to show with a question; nil: the session never waited.
func (s *session) place() wire.Ticket {
	if s.stay == nil {
		return nil
	}
	return s.stay.ticket
}

// queue has the session wait for a place. Its client is listened to meanwhile, so that it is seen when that goes away; what it sends is not taken.
func (s *session) queue(t wire.Ticket) {
	now := s.service.Loop().Now()
	if s.stay == nil {
		s.stay = &stay{until: now.Add(t.Patience())}
	}
	s.stay.ticket, s.stay.since = t, now
	s.trying = 0 // servers that were silent before the wait do not count behind it
	s.client.WakeAt(s.stay.until)
	s.client.Resume()
}

// Turn implements wire.Waiter: there is a place, or nothing to wait for.
func (s *session) Turn() {
	if s.over || !s.queued() {
		return
	}
	s.stay.waited(s.service.Loop().Now())
	s.client.WakeAt(0)
	s.client.Pause()
	s.connect()
}

func (p *stay) waited(now wire.Time) {
	p.spent += now.Sub(p.since)
	p.since = 0
}

// giveUp ends a session that has waited long enough.
func (s *session) giveUp() {
	p := s.stay
	s.turnedAway()
	s.end(wire.Conn.Close, wire.EndQueueTimeout, "waited "+spoken(p.until.Sub(p.since)+p.spent)+" in the queue")
}

// spoken writes a time as people read it.
func spoken(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
	return fmt.Sprintf("%d ms", int(d/time.Millisecond))
}

// leaveQueue gives up the place in the queue, if there is one.
func (s *session) leaveQueue() {
	if s.queued() {
		s.stay.waited(s.service.Loop().Now())
		s.stay.ticket.Leave()
	}
}

// inQueue is how long the session has stood there.
func (s *session) inQueue() time.Duration {
	if s.stay == nil {
		return 0
	}
	return s.stay.spent
}
