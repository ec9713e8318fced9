package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// failures remembers when live traffic failed on one server, on all loops: the last ones but one of those that take it down. It is made for one configuration.
type failures struct {
	window wire.Time
	next   atomic.Uint64
	times  []atomic.Int64
}

func newFailures(o appliance.Observe) *failures {
	if o.Failures == 0 {
		return nil
	}
	return &failures{window: wire.Time(o.Window), times: make([]atomic.Int64, o.Failures-1)}
}

// add counts a failure and tells whether there were enough within the window.
func (f *failures) add(now wire.Time) bool {
	if len(f.times) == 0 {
		return true
	}
	oldest := f.times[f.next.Add(1)%uint64(len(f.times))].Swap(int64(now))
	return oldest != 0 && now-wire.Time(oldest) <= f.window
}

// sighting is what takes a server down.
type sighting struct{ server, sentence string }

// mostSeen is how many wait for the monitor; what is beyond is seen again with the next failure.
const mostSeen = 64

// sawAnswer counts an answer that is a failure, or that none came (status 0). The settings are those of the service whose server it is: a rule may have led there.
func (s *shard) sawAnswer(n *seat, status int) {
	if n.server == nil {
		return
	}
	if owner := n.server.service.shards[s.lane.number]; status == 0 || status > 0 && status <= 599 && owner.failing.Contains(uint16(status)) {
		owner.observed(n)
	}
}

// sawFailure counts a connection that could not be made, unless it is this appliance that lacks something.
func (s *shard) sawFailure(n *seat, err error) {
	if n.server == nil || isOurs(err) {
		return
	}
	n.server.service.shards[s.lane.number].observed(n)
}

// isOurs tells whether an error is want of descriptors, ports or memory on this appliance, which says nothing of a server.
func isOurs(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return false
	}
	return slices.Contains([]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL, syscall.EAGAIN}, e)
}

// observed counts a failure of live traffic on a server of the shard's own service.
func (s *shard) observed(n *seat) {
	f := n.server.failures.Load()
	if f == nil || !f.add(s.lane.loop.Now()) || n.server.down.Load() {
		return
	}
	o := &s.config.Monitor.Observe
	times := fmt.Sprintf("%d times", o.Failures)
	if o.Failures == 1 {
		times = "once"
	}
	select {
	case s.engine.seen <- sighting{n.server.id, fmt.Sprintf("Live traffic failed %s within %s; checks bring the server back.", times, o.Window)}:
	default:
	}
}

// runObserved tells the monitor what live traffic saw.
func (e *Engine) runObserved(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case it := <-e.seen:
			e.monitor.MarkDown(it.server, it.sentence)
		}
	}
}

// watch begins to count the failures of a service's servers anew when what counts has changed.
func (w *serviceSwap) watch() {
	o := w.config.Monitor.Observe
	for _, r := range w.servers {
		f := r.failures.Load()
		if o.Failures == 0 || f == nil || f.window != wire.Time(o.Window) || len(f.times) != o.Failures-1 {
			r.failures.Store(newFailures(o))
		}
	}
}
