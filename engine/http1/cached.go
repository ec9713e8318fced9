package http1

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/cache"
	"evenkeel/engine/compress"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// cacheOwner is a service that keeps responses; Cache returns nil when it does not.
type cacheOwner interface{ Cache() *cache.Store }

// codingField stands in Vary for the coding that this appliance makes itself.
const codingField = "\x00coding"

// asked is what of a request decides whether a kept response may answer it.
type asked struct {
	bypass  bool // neither looked up nor kept
	refresh bool // not looked up
	none    []byte
	since   bool // If-Modified-Since, which is left to the server
}

func (h *requestHead) asked(b []byte) asked {
	var a asked
	h.each(b, func(name, value []byte, _, _ int) {
		switch {
		case request.Equal(name, "authorization"), request.Equal(name, "range"), request.Equal(name, "if-match"), request.Equal(name, "if-unmodified-since"), request.Equal(name, "if-range"):
			a.bypass = true
		case request.Equal(name, "cache-control"), request.Equal(name, "pragma"):
			d := cache.NewDirectives()
			d.Read(value)
			a.bypass = a.bypass || d.NoStore
			a.refresh = a.refresh || d.NoCache || d.MaxAge == 0
		case request.Equal(name, "if-none-match"):
			a.none = value
		case request.Equal(name, "if-modified-since"):
			a.since = true
		}
	})
	return a
}

// appendKey appends what names the resource: scheme, host and target.
func (k *core) appendKey(key []byte, h *requestHead) []byte {
	key = append(key, "http"...)
	if k.secure {
		key = append(key, 's')
	}
	key = append(key, ':')
	host := h.host
	if h.absolute {
		host = h.authority
	}
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		key = append(key, c)
	}
	return append(append(key, ' '), h.path...)
}

// cached answers a request from what is kept, has it wait for who fetches the same, or makes it the one that fetches. done tells that nothing more is to be
// done with it now; taken is how much of b it took.
func (k *core) cached(b []byte, h *requestHead) (taken int, done bool) {
	owner, ok := k.service.(cacheOwner)
	if !ok || owner.Cache() == nil {
		return 0, false
	}
	store, pool := owner.Cache(), k.pool
	pool.key = k.appendKey(pool.key[:0], h)
	isGet, isHead := string(h.method) == "GET", string(h.method) == "HEAD"
	if !isGet && !isHead || h.chunked || h.length > 0 || h.wantsWS || h.expect || h.minor == 0 {
		if !isGet && !isHead && string(h.method) != "OPTIONS" {
			pool.writes = string(pool.key)
		}
		return 0, false
	}
	a := h.asked(b)
	if a.bypass || a.since && a.none == nil {
		return 0, false
	}
	if !a.refresh {
		if e := store.Get(pool.key, k.now(), h.fieldOf(b, k.ownCoding(b, h))); e != nil {
			return h.size, k.give(e, b, h, a.none)
		}
	}
	if isHead || a.none != nil {
		return 0, false
	}
	flight, waits := store.Begin(pool.key, k.now(), k.lookAgain)
	if waits {
		k.begun, k.search = 0, search{}
		if k.waited == 0 {
			k.waited = k.now()
		}
		k.pause()
		return 0, true
	}
	pool.flight = flight
	return 0, false
}

// lookAgain is called when the one that fetched is through.
func (k *core) lookAgain() {
	if !k.over && k.x == nil {
		k.resume()
	}
}

// ownCoding is the coding that would be made here for the request.
func (k *core) ownCoding(b []byte, h *requestHead) compress.Coding {
	if !k.service.Config().HTTP.Compress {
		return compress.Identity
	}
	return h.coding(b)
}

// fieldOf returns how a field of the request is looked up.
func (h *requestHead) fieldOf(b []byte, own compress.Coding) func(string) []byte {
	return func(name string) []byte {
		if name == codingField {
			return []byte(own.String())
		}
		return h.joined(b, name)
	}
}

// joined returns the values of all fields of a name, as one list; nil when there is none.
func (h *head) joined(b []byte, lower string) []byte {
	var found []byte
	h.each(b, func(name, value []byte, _, _ int) {
		switch {
		case !request.Equal(name, lower):
		case found == nil:
			found = append([]byte{}, value...)
		default:
			found = append(append(found, ','), value...)
		}
	})
	return found
}

// give answers from what is kept.
func (k *core) give(e *cache.Entry, b []byte, h *requestHead, none []byte) bool {
	keeps := !k.closing && k.service.Config().HTTP.KeepAlive != appliance.KeepAliveNone && !h.close
	out := append(k.pool.loop.Scratch(), "HTTP/1.1 "...)
	unchanged, status := none != nil && e.Status == 200 && cache.Unchanged(none, e.ETag), e.Status
	if unchanged {
		status = 304
		out = append(out, "304 Not Modified\r\n"...)
	} else {
		out = append(append(strconv.AppendInt(out, int64(e.Status), 10), ' '), e.Reason...)
		out = append(out, "\r\n"...)
	}
	out = append(append(out, e.Fields...), "Age: "...)
	out = append(strconv.AppendInt(out, e.Age(k.now()), 10), "\r\n"...)
	if !unchanged {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), int64(len(e.Body)), 10), "\r\n"...)
	}
	if !keeps {
		out = append(out, "Connection: close\r\n"...)
	}
	out = append(out, "\r\n"...)
	size := len(out)
	if body := e.Body; !unchanged && string(h.method) != "HEAD" {
		size += len(body)
		if len(out)+len(body) <= cap(out) {
			out = append(out, body...)
		} else {
			k.client.Send(out)
			out = body
		}
	}
	k.client.Send(out)
	all := k.service.Counters()
	add(&all.Requests, 1)
	add(&all.BytesIn, uint64(h.size))
	add(&all.BytesOut, uint64(size))
	k.recordKept(h, status, size)
	k.begun, k.search = 0, search{}
	if !keeps {
		k.shut()
		return true
	}
	k.since = k.now()
	k.arm(k.limits().ClientTimeout.D())
	if h.size < len(b) { // the next one is there already
		k.client.Resume()
	}
	return true
}

