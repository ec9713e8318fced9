package http1

import (
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// maxInterim bounds the interim answers (1xx) to one request.
const maxInterim = 16

// fromServer takes bytes of the server.
func (k *core) fromServer(b []byte) int {
	x := k.x
	x.answered, x.replay = true, false
	if x.search == (search{}) { // a head that has begun must be complete in time: its drips are no progress
		x.serverAt = k.now()
	}
	if x.copies {
		k.sendDown(b)
		return len(b)
	}
	if x.tunnel || x.connecting {
		return 0
	}
	if x.account.firstByte == 0 {
		x.account.firstByte = x.serverAt
	}
	out := k.pool.loop.Scratch()
	if x.down != downHead {
		return k.forwardAnswer(out, b)
	}
	h, taken := &k.pool.response, 0
	h.hsts = k.strictTransport()
	for {
		if !x.search.worth(b[taken:]) {
			k.sendDown(out)
			return taken
		}
		switch h.scan(b[taken:]) {
		case more:
			x.search.incomplete(b[taken:], MaxHead)
			k.sendDown(out)
			return taken
		case refused:
			k.badAnswer(h.verdict.Reason)
			return len(b)
		}
		if x.search = (search{}); h.status >= 200 || h.status == 101 {
			break
		}
		if x.interim++; x.interim > maxInterim {
			k.badAnswer("the server sends interim answers without end")
			return len(b)
		}
		if h.status == 100 && x.expects {
			x.expects, x.clientAt = false, k.now()
		}
		if x.minor == 1 {
			out = h.emit(out, b[taken:], false, staysOpen, nil)
		}
		taken += h.size
	}
	k.service.Answered(x.choice, h.status, k.now().Sub(x.sentAt))
	if h.status == 101 {
		return k.switchOver(out, b, taken)
	}
	k.learn(b[taken:], h)
	out = k.answer(out, b[taken:], h)
	taken += h.size
	if x.down == downLength && x.encoder == nil {
		out = inFront(out, b, taken)
	}
	return taken + k.forwardAnswer(out, b[taken:])
}

// inFront puts a head right in front of b[taken:], where that was taken which it is made of, so that one call can send both without a copy of the body. It returns
// the head, where it stands now.
func inFront(out, b []byte, taken int) []byte {
	from := taken - len(out)
	if from < 0 {
		return out
	}
	copy(b[from:], out)
	return b[from:taken]
}

func (k *core) badAnswer(reason string) {
	k.service.Answered(k.x.choice, 0, 0)
	k.refuse(request.Verdict{Status: 502, Reason: reason})
}

// answer appends the final head for the client and decides how the body is framed and what stays open behind it.
func (k *core) answer(out, b []byte, h *responseHead) []byte {
	x := k.x
	empty := h.bodyless(x.isHead)
	x.account.status = h.status
	x.serverKeeps = x.serverKeeps && !h.close && (h.minor == 1 || h.keep)
	x.clientKeeps = x.clientKeeps && x.up == upDone && !k.closing
	switch {
	case empty:
		x.down = downNone
		if !x.isHead && (h.chunked || h.status == 204 && h.length > 0) {
			x.serverKeeps = false
		}
	case h.chunked:
		x.down = downChunked
		if x.downChunks.bare = x.minor == 0; x.downChunks.bare {
			x.clientKeeps = false
		}
	case h.length >= 0:
		x.down, x.downLeft = downLength, h.length
	default:
		x.down = downClose
		x.clientKeeps, x.serverKeeps = false, false
	}
	k.compress(b, h, empty)
	k.consider(b, h, empty)
	end := closes
	if x.clientKeeps {
		if end = staysOpen; x.minor == 0 {
			end = staysOpenOld
		}
	}
	chunked := x.encoder != nil || h.chunked && x.minor == 1 && (!empty || x.isHead)
	h.amend(b, x.edits)
	return h.emit(out, b, chunked, end, x.choice.SetCookie)
}

// serverEnded: the server has finished sending, which is right only behind a body that ends so.
func (k *core) serverEnded() {
	x := k.x
	switch {
	case x.tunnel:
		k.tunnelEnded(k.server())
	case x.downSplice:
	case x.down == downClose:
		k.finish(false)
	default:
		k.server().Abort()
		x.link = nil
		k.serverLost()
	}
}

// finish ends the exchange behind a complete response. in doubt: the server sent more than it should.
func (k *core) finish(inDoubt bool) {
	x := k.x
	k.endCoded()
	k.stow(inDoubt)
	done, keep := x.up == upDone, x.clientKeeps && !k.closing
	l := x.link
	x.link, x.account.end = nil, wire.EndDone
	switch {
	case !done || inDoubt:
		l.conn.Abort()
	case x.serverKeeps && !k.closing && l.conn.Queued() == 0:
		if x.downPaused {
			l.conn.Resume()
		}
		k.retain(l)
	default:
		l.conn.Close()
	}
	k.settle()
	k.x = nil
	k.pool.release(x)
	if !keep || k.ended && !k.leftover {
		k.shut()
		return
	}
	k.since, k.served = k.now(), true
	k.arm(k.limits().ClientTimeout.D())
	k.resume()
}
