package http1

import (
	"syscall"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// Woken looks at what is due. The timer is set when something begins to be waited for and not moved at each progress, so it usually fires early.
func (k *core) Woken(c wire.Conn) {
	if k.isServer(c) {
		k.x.link.armed = 0
		return
	}
	if k.over {
		return
	}
	k.armed = 0
	if k.x == nil {
		k.wokenIdle()
	} else {
		k.wokenBusy()
	}
}

func (k *core) wokenIdle() {
	config, now := k.service.Config(), k.now()
	if k.unread.look(k.client) && !k.unread.empty() { // it still reads its last answer
		k.since = now
	}
	due := k.since.Add(config.Limits.ClientTimeout.D())
	if k.begun != 0 {
		due = k.begun.Add(config.HTTP.HeadTimeout.D())
	}
	switch {
	case now < due && k.client.Queued() > 0:
		k.armAt(min(due, now.Add(watchTime)))
	case now < due:
		k.armAt(due)
	case k.begun != 0:
		k.refuse(request.Verdict{Status: 408, Reason: "the request head did not arrive in time"})
	case k.client.Queued() > 0:
		k.abort()
	default:
		k.shut()
	}
}

func (k *core) wokenBusy() {
	x, now, limits := k.x, k.now(), k.limits()
	k.look(now)
	k.lookAtPeers(now)
	if x.evictBy != 0 && now >= x.evictBy {
		k.refuseAs(wire.EndEvicted, request.Verdict{Status: 503, Reason: "the request did not end in time after its server was halted"})
		return
	}
	next := now.Add(limits.ClientTimeout.D())
	check := func(since wire.Time, t wire.Time) bool {
		due := since + t
		next = min(next, max(due, now))
		return now >= due
	}
	client, server := wire.Time(limits.ClientTimeout), wire.Time(limits.ServerTimeout)
	blocked := k.unread.queued > 0 || x.downSplice && !k.unread.empty() // the client has to move first
	switch {
	case x.waits():
		if check(x.stay.until, 0) {
			k.giveUp()
			return
		}
	case x.connecting:
		if check(x.serverAt, wire.Time(limits.ConnectTimeout)) {
			k.server().Abort()
			x.link = nil
			k.dialFailed(syscall.ETIMEDOUT)
			return
		}
	case x.tunnel:
		if check(max(x.clientAt, x.serverAt), wire.Time(k.service.Config().HTTP.WebSocketTimeout)) {
			k.endTunnel(wire.EndClientTimeout)
			return
		}
	case blocked && check(x.clientAt, client):
		k.refuse(request.Verdict{Status: 408, Reason: "the client does not read its answer"})
		return
	case !blocked && x.up != upDone && x.unread.empty() && x.down == downHead && !x.expects:
		if check(x.clientAt, client) {
			k.refuse(request.Verdict{Status: 408, Reason: "the request body did not arrive in time"})
			return
		}
	case !blocked && check(x.serverAt, server):
		k.service.Answered(x.choice, 0, 0)
		k.refuse(request.Verdict{Status: 504, Reason: "the server did not answer in time"})
		return
	}
	if x.evictBy != 0 {
		next = min(next, x.evictBy)
	}
	if x.upSplice || x.downSplice || x.tunnel && !x.copies || blocked || !x.unread.empty() {
		next = min(next, now.Add(watchTime))
	}
	k.armAt(max(next, now+1))
}

// watch begins to look at a peer that does not take all at once, and has limit for it.
func (k *core) watch(limit appliance.Duration) { k.arm(min(watchTime, limit.D())) }

// look takes note of what splices have moved, which nobody reports.
func (k *core) look(now wire.Time) {
	x := k.x
	spliced := x.tunnel && !x.copies
	if x.upSplice || spliced {
		if moved := k.client.Moved(); moved > x.upMoved {
			x.in += uint64(moved - x.upMoved)
			x.expects = false
			x.upMoved, x.clientAt, x.serverAt = moved, now, now
		}
	}
	if (x.downSplice || spliced) && x.link != nil {
		if moved := k.server().Moved(); moved > x.downMoved {
			x.out += uint64(moved - x.downMoved)
			x.downMoved, x.clientAt, x.serverAt = moved, now, now
		}
	}
	k.count()
}

// lookAtPeers takes note of peers that read slowly: kernels take megabytes at once and ask for more only when a third of that has gone, which may last longer
// than a peer may be silent. Whoever waits for such a peer is not to blame meanwhile.
func (k *core) lookAtPeers(now wire.Time) {
	x := k.x
	if x.tunnel { // has its own time
		return
	}
	if k.unread.look(k.client) && !k.unread.empty() {
		x.clientAt = now
		if x.downSplice {
			x.serverAt = now
		}
	}
	if x.link != nil && !x.connecting && x.unread.look(k.server()) {
		x.serverAt = now
		if x.up != upDone {
			x.clientAt = now
		}
	}
}

// backlog is what a peer had still to take when it was looked at: bytes that the driver queues and bytes that the kernel holds.
type backlog struct{ queued, held int32 }

// look asks anew and tells whether anything has changed. It costs a system call: it is for timers.
func (l *backlog) look(c wire.Conn) bool {
	last := *l
	*l = backlog{int32(c.Queued()), int32(c.Unacknowledged())}
	return *l != last
}

func (l backlog) empty() bool { return l == backlog{} }
