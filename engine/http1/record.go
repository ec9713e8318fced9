package http1

import (
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// maxLine is how much of method, host and path is kept for the traffic log.
const maxLine = 2 << 10

// account is what is told of an exchange when it is over.
type account struct {
	id        uint64
	began     wire.Time
	connected wire.Time
	firstByte wire.Time
	in, out   uint64 // in all
	line      []byte // see wire.Record
	why       string
	status    int
	repeated  int // times that it was sent once more
	end       wire.End
	cut       bool
	own       bool // the appliance answers by itself
}

// openAccount begins the account of a request; what is told of its head is copied, because the head is the driver's.
func (k *core) openAccount(h *requestHead) {
	x := k.x
	x.account.began = k.now()
	if k.recorder == nil {
		return
	}
	x.account.id = k.recorder.NewID()
	if k.recorder.Lines() {
		x.account.line, x.account.cut = h.appendLine(x.account.line[:0])
	}
}

// appendLine appends method, host and path as wire.Record has them.
func (h *requestHead) appendLine(dst []byte) (_ []byte, cut bool) {
	host := h.host
	if h.absolute {
		host = h.authority
	}
	dst = append(append(dst, h.method...), 0)
	dst = append(append(dst, host[:min(len(host), maxLine/4)]...), 0)
	room := maxLine - len(dst)
	if cut = room < len(h.path); cut {
		return append(append(dst, h.path[:max(room, 0)]...), 0), cut
	}
	return append(append(dst, h.path...), 0), false
}

// appendRequestID appends the field that tells the server the request's number in the traffic log, and ends the head.
func (k *core) appendRequestID(dst []byte) []byte {
	dst = append(dst, "X-Request-ID: "...)
	dst = k.recorder.AppendID(dst, k.x.account.id)
	return append(dst, "\r\n\r\n"...)
}

// endOf says how a request ended that is refused with a verdict, unless the exchange knows better.
func endOf(v request.Verdict) wire.End {
	switch v.Status {
	case 408:
		return wire.EndClientTimeout
	case 502:
		return wire.EndServerInvalid
	case 503:
		return wire.EndNoServer
	case 504:
		return wire.EndServerTimeout
	}
	return wire.EndRefused
}

// refuseAs is refuse for a reason that the status alone does not tell.
func (k *core) refuseAs(end wire.End, v request.Verdict) {
	k.x.account.end = end
	k.refuse(v)
}

// recordRefusal takes note of a refusal: in the account of the exchange, or at once when there is none.
func (k *core) recordRefusal(v request.Verdict) {
	if x := k.x; x != nil {
		x.account.why = v.Reason
		if x.account.end == wire.EndUnknown {
			x.account.end = endOf(v)
		}
		if !x.answering {
			x.account.status, x.account.own = v.Status, true
		}
		return
	}
	if k.recorder == nil {
		return
	}
	r := k.recorder.Blank()
	*r = wire.Record{ID: k.recorder.NewID(), Began: k.now(), Ended: k.now(), Client: k.client.Peer(), Status: v.Status, Own: true, End: endOf(v), Why: v.Reason}
	if k.begun != 0 {
		r.Began = k.begun
	}
	if h := k.pool.malformed; h != nil && k.recorder.Lines() {
		k.pool.line, r.Cut = h.appendLine(k.pool.line[:0])
		r.Line = k.pool.line
	}
	k.recorder.Record(r)
}

// recordAnswer tells the recorder of a request that was answered without a server. one says how; who asked for what is added.
func (k *core) recordAnswer(h *requestHead, one wire.Record) {
	if k.recorder == nil {
		return
	}
	r := k.recorder.Blank()
	*r = one
	r.ID, r.Ended, r.Client = k.recorder.NewID(), k.now(), k.client.Peer()
	if r.Began == 0 {
		r.Began = r.Ended
	}
	if k.recorder.Lines() {
		k.pool.line, r.Cut = h.appendLine(k.pool.line[:0])
		r.Line = k.pool.line
	}
	k.recorder.Record(r)
}

// closeAccount tells the recorder what became of the exchange.
func (k *core) closeAccount() {
	x := k.x
	a := &x.account
	if k.recorder == nil || a.began == 0 {
		return
	}
	if a.end == wire.EndUnknown {
		a.end, a.why = wire.EndClientClosed, "the client broke off"
	}
	r := k.recorder.Blank()
	*r = wire.Record{
		ID: a.id, Began: a.began, Ended: k.now(), Connected: a.connected, FirstByte: a.firstByte, Client: k.client.Peer(),
		Server: x.choice.Server, Address: x.choice.Address, Reason: x.choice.Reason, Tries: len(x.tried) + a.repeated, Line: a.line, Cut: a.cut,
		Queued: x.stay.spent, Status: a.status, Own: a.own, BytesIn: a.in, BytesOut: a.out, End: a.end, Why: a.why,
	}
	a.began = 0
	k.recorder.Record(r)
}
