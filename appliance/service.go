package appliance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Layer is where a service balances: 4 (packets) or 7 (a proxy).
type Layer int

// Protocol is the Layer 7 mode of a service.
type Protocol string

// The protocols.
const (
	HTTP Protocol = "http"
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
)

// Valid tells whether p is one of the protocols.
func (p Protocol) Valid() bool { return p == HTTP || p == TCP || p == UDP }

// String returns the name on the pages.
func (p Protocol) String() string {
	switch p {
	case HTTP:
		return "HTTP Mode"
	case TCP:
		return "TCP Mode"
	case UDP:
		return "UDP Mode"
	}
	return string(p)
}

// VirtualService (VIP) is an address and ports that clients use, and the pool that serves them.
type VirtualService struct {
	ID       string     `json:"id"`    // immutable, given at first commit
	Label    string     `json:"label"` // unique; letters, digits, _ - . and space
	Address  netip.Addr `json:"address,omitzero"`
	Ports    Ports      `json:"ports,omitempty"`
	PoolOnly bool       `json:"pool_only,omitempty"` // it has neither address nor ports: rules of other services lead to its real servers
	Layer    Layer      `json:"layer"`
	Protocol Protocol   `json:"protocol"`
	Pool
	Persistence Persistence `json:"persistence"`
	Fallback    Fallback    `json:"fallback"`
	HTTP        HTTPOptions `json:"http"`
	Limits      Limits      `json:"limits"`
	Log         LogMode     `json:"log"` // what the traffic log holds
	TLS         TLSOptions  `json:"tls"`
	ServerTLS   ServerTLS   `json:"server_tls"`

	ProxyProtocol ProxyProtocol `json:"proxy_protocol"`
	SourceAddress Source        `json:"source_address,omitzero"` // that the servers see; zero: the one of the route
	Rules         []Rule        `json:"rules,omitempty"`         // in the operator's order
}

// FallbackKind says what serves when no real server can.
type FallbackKind string

// The kinds of fallback.
const (
	FallbackPage   FallbackKind = "page"   // the appliance's own page on 9081, HTTP Mode only
	FallbackNone   FallbackKind = "none"   // the connection is closed at once, or 503 in HTTP Mode
	FallbackServer FallbackKind = "server" // the server at Address
)

// Fallback is what serves when no real server can.
type Fallback struct {
	Kind    FallbackKind   `json:"kind"`
	Address netip.AddrPort `json:"address,omitzero"` // with FallbackServer only
	Encrypt bool           `json:"encrypt"`          // with FallbackServer: spoken to over TLS, as ServerTLS says
}

// ForwardedFor says what the servers are told about the client's address.
type ForwardedFor string

// The ways of telling the client's address.
const (
	ForwardedAppend  ForwardedFor = "append"  // the client's address is added to the list that came in; other forwarding headers pass
	ForwardedReplace ForwardedFor = "replace" // what came in (X-Forwarded-*, X-Real-IP, Forwarded) is removed, ours is set
	ForwardedOff     ForwardedFor = "off"     // nothing is added or removed
)

// KeepAlive says which connections stay open between two requests.
type KeepAlive string

// The keep-alive modes.
const (
	KeepAliveBoth   KeepAlive = "keep_alive"   // both sides
	KeepAliveClient KeepAlive = "server_close" // the client's side only
	KeepAliveNone   KeepAlive = "close"        // neither
)

// Reuse says which requests may go to a server connection that was used before.
type Reuse string

// The ways of reusing server connections. A request that may be sent again (RFC 9110, 9.2.2) is sent again by a fresh connection when the reused one turns out to be
// dead, so the difference concerns the others, such as POST.
const (
	ReuseNever  Reuse = "never"  // a server connection serves one client connection only
	ReuseSafe   Reuse = "safe"   // the first request of a client's connection only if it may be sent again; a later one of another kind only to a connection that was used a moment ago
	ReuseAlways Reuse = "always" // every request
)

// The bounds of HTTPOptions.HeadLimit. A loop keeps no more of a client than what MaxHeadLimit leaves room in, whatever the service says.
const (
	MinHeadLimit = 1 << 10
	MaxHeadLimit = 48 << 10
)

// HTTPOptions hold for HTTP Mode only.
type HTTPOptions struct {
	ForwardedFor     ForwardedFor `json:"x_forwarded_for"`
	KeepAlive        KeepAlive    `json:"keep_alive"`
	Reuse            Reuse        `json:"reuse"`
	HeadTimeout      Duration     `json:"head_timeout"`         // slow-header guard: a request head must be complete within it
	HeadLimit        int          `json:"head_limit"`           // bytes that a request head may have
	TraceAndOptions  bool         `json:"trace_and_options"`    // TRACE and OPTIONS * go to the real servers instead of being refused
	WebSocketTimeout Duration     `json:"websocket_timeout"`    // silence of both sides of a WebSocket
	HTTP2In          HTTP2In      `json:"http2_in"`             // which clients may speak HTTP/2
	HTTP2Out         bool         `json:"http2_out"`            // the real servers are spoken to in HTTP/2
	ErrorPage        string       `json:"error_page,omitempty"` // HTML of the answers that the appliance gives by itself; empty: a sentence
	CacheSize        int          `json:"cache_size,omitempty"` // MiB of responses kept in memory; 0: none
	Compress         bool         `json:"compress"`             // text is sent in gzip, brotli or zstd to clients that can read it
	RequestID        bool         `json:"request_id"`           // the servers are told the request's number in the traffic log, as X-Request-ID
}

