package http1

import (
	"bytes"
	"slices"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// begin reads a request head and sends the request on its way. It returns how much was taken: nothing while the head is incomplete.
func (k *core) begin(b []byte) int {
	if k.client.Queued() > 0 { // the client does not read its last answer; no further one is made
		k.pause()
		return 0
	}
	if k.closing && k.begun == 0 {
		k.shut()
		return 0
	}
	if !k.search.worth(b) {
		return 0
	}
	config := k.service.Config()
	h := &k.pool.request
	h.ownID, h.limit, h.rare = config.HTTP.RequestID && k.recorder != nil, config.HTTP.HeadLimit, config.HTTP.TraceAndOptions
	switch h.scan(b, config.HTTP.ForwardedFor, cookieName(&config.Persistence)) {
	case more:
		k.search.incomplete(b, h.limit)
		k.waitForHead(b, config)
		return 0
	case refused:
		k.pool.malformed = h
		k.refuse(h.verdict)
		k.pool.malformed = nil
		return 0
	}
	if config.TLS.Redirects() && !k.secure {
		k.redirect(h, &config.TLS)
		return h.size
	}
	d := k.rule(b, h)
	if d != nil && d.Status != 0 {
		return k.answerByRule(b, h, d, config)
	}
	if config.HTTP.CacheSize > 0 && !d.Concerns() {
		if taken, done := k.cached(b, h); done {
			k.counted = taken == 0 // it waits, and is looked at once more
			return taken
		}
	}
	return k.open(b, h, config, d)
}

// search keeps a head that drips from being scanned at each byte: the whole costs no more than a few times its size. The zero value scans at once.
type search struct {
	rescan int32 // scan again from this size on
	looked int32 // no end was found before here
}

// worth tells whether scanning can tell something new: the end of the head has come, it has doubled, or it is too large.
func (s *search) worth(b []byte) bool {
	if len(b) >= int(s.rescan) {
		return true
	}
	fresh := b[max(int(s.looked)-2, 0):]
	s.looked = int32(len(b))
	return bytes.Contains(fresh, []byte("\n\r\n")) || bytes.Contains(fresh, []byte("\n\n"))
}

func (s *search) incomplete(b []byte, limit int) {
	s.rescan, s.looked = int32(min(2*len(b), limit+1)), int32(len(b))
}

// waitForHead starts the slow-header guard.
func (k *core) waitForHead(b []byte, config *appliance.VirtualService) {
	if k.begun == 0 && !bytes.HasPrefix([]byte("\r\n"), b) {
		k.begun = k.now()
		k.arm(config.HTTP.HeadTimeout.D())
	}
}

// open makes the exchange of a complete head and chooses its server.
func (k *core) open(b []byte, h *requestHead, config *appliance.VirtualService, d *rules.Decision) int {
	x := k.pool.newExchange()
	keep := config.HTTP.KeepAlive
	x.serverKeeps = keep == appliance.KeepAliveBoth && !config.Private()
	x.clientKeeps = keep != appliance.KeepAliveNone && !h.close && (h.minor == 1 || h.keep) && !h.wantsWS
	x.minor, x.isHead, x.wantsWS = h.minor, string(h.method) == "HEAD", h.wantsWS
	x.idempotent = request.Idempotent(h.method)
	if config.HTTP.Compress {
		x.coding = h.coding(b)
	}
	if config.HTTP.CacheSize > 0 {
		x.flight, x.writes = k.pool.flight, k.pool.writes
		if k.pool.flight, k.pool.writes = nil, ""; x.flight != nil {
			x.sent = h.all(b)
		}
	}
	k.x, k.waited = x, 0
	k.openAccount(h)
	x.keepDecision(d)
	if config.Scheduler.ReadsRequest() {
		x.key = h.key(b, config)
	}

	out := h.forward(k.pool.loop.Scratch(), b, k.client.Peer().Addr(), k.client.Local(), x.serverKeeps, k.secure)
	if h.ownID {
		out = k.appendRequestID(out[:len(out)-2])
	}
	taken, out, p := x.firstBody(out, b, h, h.expect || k.stream)
	x.expects = h.expect && h.minor == 1 && x.up != upDone && taken == h.size
	switch p {
	case refused:
		k.refuse(x.upChunks.verdict)
		return 0
	case more:
		k.x, k.counted = nil, true
		k.pool.release(x)
		k.search = search{}
		k.waitForHead(b, config)
		return 0
	}
	k.begun, k.search = 0, search{}
	add(&k.service.Counters().Requests, 1)
	x.clientAt = k.now()
	k.recognise(b, h, &config.Persistence)
	x.held, x.replay = append(x.held[:0], out...), true
	if k.choose(h.cookie) && !x.connecting {
		k.sendHeld()
	}
	return taken
}

// firstBody appends to the head what of the body is there already. A chunked body must show its first chunk before anything is forwarded, unless the head may go
// alone: the client waits for 100, or its framing is not in doubt.
func (x *exchange) firstBody(out, b []byte, h *requestHead, alone bool) (taken int, _ []byte, p progress) {
	body := b[h.size:]
	body = body[:min(len(body), heldLimit, max(cap(out)-len(out)-64, 0))]
	switch {
	case h.chunked:
		x.up = upChunked
		before := len(out)
		n, out, ok := x.upChunks.decode(out, body)
		switch {
		case !ok:
			return 0, out, refused
		case len(out) == before && !alone:
			return 0, out, more
		case x.upChunks.state == chunkDone:
			x.up = upDone
		}
		return h.size + n, out, complete
	case h.length > 0:
		n := int(min(int64(len(body)), h.length))
		if x.upLeft = h.length - int64(n); x.upLeft > 0 {
			x.up = upLength
		}
		return h.size + n, append(out, body[:n]...), complete
	}
	return h.size, out, complete
}

// choose picks a server and takes or opens a connection to it; when none can serve, the request waits, or is refused. Each server is tried once, so that the fallback
// is reached behind the last of them.
func (k *core) choose(cookie []byte) bool {
	x, q := k.x, &k.pool.query
	for {
		*q = wire.Query{Client: x.client, Port: k.client.Local().Port(), Cookie: cookie, Key: x.key, Tried: x.tried, Session: x.session, Secure: k.secure, Rule: x.route}
		q.Spent = wire.IsSpent(x.dialedAt, k.now(), k.limits().ConnectTimeout.D())
		q.Waiter, q.Ticket = k, x.stay.ticket
		choice, ok := k.service.Pick(q)
		if !ok && q.Waits {
			k.wait(q.Ticket)
			return false
		}
		if !ok {
			break
		}
		x.choice, x.picked = choice, true
		if slices.Contains(x.tried, choice.Server) { // there is no other
			break
		}
		if x.link = k.reused(); x.link != nil {
			x.pooled, x.account.connected = true, k.now()
			return true
		}
		err := k.dial()
		if err == nil {
			return true
		}
		k.failed(err)
	}
	end := wire.EndNoServer
	if len(x.tried) > 0 {
		end = wire.EndConnectFailed
	}
	reason := "no server can serve the request"
	if q.Crowded {
		reason = "every server is at its limit, and the queue is full"
	}
	k.refuseAs(end, request.Verdict{Status: 503, Reason: reason})
	return false
}

func (k *core) dial() error {
	x := k.x
	if x.dialedAt == 0 {
		x.dialedAt = k.now()
	}
	conn, err := k.service.Dial(x.choice, k.client, k)
	if err != nil {
		return err
	}
	x.link = &link{pool: k.pool, conn: conn, server: x.choice.Server, address: x.choice.Address, drops: k.pool.drops}
	x.connecting, x.pooled, x.unread = true, false, backlog{}
	x.serverAt = k.now()
	k.arm(k.limits().ConnectTimeout.D())
	return nil
}

// failed gives the choice back as one that could not be reached.
func (k *core) failed(err error) {
	x := k.x
	k.service.Failed(x.choice, err)
	k.service.Release(x.choice)
	x.tried = append(x.tried, x.choice.Server)
	x.picked, x.connecting = false, false
}

// dialFailed goes to another server: nothing of the request is lost yet.
func (k *core) dialFailed(err error) {
	k.failed(err)
	if k.choose(nil) && !k.x.connecting {
		k.proceed()
	}
}

// sendHeld sends what was held; for a fresh connection it need not be held longer.
func (k *core) sendHeld() {
	x := k.x
	x.sentAt, x.serverAt = k.now(), k.now()
	k.server().Send(x.held)
	if !x.pooled {
		x.replay, x.held = false, x.held[:0]
	}
	k.arm(k.limits().ServerTimeout.D())
}

// Connected sends what waited for the connection.
func (k *core) Connected(c wire.Conn) {
	if k.gone(c) || !k.x.connecting {
		return
	}
	k.x.connecting, k.x.account.connected = false, k.now()
	k.proceed()
}

// proceed sends what was held and goes on with the request's body.
func (k *core) proceed() {
	k.sendHeld()
	if k.x.up == upDone {
		return
	}
	if k.leftover {
		k.resume()
		return
	}
	k.forwardBody(nil)
}

// serverLost handles a server connection that ended without a complete answer.
func (k *core) serverLost() {
	x := k.x
	switch {
	case x.tunnel:
		k.endTunnel(wire.EndServerClosed)
	case x.answered:
		k.service.Answered(x.choice, 0, 0)
		k.refuseAs(wire.EndServerClosed, request.Verdict{Status: 502, Reason: "the server broke off its answer"})
	case !k.mayRepeat():
		k.service.Answered(x.choice, 0, 0)
		k.refuseAs(wire.EndServerClosed, request.Verdict{Status: 502, Reason: "the server closed without an answer"})
	default:
		k.repeat()
	}
}

// mayRepeat tells whether the request can be sent once more: it went to a connection that had been idle, all of it is held, and either sending it twice does no
// harm (RFC 9110, 9.2.2) or the connection was dead before it was sent, because its end was noticed in the same turn of the loop.
func (k *core) mayRepeat() bool {
	x := k.x
	return x.pooled && x.replay && (x.idempotent || x.sentAt == k.now())
}

// repeat sends the request again by a fresh connection to the same server.
func (k *core) repeat() {
	k.x.account.repeated++
	err := k.dial()
	if err == nil {
		return
	}
	k.dialFailed(err)
}
