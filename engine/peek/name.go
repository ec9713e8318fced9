package peek

import (
	"encoding/binary"
	"strings"
)

const (
	serverName  = 0 // the extension server_name (RFC 6066, 3)
	nameOfHost  = 0 // host_name
	longestName = 255
)

// ServerName reads the server name that a TLS client asks for, in lower case; Found with an empty one says that it speaks TLS and names none, or nothing that could be a
// host's. A hello that is split into several records is put together, unlike that of ClientHello: nobody shall pass by a rule in pieces.
func ServerName(b []byte) (string, Verdict) {
	body, v := joined(b)
	if v != Found {
		return "", v
	}
	_, rest, ok := opening(body)
	if ok {
		_, rest, ok = vector(rest, 2) // cipher suites
	}
	if ok {
		_, rest, ok = vector(rest, 1) // compression methods
	}
	if !ok {
		return "", None
	}
	name := ""
	ok = eachExtension(rest, func(kind uint16, value []byte) {
		if kind == serverName {
			name = hostOf(value)
		}
	})
	if !ok {
		return "", None
	}
	return name, Found
}

// joined returns the body of the client's hello, which may begin in one record and end in another.
func joined(b []byte) ([]byte, Verdict) {
	if body, v := handshake(b, clientHello); v != None {
		return body, v
	}
	var message []byte
	for len(message) < handshakeHead || len(message) < handshakeHead+sizeOf(message) {
		if len(b) > 0 && b[0] != recordHandshake || len(b) > 1 && b[1] != 3 {
			return nil, None
		}
		if len(b) < recordHead {
			return nil, More
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 || n > maxFragment || len(message) >= handshakeHead && sizeOf(message) > Limit {
			return nil, None
		}
		message = append(message, b[recordHead:min(recordHead+n, len(b))]...)
		if len(message) > 0 && message[0] != clientHello {
			return nil, None
		}
		if b = b[min(recordHead+n, len(b)):]; len(b) == 0 && (len(message) < handshakeHead || len(message) < handshakeHead+sizeOf(message)) {
			return nil, More
		}
	}
	return message[handshakeHead : handshakeHead+sizeOf(message)], Found
}

func sizeOf(message []byte) int {
	return int(message[1])<<16 | int(message[2])<<8 | int(message[3])
}

// eachExtension shows the extensions of a hello, which may be absent; false: they are not well-formed.
func eachExtension(b []byte, see func(kind uint16, value []byte)) bool {
	if len(b) == 0 {
		return true
	}
	list, rest, ok := vector(b, 2)
	if !ok || len(rest) > 0 {
		return false
	}
	for len(list) > 0 {
		if len(list) < 2 {
			return false
		}
		kind := binary.BigEndian.Uint16(list)
		var value []byte
		if value, list, ok = vector(list[2:], 2); !ok {
			return false
		}
		see(kind, value)
	}
	return true
}

// hostOf returns the first host name of the extension in lower case, or nothing when it cannot be one.
func hostOf(value []byte) string {
	list, _, ok := vector(value, 2)
	for ok && len(list) > 0 {
		kind := list[0]
		var name []byte
		if name, list, ok = vector(list[1:], 2); !ok || kind != nameOfHost {
			continue
		}
		text := strings.ToLower(strings.TrimSuffix(string(name), "."))
		if len(text) > longestName || strings.ContainsFunc(text, notInName) {
			return ""
		}
		return text
	}
	return ""
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_')
}
