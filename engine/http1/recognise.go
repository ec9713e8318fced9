package http1

import (
	"bytes"
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// What is looked for in a head beside the sealed cookie is looked for only when the service's persistence asks for it, in a head that is known to be whole and good.

const (
	maxSession   = 1024 // a longer value is no session of a server
	maxForwarded = 64   // addresses of X-Forwarded-For that are looked at, from the right
)

// recognise notes by what the service recognises the client of the request at hand.
func (k *core) recognise(b []byte, h *requestHead, p *appliance.Persistence) {
	x := k.x
	x.client = h.clientOf(b, k.client.Peer(), p)
	if p.Kind == appliance.PersistApplication {
		x.session = append(x.session[:0], h.sessionOf(b, p.ApplicationCookie)...)
	}
}

// clientOf returns the client as it counts for persistence and hashing.
func (h *requestHead) clientOf(b []byte, peer netip.AddrPort, p *appliance.Persistence) netip.AddrPort {
	if p.Kind == appliance.PersistForwardedFor {
		if a := h.forwardedFor(b, peer.Addr(), p.TrustedProxies); a.IsValid() {
			return netip.AddrPortFrom(a, peer.Port())
		}
	}
	return peer
}

// sessionOf returns the value of the servers' own cookie, or what stands in the path for it.
func (h *requestHead) sessionOf(b []byte, name string) []byte {
	session := h.ownCookie(b, name)
	if session == nil {
		session = pathParameter(h.path, name)
	}
	if len(session) > maxSession {
		return nil
	}
	return session
}

// learn tells the service what an answer shows, if it wants to know.
func (k *core) learn(b []byte, h *responseHead) {
	p := &k.service.Config().Persistence
	if p.Kind != appliance.PersistApplication && p.Kind != appliance.PersistLastSuccessful {
		return
	}
	learner, wants := k.service.(wire.Learner)
	if !wants || !k.x.picked {
		return
	}
	q := &k.pool.query
	*q = wire.Query{Client: k.x.client}
	if p.Kind == appliance.PersistApplication {
		if q.Session = h.setCookie(b, p.ApplicationCookie); len(q.Session) == 0 || len(q.Session) > maxSession {
			return
		}
	} else if h.status >= 500 {
		return
	}
	learner.Learn(k.x.choice, q)
}

// lineOf returns the value of the next line of that name (in lower case), and where to look on; -1: there is none.
func (h *head) lineOf(b []byte, name string, from int) (value []byte, next int) {
	for i := from; i < h.end; i = next {
		next = i + bytes.IndexByte(b[i:], '\n') + 1
		if n := i + len(name); n < next && b[n] == ':' && request.Equal(b[i:n], name) {
			return lineValue(b[i:next]), next
		}
	}
	return nil, -1
}

// ownCookie returns the value of a cookie of the servers; it is forwarded like any other.
func (h *requestHead) ownCookie(b []byte, name string) []byte {
	for line, i := h.lineOf(b, "cookie", h.lines); i >= 0; line, i = h.lineOf(b, "cookie", i) {
		for len(line) > 0 {
			var pair []byte
			if pair, line = cutAt(line, ';'); len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name {
				return pair[len(name)+1:]
			}
		}
	}
	return nil
}

// cutAt splits at the first sep; what stands before it is trimmed.
func cutAt(b []byte, sep byte) (item, rest []byte) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return request.Trim(b[:i]), b[i+1:]
	}
	return request.Trim(b), nil
}

// pathParameter returns the value of ;name=value in a path, as servers write it for clients without cookies, in whatever case.
func pathParameter(path []byte, name string) []byte {
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	for i := bytes.IndexByte(path, ';'); i >= 0; i = bytes.IndexByte(path, ';') {
		path = path[i+1:]
		if n := len(name); len(path) > n && path[n] == '=' && sameFold(path[:n], name) {
			value := path[n+1:]
			if end := bytes.IndexAny(value, ";/"); end >= 0 {
				value = value[:end]
			}
			return value
		}
	}
	return nil
}

func sameFold(b []byte, name string) bool {
	for i := range b {
		c, d := b[i], name[i]
		if c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// setCookie returns the value that an answer gives to a cookie of the servers; nil when it gives none, or takes it away.
func (h *responseHead) setCookie(b []byte, name string) []byte {
	var found []byte
	for line, i := h.lineOf(b, "set-cookie", h.lines); i >= 0; line, i = h.lineOf(b, "set-cookie", i) {
		pair, attributes := cutAt(line, ';')
		if len(pair) <= len(name) || pair[len(name)] != '=' || string(pair[:len(name)]) != name {
			continue
		}
		found = pair[len(name)+1:]
		for len(attributes) > 0 {
			var one []byte
			if one, attributes = cutAt(attributes, ';'); request.Equal(one, "max-age=0") {
				found = nil
			}
		}
	}
	return found
}

// mostLines is how many X-Forwarded-For lines are looked at, the last ones.
const mostLines = 8

// forwardedFor returns the address of the client behind proxies that are trusted, reading from the right: each proxy adds at the end who came to it. The first address
// that is none of theirs is the client's; what stands before it, the client may have written itself. The zero address: the peer is not trusted, or says nothing.
func (h *requestHead) forwardedFor(b []byte, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	if !within(trusted, peer) {
		return netip.Addr{}
	}
	var lines [mostLines][]byte
	n := 0
	for line, i := h.lineOf(b, "x-forwarded-for", h.lines); i >= 0; line, i = h.lineOf(b, "x-forwarded-for", i) {
		lines[n%mostLines] = line
		n++
	}
	var client netip.Addr
	for looked, last := 0, n-1; last >= max(0, n-mostLines); last-- {
		for list := lines[last%mostLines]; len(list) > 0; {
			at := bytes.LastIndexByte(list, ',')
			a, ok := parseAddr(request.Trim(list[at+1:]))
			if list = list[:max(at, 0)]; !ok {
				return client
			}
			client = a
			if looked++; !within(trusted, a) || looked == maxForwarded {
				return client
			}
		}
	}
	return client
}

func within(list []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddr reads an address as proxies write it: some add a port, or brackets. IPv4 costs no memory.
func parseAddr(b []byte) (netip.Addr, bool) {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return netip.Addr{}, false
		}
		b = b[1:end]
	} else if i := bytes.IndexByte(b, ':'); i >= 0 && bytes.IndexByte(b[i+1:], ':') < 0 {
		b = b[:i]
	}
	if bytes.IndexByte(b, ':') < 0 {
		return parseAddr4(b)
	}
	if len(b) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(b))
	return a.Unmap(), err == nil && a.Zone() == ""
}

func parseAddr4(b []byte) (netip.Addr, bool) {
	var four [4]byte
	for i := range four {
		n, digits := 0, 0
		for len(b) > 0 && digit(b[0]) {
			n, digits, b = 10*n+int(b[0]-'0'), digits+1, b[1:]
			if n > 255 || digits > 1 && n < 10 {
				return netip.Addr{}, false
			}
		}
		if digits == 0 || i < 3 && (len(b) == 0 || b[0] != '.') || i == 3 && len(b) > 0 {
			return netip.Addr{}, false
		}
		if four[i] = byte(n); i < 3 {
			b = b[1:]
		}
	}
	return netip.AddrFrom4(four), true
}
