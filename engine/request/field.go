package request

// Field is a header field that the appliance treats in a special way; every other field is Plain.
type Field uint8

// The fields.
const (
	Plain Field = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	Expect
	Cookie
	Upgrade
	ForwardedForField // X-Forwarded-For
	Forwarding        // the others by which a proxy tells who asked: Forwarded, X-Forwarded-*, X-Real-IP
	HopByHop          // Keep-Alive, Proxy-Connection, Proxy-Authorization, TE, HTTP2-Settings: never forwarded
	WebSocketKey
	WebSocketVersion
	StrictTransport // Strict-Transport-Security, of an answer
	RequestID       // X-Request-ID, with an underscore too
	Disguised       // Content_Length, Transfer_Encoding: servers that hand fields to programs as variables cannot tell them from those that frame
)

// FieldOf returns the class of a field name, which must be a token.
func FieldOf(name []byte) Field {
	if len(name) == 0 {
		return Plain
	}
	switch name[0] | 0x20 {
	case 'h':
		return pick(name, "host", Host, "http2-settings", HopByHop)
	case 'c':
		return fieldC(name)
	case 't':
		return fieldT(name)
	case 'e':
		return pick(name, "expect", Expect, "", Plain)
	case 'u':
		return pick(name, "upgrade", Upgrade, "", Plain)
	case 'k':
		return pick(name, "keep-alive", HopByHop, "", Plain)
	case 'p':
		return pick(name, "proxy-connection", HopByHop, "proxy-authorization", HopByHop)
	case 's':
		if Equal(name, "strict-transport-security") {
			return StrictTransport
		}
		return pick(name, "sec-websocket-key", WebSocketKey, "sec-websocket-version", WebSocketVersion)
	case 'f':
		return pick(name, "forwarded", Forwarding, "", Plain)
	case 'x':
		return fieldX(name)
	}
	return Plain
}

func pick(name []byte, a string, isA Field, b string, isB Field) Field {
	switch {
	case Equal(name, a):
		return isA
	case Equal(name, b):
		return isB
	}
	return Plain
}

func fieldC(name []byte) Field {
	switch {
	case Equal(name, "connection"):
		return Connection
	case Equal(name, "content-length"):
		return ContentLength
	case Equal(name, "cookie"):
		return Cookie
	case equalLoose(name, "content-length"):
		return Disguised
	}
	return Plain
}

func fieldT(name []byte) Field {
	switch {
	case Equal(name, "transfer-encoding"):
		return TransferEncoding
	case Equal(name, "te"):
		return HopByHop
	case equalLoose(name, "transfer-encoding"):
		return Disguised
	}
	return Plain
}

// fieldX treats an underscore like a hyphen: servers that hand fields to programs as variables cannot tell the two apart.
func fieldX(name []byte) Field {
	switch {
	case equalLoose(name, "x-forwarded-for") && name[1] == '-' && name[11] == '-':
		return ForwardedForField
	case len(name) > 12 && equalLoose(name[:12], "x-forwarded-"), equalLoose(name, "x-real-ip"):
		return Forwarding
	case equalLoose(name, "x-request-id"):
		return RequestID
	}
	return Plain
}

func equalLoose(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// Protected tells whether a Connection header must not name the field: framing, identity, and what is meant for the server at the end (RFC 9110, 7.6.1).
func Protected(name []byte) bool {
	switch FieldOf(name) {
	case Host, ContentLength, TransferEncoding, Connection, Cookie, Expect, ForwardedForField, Forwarding, WebSocketKey, WebSocketVersion, StrictTransport, Disguised:
		return true
	case Upgrade, HopByHop:
		return false
	}
	return oneOf(name, "authorization", "content-type", "content-encoding", "content-range", "set-cookie", "cache-control", "origin", "referer", "range",
		"date", "location", "www-authenticate", "accept", "user-agent", "pragma", "content-security-policy")
}

// TrailerAllowed tells whether a field may be forwarded behind a chunked body: what frames, routes, authenticates or steers a message may not (RFC 9110, 6.5.1).
func TrailerAllowed(name []byte) bool {
	if FieldOf(name) != Plain || Protected(name) {
		return false
	}
	if len(name) > 3 && (Equal(name[:3], "if-") || len(name) > 6 && Equal(name[:6], "proxy-")) {
		return false
	}
	return !oneOf(name, "trailer", "max-forwards", "age", "expires", "vary", "warning", "retry-after", "proxy-authenticate", "authentication-info",
		"accept-ranges", "etag", "last-modified", "allow", "content-location", "content-language", "content-disposition", "accept-encoding", "method", "status")
}

func oneOf(name []byte, list ...string) bool {
	for _, lower := range list {
		if Equal(name, lower) {
			return true
		}
	}
	return false
}
