package request

import "bytes"

// MaxHost is the longest host with its port.
const MaxHost = 261

// ValidHost tells whether b is a host name, an IPv4 address or a bracketed IPv6 address, with a port 1 to 65535 or without; no userinfo, not empty.
func ValidHost(b []byte) bool {
	if len(b) == 0 || len(b) > MaxHost {
		return false
	}
	end := 0
	if b[0] == '[' {
		if end = bytes.IndexByte(b, ']') + 1; end < 4 || !literal(b[1:end-1]) {
			return false
		}
	} else {
		for end < len(b) && hostTable[b[end]] == '1' {
			end++
		}
	}
	return end > 0 && (end == len(b) || b[end] == ':' && validPort(b[end+1:]))
}

// literal tells whether b could be an IPv6 address: hex digits, colons, and dots of an embedded IPv4 address.
func literal(b []byte) bool {
	colons := 0
	for _, c := range b {
		switch {
		case c == ':':
			colons++
		case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'f', c == '.':
		default:
			return false
		}
	}
	return colons >= 2 && len(b) <= 45
}

func validPort(b []byte) bool {
	n, ok := ParseLength(b)
	return ok && n >= 1 && n <= 65535
}

// TargetLen returns how many bytes b begins with that may stand in a request target: visible ASCII without #.
func TargetLen(b []byte) int {
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return i
		}
	}
	return len(b)
}

// CheckMethod refuses the methods that a reverse proxy does not serve: CONNECT, and TRACE unless trace says that it may pass.
func CheckMethod(method []byte, trace bool) Verdict {
	switch {
	case !Token(method) || len(method) > 32:
		return Bad("the method is not a token")
	case string(method) == "CONNECT", string(method) == "TRACE" && !trace:
		return Verdict{Status: 405, Reason: "the method is not served here"}
	}
	return Verdict{}
}

// SplitTarget checks a request target and returns its authority (empty for origin form) and its path with query, which may be empty in absolute form.
func SplitTarget(target []byte) (authority, path []byte, v Verdict) {
	switch {
	case len(target) == 0:
		return nil, nil, Bad("the request target is missing")
	case TargetLen(target) != len(target):
		return nil, nil, Bad("the request target has a byte that is not allowed")
	case target[0] == '/':
		return nil, target, Verdict{}
	case string(target) == "*":
		return nil, nil, Verdict{Status: 405, Reason: "the request target * is not served here"}
	}
	rest := target
	switch {
	case len(rest) > 7 && SameFold(rest[:7], []byte("http://")):
		rest = rest[7:]
	case len(rest) > 8 && SameFold(rest[:8], []byte("https://")):
		rest = rest[8:]
	default:
		return nil, nil, Bad("the request target does not begin with a slash")
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if !ValidHost(rest[:end]) {
		return nil, nil, Bad("the request target has no valid host")
	}
	return rest[:end], rest[end:], Verdict{}
}

// Idempotent tells whether a request with that method may be sent twice (RFC 9110, 9.2.2).
func Idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PROPFIND", "REPORT":
		return true
	}
	return false
}
