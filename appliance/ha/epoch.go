package ha

import (
	"time"

	"evenkeel/appliance/ha/role"
)

const (
	cloneTold  = time.Minute     // a second machine is told so often
	raiseAgain = 2 * time.Second // between two raises of the epoch while running
)

// remember stores what must not be forgotten, beside the loop.
func (l *loop) remember() {
	m, n := l.memory, l.n
	if !l.atDesk(func() {
		if err := m.write(n.o.Dir); err != nil {
			n.o.Logger.Error("operator's choice not stored", "err", err)
		}
	}) {
		n.o.Logger.Error("operator's choice not stored: the disk does not answer")
	}
}

// behind is what a node does that the peer has heard in a later life: it was put back to an earlier state, as by a restored snapshot, and the peer takes its
// datagrams for replays. Its epoch is raised above that life, on the disk first.
func (l *loop) behind(boot uint64) {
	now := bootTime()
	if l.raisedAt != 0 && now-l.raisedAt < raiseAgain || boot == 1<<64-1 {
		return
	}
	l.raisedAt = now
	m, n := l.memory, l.n
	m.Epoch = boot + 1
	ctx := l.ctx
	l.atDesk(func() {
		if err := m.write(n.o.Dir); err != nil {
			n.o.Logger.Error("epoch not stored", "err", err)
			return
		}
		n.insist(ctx, func(l *loop) { l.renumber(m.Epoch) })
	})
}

func (l *loop) renumber(boot uint64) {
	l.memory.Epoch = boot
	l.me.Boot, l.me.Nonce = boot, nonce()
	l.reader.Renumber(l.me.Boot, l.me.Nonce)
	l.witness.renumber(l)
	l.tell(role.Record{Code: epochMoved, At: bootTime()})
}

// seenClone tells of a second machine with an identity of this pair.
func (l *loop) seenClone() {
	now := bootTime()
	if l.cloned == 0 || now-l.cloned > cloneTold {
		l.tell(role.Record{Code: cloneSeen, At: now})
	}
	l.cloned = now
}
