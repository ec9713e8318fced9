package http2

import (
	"time"

	"evenkeel/engine/wire"
)

// The budget of a connection for what costs us and is of no use: resets, whether the peer sends them or provokes ours, PING, SETTINGS, empty DATA, PRIORITY, tiny
// windows. A browser that leaves a page cancels a hundred requests at once; nobody does that again and again. Every request that is served to its end gives some back.
const (
	budgetFull   = 400
	budgetRefill = 50 * time.Millisecond // one more after each
)

// budget is what is left to a peer. It begins full.
type budget struct {
	spent int32
	owed  int32     // answers to DATA that the peer has not sent yet
	since wire.Time // when refilling was last looked at
}

// spend takes n; false: nothing is left, and the connection is to be closed.
func (b *budget) spend(now wire.Time, n int32) bool {
	if back := int64(now.Sub(b.since) / budgetRefill); back > 0 {
		b.since = now
		b.earn(int32(min(back, budgetFull)))
	}
	b.spent += n
	return b.spent <= budgetFull
}

// sent notes a DATA frame: a window for the stream, one for the connection, and a PING by which its way is measured may answer it at no cost. Those who send
// messages of a few bytes, as WebSockets and gRPC do, get as many.
func (b *budget) sent() { b.owed = min(b.owed+3, budgetFull) }

// answer takes one of them; false: it answers nothing, and costs.
func (b *budget) answer() bool {
	if b.owed == 0 {
		return false
	}
	b.owed--
	return true
}

func (b *budget) earn(n int32) { b.spent = max(b.spent-n, 0) }