// Limits are the bounds of one service.
type Limits struct {
	MaxConnections int      `json:"max_connections"` // of clients at the same time
	ConnectTimeout Duration `json:"connect_timeout"` // towards a real server
	ClientTimeout  Duration `json:"client_timeout"`  // silence of the client
	ServerTimeout  Duration `json:"server_timeout"`  // silence of the server
	// Queue is how many clients may wait for a place when every real server that could serve them is at its maximum connections; 0: none.
	Queue        int      `json:"queue,omitempty"`
	QueueTimeout Duration `json:"queue_timeout"` // how long a client waits there
	// FullLoad is how many must be served or wait for servers with minimum connections to have their maximum; 0: a tenth of MaxConnections.
	FullLoad int `json:"full_load,omitempty"`
}

// NewService returns a service of that protocol with the default of every field; label, address, ports and servers are empty.
func NewService(p Protocol) VirtualService {
	s := VirtualService{
		Layer: 7, Protocol: p,
		Pool:        Pool{Scheduler: LeastConnections, Mode: LoadBalanced, SlowStart: Duration(8 * time.Second), Monitor: NewMonitor(MonitorConnect)},
		Persistence: newPersistence(),
		Fallback:    Fallback{Kind: FallbackNone},
		HTTP: HTTPOptions{
			ForwardedFor: ForwardedAppend, KeepAlive: KeepAliveBoth, Reuse: ReuseSafe, HeadTimeout: Duration(5 * time.Second), HeadLimit: MaxHeadLimit,
			WebSocketTimeout: Duration(time.Hour), HTTP2In: HTTP2OverTLS,
		},
		Log: LogErrors,
		Limits: Limits{
			MaxConnections: 40000, ConnectTimeout: Duration(4 * time.Second),
			ClientTimeout: Duration(12 * time.Hour), ServerTimeout: Duration(12 * time.Hour), QueueTimeout: Duration(30 * time.Second),
		},
	}
	s.TLS, s.ServerTLS = newTLS(), ServerTLS{Verify: true}
	s.ProxyProtocol = newProxyProtocol()
	if p == UDP {
		s.Monitor = NewMonitor(MonitorNone)
		s.Limits.ClientTimeout = Duration(30 * time.Second)
	}
	if p == HTTP {
		s.Fallback.Kind = FallbackPage
		s.Limits.ClientTimeout, s.Limits.ServerTimeout = Duration(43*time.Second), Duration(43*time.Second)
	}
	return s
}

// Clone returns a deep copy.
func (s VirtualService) Clone() VirtualService {
	s.Ports = slices.Clone(s.Ports)
	s.RealServers = slices.Clone(s.RealServers)
	s.TLS = s.TLS.clone()
	s.ProxyProtocol.Trusted = slices.Clone(s.ProxyProtocol.Trusted)
	s.Persistence.TrustedProxies = slices.Clone(s.Persistence.TrustedProxies)
	s.Rules = cloneRules(s.Rules)
	return s
}

// Normalize trims labels, unmaps addresses and sorts ports.
func (s *VirtualService) Normalize() {
	s.Label = strings.TrimSpace(s.Label)
	s.Address = s.Address.Unmap()
	s.Ports = s.Ports.canonical()
	s.normalizeTLS()
	s.ProxyProtocol.normalize()
	s.SourceAddress.Addr = s.SourceAddress.Addr.Unmap()
	s.Persistence.normalize()
	if s.RealServers == nil {
		s.RealServers = []RealServer{}
	}
	for i := range s.Rules {
		s.Rules[i].normalize()
	}
	for i := range s.RealServers {
		s.RealServers[i].Label = strings.TrimSpace(s.RealServers[i].Label)
		s.RealServers[i].Address = s.RealServers[i].Address.canonical()
		if s.RealServers[i].State != Drain {
			s.RealServers[i].DrainUntil = time.Time{}
		}
	}
}

// Server returns a pointer into s to the real server with that id, or nil.
func (s *VirtualService) Server(id string) *RealServer {
	for i := range s.RealServers {
		if s.RealServers[i].ID == id {
			return &s.RealServers[i]
		}
	}
	return nil
}

// ServerPort returns the port that r is reached on for a client that came to port: r's own, or the same.
func (s *VirtualService) ServerPort(r *RealServer, port uint16) uint16 {
	if r.Port != 0 {
		return r.Port
	}
	return port
}

// FullLoad is at how many clients, served and waiting, servers with minimum connections have their maximum.
func (s *VirtualService) FullLoad() int64 {
	if s.Limits.FullLoad > 0 {
		return int64(s.Limits.FullLoad)
	}
	return int64(max(s.Limits.MaxConnections/10, 1))
}

// UnmarshalJSON reads a service strictly: unknown fields are refused, absent ones get the default of the named protocol (TCP when none is named).
func (s *VirtualService) UnmarshalJSON(b []byte) error {
	var peek struct {
		Protocol Protocol `json:"protocol"`
	}
	if err := json.Unmarshal(b, &peek); err != nil {
		return fmt.Errorf("read virtual service: %w", err)
	}
	type plain VirtualService
	fresh := plain(NewService(cmpOr(peek.Protocol, TCP)))
	if err := strict(b, &fresh); err != nil {
		return fmt.Errorf("read virtual service: %w", err)
	}
	*s = VirtualService(fresh)
	return nil
}

func cmpOr(p, q Protocol) Protocol {
	if p == "" {
		return q
	}
	return p
}

func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
