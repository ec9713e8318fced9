package appliance

// HTTP2In says which clients may speak HTTP/2.
type HTTP2In string

// The choices.
const (
	HTTP2Off     HTTP2In = "off"
	HTTP2OverTLS HTTP2In = "tls"    // clients that come over TLS and ask for it, as every browser does
	HTTP2Always  HTTP2In = "always" // also clients in clear that begin so (prior knowledge), as gRPC does
)

// The names of the protocols in ALPN (RFC 7301).
const (
	ProtocolHTTP2 = "h2"
	ProtocolHTTP1 = "http/1.1"
)

// Valid tells whether h is one of the choices.
func (h HTTP2In) Valid() bool { return h == HTTP2Off || h == HTTP2OverTLS || h == HTTP2Always }

// SpeaksHTTP2 tells whether the real servers are spoken to in HTTP/2: over TLS as agreed on, in clear with prior knowledge.
func (s *VirtualService) SpeaksHTTP2() bool { return s.Protocol == HTTP && s.HTTP.HTTP2Out }
