package ha

import (
	"context"
	"crypto/ecdh"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

// retryKeys is how long a step of a change of the key that failed waits.
const retryKeys = time.Second

// saveLimit is how long keys may take to be stored.
const saveLimit = 30 * time.Second

// keys are the keys at work and the change of them. The tasks are done at the desk.
type keys struct {
	held     []appliance.HeartbeatKey
	ring     *beat.Ring
	rotation beat.Rotation
	private  *ecdh.PrivateKey
	rest     time.Duration // until then a failed task is not tried again
}

func (k *keys) open(held []appliance.HeartbeatKey) (err error) {
	k.ring, err = beat.NewRing(held)
	if err != nil {
		return err
	}
	k.held, k.rotation = held, beat.NewRotation(marks(held)...)
	return nil
}

func marks(held []appliance.HeartbeatKey) []beat.KeyMark {
	var out []beat.KeyMark
	for _, k := range held {
		out = append(out, beat.Mark(k))
	}
	return out
}

// write puts into a datagram what a change of the key needs.
func (k *keys) write(b *beat.Beat) { b.Offer, b.Accepted = k.rotation.Offer, k.rotation.Accepted() }

// sealWith chooses the key of the datagram with this sequence.
func (k *keys) sealWith(sequence uint64) { k.ring.Use(k.rotation.SendWith(sequence)) }

// hear goes on with a change, and takes part in one that the peer began.
func (k *keys) hear(l *loop, b *beat.Beat) {
	if k.rest != 0 && bootTime() < k.rest {
		return
	}
	echoed := uint64(0)
	if b.Echo.Boot == l.me.Boot {
		echoed = b.Echo.Sequence
	}
	var task beat.Task
	k.rotation, task = k.rotation.Hear(b, echoed, l.sequence)
	k.start(l, task)
}

// start lets the desk do a task.
func (k *keys) start(l *loop, task beat.Task) {
	if task == beat.Nothing {
		return
	}
	job := k.job(l, task)
	if l.n.o.SaveKeys == nil || !l.atDesk(job) {
		k.failed()
	}
}

func (k *keys) failed() {
	k.rotation, k.rest = k.rotation.Failed(), bootTime()+retryKeys
}

func (k *keys) job(l *loop, task beat.Task) func() {
	n, ctx := l.n, l.ctx
	if task == beat.Draw {
		return func() {
			private, public, err := beat.DrawOffer()
			n.insist(ctx, func(l *loop) { l.keys.drawn(private, public, err) })
		}
	}
	private, theirs, held := k.private, k.rotation.Theirs, k.held
	return func() {
		next, err := nextKeys(task, private, theirs, held, n.id.Cluster)
		if err == nil {
			err = within(saveLimit, func(ctx context.Context) error { return n.o.SaveKeys(ctx, next) })
		}
		if err != nil {
			n.o.Logger.Error("heartbeat keys not stored", "err", err)
		}
		n.insist(ctx, func(l *loop) { l.keys.stored(l, task, next, err) })
	}
}

// nextKeys is what is to be stored.
func nextKeys(task beat.Task, private *ecdh.PrivateKey, theirs beat.Offer, held []appliance.HeartbeatKey, cluster beat.ID) ([]appliance.HeartbeatKey, error) {
	switch task {
	case beat.Forget:
		return held[len(held)-1:], nil
	case beat.Abandon:
		return held[:1], nil
	}
	next, err := beat.NextKey(private, theirs, held[0], cluster)
	return []appliance.HeartbeatKey{held[0], next}, err
}

func (k *keys) drawn(private *ecdh.PrivateKey, public [32]byte, err error) {
	if err != nil {
		k.failed()
		return
	}
	k.private, k.rotation = private, k.rotation.Drawn(public)
}

func (k *keys) stored(l *loop, task beat.Task, next []appliance.HeartbeatKey, err error) {
	if err == nil {
		err = k.ring.Replace(next, 0)
	}
	if err != nil {
		k.failed()
		return
	}
	k.held, k.rotation = next, k.rotation.Stored(marks(next)...)
	if task == beat.Forget {
		k.private = nil
		l.tell(role.Record{Code: keyChanged, At: bootTime()})
	}
}
