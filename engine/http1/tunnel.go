package http1

import (
	"evenkeel/engine/wire"
)

// switchOver turns the two connections into a relay, when the client had asked for that.
func (k *core) switchOver(out, b []byte, taken int) int {
	x, h := k.x, &k.pool.response
	if !x.wantsWS || !h.websocket || !h.switchT || h.minor == 0 {
		k.badAnswer("the server switches to a protocol that was not asked for")
		return len(b)
	}
	out = h.emit(out, b[taken:], false, switches, x.choice.SetCookie)
	x.tunnel, x.account.status = true, h.status
	k.sendDown(out)
	if taken += h.size; taken < len(b) {
		k.sendDown(b[taken:])
	}
	x.clientAt, x.serverAt = k.now(), k.now()
	x.upMoved, x.downMoved = 0, 0
	k.resume()
	if x.copies = !k.spliceable(); !x.copies {
		if x.downPaused {
			x.downPaused = false
			k.server().Resume()
		}
		k.server().SpliceTo(k.client, -1)
	}
	switch {
	case k.ended && !(x.copies && k.leftover): // told before, and not once more
		k.tunnelEnded(k.client)
	case !x.copies:
		k.client.SpliceTo(k.server(), -1)
	}
	k.arm(watchTime)
	return len(b)
}

// tunnelUp passes on what the client sends through a tunnel that the kernel cannot move: one of the two connections is in TLS, or a stream of HTTP/2.
func (k *core) tunnelUp(b []byte) int {
	x := k.x
	x.in += uint64(len(b))
	x.clientAt, k.leftover = k.now(), false
	if k.server().Send(b) > 0 {
		k.pause()
	}
	if k.ended {
		k.tunnelEnded(k.client)
	}
	return len(b)
}

func (k *core) tunnelSpliced(c wire.Conn, moved int64, ended bool) {
	x := k.x
	if c == k.client {
		x.in += uint64(moved - x.upMoved)
		x.upMoved = moved
	} else {
		x.out += uint64(moved - x.downMoved)
		x.downMoved = moved
	}
	if !ended {
		k.endTunnel(wire.EndDone)
		return
	}
	k.tunnelEnded(c)
}

// tunnelEnded passes the FIN of one side on; behind both, the tunnel is over.
func (k *core) tunnelEnded(c wire.Conn) {
	x := k.x
	if c == k.client && !x.upEnded {
		x.upEnded = true
		k.server().CloseWrite()
	} else if c != k.client && !x.downEnded {
		x.downEnded = true
		k.client.CloseWrite()
	}
	if x.upEnded && x.downEnded {
		k.endTunnel(wire.EndDone)
	}
}

func (k *core) endTunnel(end wire.End) {
	k.x.account.end = end
	k.look(k.now())
	if l := k.x.link; l != nil {
		k.x.link = nil
		l.conn.Close()
	}
	k.shut()
}
