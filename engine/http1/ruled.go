package http1

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// Ruled tells which rules look at a client's requests.
type Ruled interface {
	// Program returns the running program; nil: there are no rules.
	Program() *rules.Program
}

// rule runs the service's rules on a scanned head. It returns the decision, nil when there are no rules.
func (k *core) rule(b []byte, h *requestHead) *rules.Decision {
	if k.ruled == nil {
		return nil
	}
	p := k.ruled.Program()
	if p == nil {
		return nil
	}
	r := &k.pool.ruled
	*r = h.seen(b, k.client.Peer().Addr(), k.client.Local().Port())
	r.Secure, r.TLSName = k.secure, k.tlsName()
	d := k.pool.evaluator.Run(p, r, int64(k.now()), k.counted)
	k.counted = false
	if d.Status == 0 {
		h.obey(b, r, d)
	}
	return d
}

// tlsName is the server name that the client asked for by TLS, in lower case; empty without.
func (k *core) tlsName() string {
	if c, ok := k.client.(wire.Secured); ok {
		return strings.ToLower(c.Secrecy().ServerName)
	}
	return ""
}

// seen is the head as rules see it.
func (h *requestHead) seen(b []byte, peer netip.Addr, port uint16) rules.Request {
	host := h.host
	if host == nil {
		host = h.authority
	}
	return rules.Request{Method: h.method, Target: h.path, Host: host, Fields: b[h.lines:h.end], Source: peer, Port: port}
}

// obey brings what the rules decided into the head that is to be forwarded.
func (h *requestHead) obey(b []byte, r *rules.Request, d *rules.Decision) {
	if len(d.Target) > 0 {
		h.target = d.Target
	}
	for _, e := range d.Request {
		if e.Concerns([]byte("host")) {
			h.setHost(b, e, r)
			continue
		}
		h.ownFor = h.ownFor || e.Verb() != rules.Add && e.Concerns([]byte("x-forwarded-for"))
		h.hasProto = h.hasProto || e.Concerns([]byte("x-forwarded-proto"))
		h.edit(b, e, r)
	}
}

// setHost replaces the Host; what would not be a valid one leaves it as it was.
func (h *requestHead) setHost(b []byte, e *rules.Edit, r *rules.Request) {
	fresh := e.AppendValue(nil, r)
	if !request.ValidHost(fresh) {
		return
	}
	h.cutLines(b, e)
	h.host, h.newHost = nil, fresh
}

// edit does one edit: lines are cut, and others added behind those that stay.
func (h *head) edit(b []byte, e *rules.Edit, r *rules.Request) {
	switch e.Verb() {
	case rules.Set:
		h.cutLines(b, e)
		h.amended = e.AppendLine(h.amended, r)
	case rules.Add:
		h.amended = e.AppendLine(h.amended, r)
	case rules.Remove:
		h.cutLines(b, e)
	case rules.Replace:
		h.replaceLines(b, e)
	}
}

// cutLines takes away every line that an edit concerns, and those of earlier edits.
func (h *head) cutLines(b []byte, e *rules.Edit) {
	h.eachLine(b[:h.end], h.lines, e, func(from, to int) { h.drop(from, to, request.FieldOf(b[from:from+request.TokenLen(b[from:])])) })
	h.mergeCuts()
	for i := 0; i < len(h.amended); {
		next := lineAfter(h.amended, i)
		if e.Concerns(h.amended[i : i+request.TokenLen(h.amended[i:])]) {
			h.amended = slices.Delete(h.amended, i, next)
			continue
		}
		i = next
	}
}

// replaceLines gives every line that an edit concerns its new value.
func (h *head) replaceLines(b []byte, e *rules.Edit) {
	mine := len(h.amended)
	fresh := []byte(nil)
	for i := 0; i < mine; {
		next := lineAfter(h.amended, i)
		line := h.amended[i:next]
		if e.Concerns(line[:request.TokenLen(line)]) {
			if out, changed := e.AppendReplaced(fresh, lineValue(line)); changed {
				fresh, line = out, nil
			}
		}
		fresh = append(fresh, line...)
		i = next
	}
	h.eachLine(b[:h.end], h.lines, e, func(from, to int) {
		value := lineValue(h.keptOf(nil, b, from, to))
		if out, changed := e.AppendReplaced(fresh, value); changed {
			fresh = out
			h.drop(from, to, request.FieldOf(b[from:from+request.TokenLen(b[from:])]))
		}
	})
	h.mergeCuts()
	h.amended = append(h.amended[:0], fresh...)
}