// recordKept tells of a request that was answered from what is kept; who waited for another to fetch it, waited since then.
func (k *core) recordKept(h *requestHead, status, size int) {
	one := wire.Record{Began: k.waited, Kept: true, Status: status, BytesIn: uint64(h.size), BytesOut: uint64(size), End: wire.EndDone}
	if k.waited != 0 {
		one.Why = "waited for one who asked the same"
	}
	k.waited = 0
	k.recordAnswer(h, one)
}

// consider decides whether the response to the request of a flight is kept, and what is forgotten because it was written to.
func (k *core) consider(b []byte, h *responseHead, empty bool) {
	x := k.x
	if x.writes != "" && h.status < 400 {
		k.service.(cacheOwner).Cache().Forget(x.writes, true)
	}
	if x.flight == nil {
		return
	}
	if x.kept = k.keepable(b, h, empty); x.kept == nil {
		x.flight.End(k.now(), false)
		x.flight = nil
		return
	}
	if x.down == downChunked {
		x.downChunks.bare, x.reframed = true, true
	}
}

// keepable returns the entry that the response makes, without its body, or nil.
func (k *core) keepable(b []byte, h *responseHead, empty bool) *cache.Entry {
	x := k.x
	if empty || !cache.Keepable(h.status) || x.down == downClose || x.down == downLength && x.downLeft > cache.MaxBody || x.choice.Fallback {
		return nil
	}
	d := cache.NewDirectives()
	var date, expires, vary, age []byte
	own := false
	h.each(b, func(name, value []byte, _, _ int) {
		switch {
		case request.Equal(name, "cache-control"):
			d.Read(value)
		case request.Equal(name, "set-cookie"):
			own = true
		case request.Equal(name, "date"):
			date = value
		case request.Equal(name, "expires"):
			expires = value
		case request.Equal(name, "age"):
			age = value
		case request.Equal(name, "vary"):
			vary = append(append(vary, ','), value...)
		}
	})
	fresh := d.Freshness(date, expires)
	if own || fresh <= 0 {
		return nil
	}
	varied, ok := x.varied(vary)
	if !ok {
		return nil
	}
	spent, _ := strconv.ParseUint(string(age), 10, 31)
	made := k.now().Add(-time.Duration(spent) * time.Second)
	if fresh = fresh - k.now().Sub(made); fresh <= 0 {
		return nil
	}
	e := &cache.Entry{Status: h.status, Reason: bytes.Clone(h.reason), Made: made, Fresh: k.now().Add(fresh), Vary: varied}
	h.keptFields(b, e)
	return e
}

// varied returns the fields of the request by which the response was chosen; false: nobody can tell.
func (x *exchange) varied(vary []byte) ([]cache.Varied, bool) {
	list := []cache.Varied{{Name: codingField, Value: x.coding.String()}}
	for _, name := range strings.Split(strings.ToLower(string(vary)), ",") {
		name = strings.Trim(name, " \t")
		switch {
		case name == "":
		case name == "*" || len(list) > 8:
			return nil, false
		default:
			list = append(list, cache.Varied{Name: name, Value: x.sent[name]})
		}
	}
	return list, true
}

// keptFields fills in the fields that every client gets.
func (h *responseHead) keptFields(b []byte, e *cache.Entry) {
	h.each(b, func(name, value []byte, from, to int) {
		for _, c := range h.cuts {
			if from >= c.from && from < c.to {
				return
			}
		}
		switch {
		case request.Equal(name, "content-length"), request.Equal(name, "age"):
			return
		case request.Equal(name, "etag"):
			e.ETag = bytes.Clone(value)
		}
		e.Fields = append(e.Fields, b[from:to]...)
	})
	for line := range bytes.Lines(h.added) {
		if name, value, _ := bytes.Cut(line, []byte(": ")); request.Equal(name, "etag") {
			e.ETag = bytes.Clone(bytes.TrimSpace(value))
		}
	}
	e.Fields = append(e.Fields, h.added...)
}

// keep adds a part of the body to what is kept.
func (k *core) keep(b []byte) {
	x := k.x
	if x.kept == nil {
		return
	}
	if len(x.kept.Body)+len(b) > cache.MaxBody {
		x.kept = nil
		x.flight.End(k.now(), false)
		x.flight = nil
		return
	}
	x.kept.Body = append(x.kept.Body, b...)
}

// stow puts a complete response where others find it.
func (k *core) stow(inDoubt bool) {
	x := k.x
	if x.flight == nil {
		return
	}
	if x.kept != nil && !inDoubt {
		if store := k.service.(cacheOwner).Cache(); store != nil {
			store.Put(x.flight.Key(), x.kept)
		}
	}
	x.flight.End(k.now(), true)
	x.flight = nil
}

// all returns the fields of the request by lower-case name; repeated ones are one list.
func (h *head) all(b []byte) map[string]string {
	list := make(map[string]string, h.fields)
	h.each(b, func(name, value []byte, _, _ int) {
		lower := strings.ToLower(string(name))
		if before, twice := list[lower]; twice {
			list[lower] = before + "," + string(value)
			return
		}
		list[lower] = string(value)
	})
	return list
}
