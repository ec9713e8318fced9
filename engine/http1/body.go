package http1

import (
	"time"

	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// spliceFrom is how much of a body must be left for moving it inside the kernel.
const spliceFrom = 16 << 10

// watchTime is how often a splice is looked at, for the counters, and a peer that does not take all at once, for its progress.
const watchTime = 2 * time.Second

// forwardBody passes on what it can of the request's body and returns how much was taken.
func (k *core) forwardBody(b []byte) int {
	x := k.x
	if x.up == upDone || x.connecting || x.link == nil || x.upSplice || k.server().Queued() > 0 {
		return 0
	}
	x.clientAt = k.now()
	if x.up == upChunked {
		return k.forwardChunks(b)
	}
	n := int(min(int64(len(b)), x.upLeft))
	if n > 0 {
		x.expects = false
		x.upLeft -= int64(n)
		k.sendUp(b[:n])
	}
	switch {
	case x.upLeft == 0:
		k.requestDone()
	case x.upLeft > spliceFrom && k.spliceable():
		k.resume()
		x.upSplice, x.replay, x.upMoved = true, false, 0
		k.arm(watchTime)
		k.client.SpliceTo(k.server(), x.upLeft)
	default:
		k.arm(k.limits().ClientTimeout.D())
	}
	return n
}

func (k *core) forwardChunks(b []byte) int {
	x, taken := k.x, 0
	for taken < len(b) && x.upChunks.state != chunkDone {
		out := k.pool.loop.Scratch()
		part := piece(b[taken:], out)
		n, out, ok := x.upChunks.decode(out, part)
		if !ok {
			k.refuse(x.upChunks.verdict)
			return taken
		}
		if len(out) > 0 {
			k.sendUp(out)
		}
		if n == 0 && taken+len(part) == len(b) {
			break // within a trailer
		}
		taken += n
	}
	x.expects = x.expects && taken == 0
	if x.upChunks.state == chunkDone {
		k.requestDone()
	} else {
		k.arm(k.limits().ClientTimeout.D())
	}
	return taken
}

// piece is as much of b as surely fits into out.
func piece(b, out []byte) []byte { return b[:min(len(b), max(cap(out)-len(out)-64, 1))] }

// sendUp sends a part of the body; what was sent is held as long as it is little.
func (k *core) sendUp(b []byte) {
	x := k.x
	if x.replay {
		if len(x.held)+len(b) <= heldLimit {
			x.held = append(x.held, b...)
		} else {
			x.replay, x.held = false, x.held[:0]
		}
	}
	if k.server().Send(b) > 0 {
		k.pause()
		k.watch(k.limits().ServerTimeout)
	}
}

// spliceable tells whether the kernel can move bytes between the two connections.
func (k *core) spliceable() bool {
	return k.x.encoder == nil && k.x.kept == nil && k.client.Raw() && k.server().Raw()
}

// requestDone: from now on the server owes an answer.
func (k *core) requestDone() {
	k.x.up = upDone
	k.x.serverAt = k.now()
	k.arm(k.limits().ServerTimeout.D())
}

// sendDown sends to the client and makes the server wait when the client is slow.
func (k *core) sendDown(b []byte) {
	if len(b) == 0 {
		return
	}
	x := k.x
	x.out += uint64(len(b))
	x.answering = x.answering || x.down != downHead || x.tunnel
	if k.client.Send(b) > 0 && !x.downPaused {
		x.downPaused, x.clientAt = true, k.now()
		k.server().Pause()
		k.watch(k.limits().ClientTimeout)
	}
}

// forwardAnswer passes on what b holds of the response's body, behind out, which may hold its head. It returns how much was taken.
func (k *core) forwardAnswer(out, b []byte) int {
	x := k.x
	switch x.down {
	case downChunked:
		return k.answerChunks(out, b)
	case downClose:
		k.sendContent(out, b)
		if x.passed += int64(len(b)); x.passed > spliceFrom && k.spliceable() {
			k.spliceDown(-1)
		}
		return len(b)
	case downLength:
		n := int(min(int64(len(b)), x.downLeft))
		x.downLeft -= int64(n)
		k.sendContent(out, b[:n])
		switch {
		case x.downLeft == 0:
			k.finish(n < len(b))
		case x.downLeft > spliceFrom && k.spliceable():
			k.spliceDown(x.downLeft)
		}
		return n
	}
	k.sendDown(out)
	k.finish(len(b) > 0)
	return 0
}

// sendBoth sends head and body with one call when the body is small, or stands right behind the head.
func (k *core) sendBoth(out, b []byte) {
	if whole := len(out) + len(b); len(out) > 0 && len(b) > 0 && whole <= cap(out) && &out[:whole][len(out)] == &b[0] {
		k.sendDown(out[:whole])
		return
	}
	if len(out) > 0 && len(b) <= spliceFrom && len(out)+len(b) <= cap(out) {
		k.sendDown(append(out, b...))
		return
	}
	k.sendDown(out)
	k.sendDown(b)
}

func (k *core) answerChunks(out, b []byte) int {
	x, taken := k.x, 0
	if x.encoder != nil || x.reframed {
		k.sendDown(out)
		out = out[:0]
	}
	for taken < len(b) && x.downChunks.state != chunkDone {
		part := piece(b[taken:], out)
		n, filled, ok := x.downChunks.decode(out, part)
		if !ok {
			k.refuse(request.Verdict{Status: 502, Reason: "the server's chunked body is malformed"})
			return len(b)
		}
		switch {
		case x.encoder != nil:
			k.sendCoded(filled)
		case x.reframed:
			k.keep(filled)
			k.pool.coded = append(k.pool.coded[:0], filled...) // filled lies where the chunk is made
			k.sendChunk(k.pool.coded, "")
		default:
			k.sendDown(filled)
		}
		out = out[:0]
		if n == 0 && taken+len(part) == len(b) {
			break // within a trailer
		}
		taken += n
	}
	k.sendDown(out)
	if x.downChunks.state == chunkDone {
		k.finish(taken < len(b))
	}
	return taken
}

func (k *core) spliceDown(n int64) {
	x := k.x
	if x.downPaused {
		x.downPaused = false
		k.server().Resume()
	}
	x.downSplice, x.downMoved = true, 0
	k.arm(watchTime)
	k.server().SpliceTo(k.client, n)
}

// Spliced ends a move inside the kernel.
func (k *core) Spliced(c wire.Conn, moved int64, ended bool) {
	switch {
	case k.gone(c):
	case k.x == nil:
	case k.x.tunnel:
		k.tunnelSpliced(c, moved, ended)
	case c == k.client:
		k.upSpliced(moved, ended)
	default:
		k.downSpliced(moved, ended)
	}
}

func (k *core) upSpliced(moved int64, ended bool) {
	x := k.x
	x.in += uint64(moved - x.upMoved)
	x.upSplice, x.clientAt = false, k.now()
	if x.upLeft -= moved; x.upLeft == 0 {
		k.ended = k.ended || ended
		k.requestDone()
		return
	}
	if ended {
		k.ended = true
		k.refuseAs(wire.EndClientClosed, request.Bad("the client closed within a request's body"))
	}
}

func (k *core) downSpliced(moved int64, ended bool) {
	x := k.x
	x.out += uint64(moved - x.downMoved)
	x.downSplice, x.serverAt = false, k.now()
	if x.down == downLength {
		if x.downLeft -= moved; x.downLeft == 0 {
			k.finish(false)
			return
		}
	}
	if ended {
		k.serverEnded()
	}
}