// eachLine calls do for every line from an offset on that an edit concerns and of which something is kept.
func (h *head) eachLine(b []byte, from int, e *rules.Edit, do func(from, to int)) {
	for i := from; i < len(b); {
		next := lineAfter(b, i)
		if e.Concerns(b[i:i+request.TokenLen(b[i:])]) && !h.isCut(i, next) {
			do(i, next)
		}
		i = next
	}
}

// lineAfter returns where the next line begins.
func lineAfter(b []byte, i int) int {
	for i < len(b) && b[i] != '\n' {
		i++
	}
	return i + 1
}

func (h *head) isCut(from, to int) bool {
	return slices.ContainsFunc(h.cuts, func(c cut) bool { return c.from <= from && to <= c.to })
}

// keptOf appends what of a range is not cut.
func (h *head) keptOf(out, b []byte, from, to int) []byte {
	for _, c := range h.cuts {
		if c.from >= to || c.to <= from {
			continue
		}
		out = append(out, b[from:max(c.from, from)]...)
		from = max(from, c.to)
	}
	return append(out, b[min(from, to):to]...)
}

// mergeCuts puts the cuts in order; of those that lie within another one only the larger counts.
func (h *head) mergeCuts() {
	slices.SortFunc(h.cuts, func(c, d cut) int {
		if c.from != d.from {
			return c.from - d.from
		}
		return d.to - c.to
	})
	end := -1
	h.cuts = slices.DeleteFunc(h.cuts, func(c cut) bool {
		if c.to <= end {
			return true
		}
		end = c.to
		return false
	})
}

// answerByRule answers a request that the rules end. The connection stays when nothing of the request is missing.
func (k *core) answerByRule(b []byte, h *requestHead, d *rules.Decision, config *appliance.VirtualService) int {
	k.begun, k.waited, k.search = 0, 0, search{}
	counters := k.service.Counters()
	add(&counters.Requests, 1)
	if d.Status >= 400 {
		k.countRefused()
		if k.refused != nil {
			k.refused("a rule refused the request")
		}
	}
	taken, whole := h.size, h.length <= int64(len(b)-h.size) && !h.chunked
	if whole && h.length > 0 {
		taken += int(h.length)
	}
	keep := whole && !k.stream && !h.close && h.minor == 1 && !h.wantsWS && config.HTTP.KeepAlive != appliance.KeepAliveNone && !k.closing
	add(&counters.BytesIn, uint64(taken))
	out := appendOwnAnswer(k.pool.loop.Scratch(), d, string(h.method) == "HEAD", keep)
	add(&counters.BytesOut, uint64(len(out)))
	k.client.Send(out)
	k.recordRule(h, d, taken, len(out))
	if !keep || k.ended && taken == len(b) {
		k.shut()
		return len(b)
	}
	k.since = k.now()
	k.arm(k.limits().ClientTimeout.D())
	if taken < len(b) { // what follows is to be offered again
		k.pause()
		k.resume()
	}
	return taken
}

// recordRule tells the traffic log of a request that the rules answered.
func (k *core) recordRule(h *requestHead, d *rules.Decision, in, out int) {
	one := wire.Record{Status: d.Status, Own: true, BytesIn: uint64(in), BytesOut: uint64(out), End: wire.EndDone, Why: "a rule answered the request"}
	if d.Status >= 400 {
		one.End, one.Why = wire.EndRefused, "a rule refused the request"
	}
	k.recordAnswer(h, one)
}

// appendOwnAnswer appends the answer that a decision asks for.
func appendOwnAnswer(out []byte, d *rules.Decision, isHead, keep bool) []byte {
	body := request.Sentence(d.Status)
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(d.Status), 10)
	out = append(append(out, ' '), request.Text(d.Status)...)
	if len(d.Location) > 0 && request.Value(d.Location) {
		out = append(append(out, "\r\nLocation: "...), d.Location...)
	}
	if d.Retry > 0 {
		out = strconv.AppendInt(append(out, "\r\nRetry-After: "...), int64(d.Retry), 10)
	}
	if d.Status >= 400 || d.Status == 302 || d.Status == 303 || d.Status == 307 {
		out = append(out, "\r\nCache-Control: no-store"...)
	}
	out = append(out, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	if !keep {
		out = append(out, "\r\nConnection: close"...)
	}
	if out = append(out, "\r\n\r\n"...); !isHead {
		out = append(out, body...)
	}
	return out
}

// keepDecision notes what is needed later: where the request goes, and what is to be done to the response.
func (x *exchange) keepDecision(d *rules.Decision) {
	if d != nil {
		x.route, x.edits = d.Route, append(x.edits[:0], d.Response...)
	}
}

// amend does the edits of the response's header.
func (h *responseHead) amend(b []byte, edits []*rules.Edit) {
	for _, e := range edits {
		h.edit(b, e, nil)
	}
}
