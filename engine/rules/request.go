package rules

import (
	"bytes"
	"net/netip"
	"strconv"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// Request is what a client sent, as it was scanned: names and values are known to be well-formed. Slices point into the head.
type Request struct {
	Method  []byte
	Target  []byte // path with query; may be empty, which is /
	Host    []byte // with its port if one was sent; nil with HTTP/1.0
	Fields  []byte // the field lines, each with its CR LF
	TLSName string // asked for by TLS; empty without
	Source  netip.Addr
	Port    uint16 // that the client came to
	Secure  bool   // it came by TLS
}

// OfConnection is what is known of a client in TCP Mode and UDP Mode; tlsName as in Request.
func OfConnection(source netip.Addr, port uint16, tlsName string) Request {
	return Request{Source: source, Port: port, TLSName: tlsName}
}

// split returns the path and the query with its question mark.
func (r *Request) split() (path, query []byte) {
	path = r.Target
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	if len(path) == 0 {
		path = slash
	}
	return path, query
}

var slash = []byte("/") // never written to

// host returns the host without its port.
func (r *Request) host() []byte {
	if i := bytes.LastIndexByte(r.Host, ':'); i >= 0 && bytes.IndexByte(r.Host[i:], ']') < 0 {
		return r.Host[:i]
	}
	return r.Host
}

// template is a text with placeholders.
type template []appliance.Piece

func parseTemplate(text string) template { return appliance.ParseTemplate(text) }

// append writes the text for a request. What it writes comes from a valid head, so that it has no control byte.
func (t template) append(dst []byte, r *Request) []byte {
	for i := range t {
		if t[i].Name == "" {
			dst = append(dst, t[i].Text...)
			continue
		}
		dst = r.appendPart(dst, t[i].Name)
	}
	return dst
}

func (r *Request) appendPart(dst []byte, name string) []byte {
	path, query := r.split()
	switch name {
	case "scheme":
		if r.Secure {
			return append(dst, "https"...)
		}
		return append(dst, "http"...)
	case "host":
		return append(dst, r.host()...)
	case "port":
		return strconv.AppendUint(dst, uint64(r.Port), 10)
	case "path":
		return append(dst, path...)
	case "query":
		return append(dst, query...)
	case "method":
		return append(dst, r.Method...)
	case "source":
		return request.AppendAddr(dst, r.Source)
	}
	return dst
}

// decodePath appends the path as servers read it: percent-decoded once, backslashes as slashes, without empty and dot segments. A rule that guards /admin must not be passed
// by /%61dmin, //admin or /x/../admin.
func decodePath(dst, path []byte) []byte {
	start := len(dst)
	if len(path) == 0 || path[0] != '/' {
		dst = append(dst, '/')
	}
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if hi, lo := hex(path[i+1]), hex(path[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		if c == '\\' {
			c = '/'
		}
		dst = append(dst, c)
	}
	return dst[:start+clean(dst[start:])]
}

// clean removes empty and dot segments in place and returns the new length. What ends in a dot segment ends in a slash.
func clean(p []byte) int {
	n := 0
	for i := 0; i < len(p); {
		for i < len(p) && p[i] == '/' {
			i++
		}
		end := i
		for end < len(p) && p[end] != '/' {
			end++
		}
		seg := p[i:end]
		i = end
		switch {
		case len(seg) == 0, string(seg) == ".":
			if end == len(p) {
				p[n] = '/'
				n++
			}
			continue
		case string(seg) == "..":
			for n > 0 && p[n-1] != '/' {
				n--
			}
			if n = max(n-1, 0); end == len(p) {
				p[n] = '/'
				n++
			}
			continue
		}
		p[n] = '/'
		n += 1 + copy(p[n+1:], seg)
	}
	return n
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// decodeQuery appends a name or a value of a query decoded: + is a space.
func decodeQuery(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(text) && hex(text[i+1]) >= 0 && hex(text[i+2]) >= 0:
			c = byte(hex(text[i+1])<<4 | hex(text[i+2]))
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}
