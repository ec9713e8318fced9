package http2

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/http1"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rig is a client's connection with cores of HTTP/1 in it and a server behind them, which the test plays.
type rig struct {
	t       testing.TB
	loop    *wiretest.Loop
	service *service
	shared  *Shared
	client  *wiretest.Conn
	core    wire.Core
	out     bytes.Buffer // frames that the client is about to send
	framer  *http2.Framer
	enc     *hpack.Encoder
	block   bytes.Buffer
	dec     *hpack.Decoder
	reasons []string
}

// service gives one server, by way of servers when it is set.
type service struct {
	loop     wire.Loop
	config   *appliance.VirtualService
	server   wire.Server
	counters wire.Counters
	servers  *Servers
	open     int
}

func (s *service) Loop() wire.Loop                          { return s.loop }
func (s *service) Config() *appliance.VirtualService        { return s.config }
func (s *service) Counters() *wire.Counters                 { return &s.counters }
func (s *service) Failed(wire.Choice, error)                {}
func (s *service) Answered(wire.Choice, int, time.Duration) {}
func (s *service) Release(wire.Choice)                      { s.open-- }
func (s *service) DialBelow(c wire.Choice, core wire.Core) (wire.Conn, error) {
	return s.loop.Dial(c.Address, core)
}

func (s *service) Dial(c wire.Choice, _ wire.Conn, core wire.Core) (wire.Conn, error) {
	if s.servers != nil {
		return s.servers.Open(Route{Choice: c, Dialer: s}, core)
	}
	return s.DialBelow(c, core)
}

func (s *service) Pick(q *wire.Query) (wire.Choice, bool) {
	if len(q.Tried) > 0 {
		return wire.Choice{}, false
	}
	s.open++
	return wire.Choice{Server: &s.server, Address: netip.MustParseAddrPort("10.0.0.1:8080")}, true
}

// newRig returns a connection whose preface and settings were exchanged.
func newRig(t testing.TB) *rig {
	config := appliance.NewService(appliance.HTTP)
	config.HTTP.ForwardedFor = appliance.ForwardedOff
	r := &rig{t: t, loop: wiretest.NewLoop()}
	r.service = &service{loop: r.loop, config: &config}
	r.shared = NewShared(r.loop)
	r.accept()
	t.Cleanup(r.holdsNothing)
	return r
}

// holdsNothing ends everything and demands that what was held was given back.
func (r *rig) holdsNothing() {
	if held := r.loop.End(); held != 0 {
		r.t.Errorf("%d bytes are held for nobody", held)
	}
}

func (r *rig) accept() {
	r.client = r.loop.Accept(netip.MustParseAddrPort("203.0.113.7:51000"), netip.MustParseAddrPort("192.0.2.10:80"))
	idle := http1.NewIdlePool(r.loop, 100)
	r.core = New(Options{
		Shared: r.shared, Client: r.client, Config: r.service.Config, Refused: func(why string) { r.reasons = append(r.reasons, why) },
		New: func(stream wire.Conn) wire.Core {
			return http1.New(http1.Options{Service: r.service, Client: stream, Idle: idle, Stream: true, Refused: func(why string) { r.reasons = append(r.reasons, why) }})
		},
	})
	r.client.Bind(r.core)
	r.framer = http2.NewFramer(&r.out, nil)
	r.framer.AllowIllegalWrites = true
	r.enc = hpack.NewEncoder(&r.block)
	r.dec = hpack.NewDecoder(4096, nil)
	r.client.Arrive([]byte(http2.ClientPreface))
	_ = r.framer.WriteSettings()
	r.send()
	r.frames()
}

// send gives what was written to the core.
func (r *rig) send() {
	b := bytes.Clone(r.out.Bytes())
	r.out.Reset()
	if !r.client.Over() {
		r.client.Arrive(b)
	}
}

// fields encodes pairs.
func (r *rig) fields(pairs ...string) []byte {
	r.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = r.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(r.block.Bytes())
}

// ask sends a request's head.
func (r *rig) ask(id uint32, end bool, pairs ...string) {
	_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(pairs...), EndStream: end, EndHeaders: true})
	r.send()
}

func (r *rig) data(id uint32, end bool, text string) {
	_ = r.framer.WriteData(id, end, []byte(text))
	r.send()
}

var getX = []string{":method", "GET", ":scheme", "http", ":path", "/x", ":authority", "a.test"}

func with(pairs []string, more ...string) []string {
	return append(append([]string{}, pairs...), more...)
}

// got is a frame that came, in short.
type got struct {
	kind   http2.FrameType
	stream uint32
	code   http2.ErrCode
	end    bool
	text   string
}

// frames returns what the core sent since the last call.
func (r *rig) frames() (list []got) {
	return framesOf(r.t, r.client, r.dec)
}

func framesOf(t testing.TB, c *wiretest.Conn, dec *hpack.Decoder) (list []got) {
	t.Helper()
	in := http2.NewFramer(io.Discard, bytes.NewReader(bytes.TrimPrefix(c.Sent, []byte(preface))))
	c.Sent = nil
	for {
		f, err := in.ReadFrame()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("what was sent is not HTTP/2: %v", err)
		}
		g := got{kind: f.Header().Type, stream: f.Header().StreamID}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			g.code = f.ErrCode
		case *http2.GoAwayFrame:
			g.code = f.ErrCode
		case *http2.DataFrame:
			g.text, g.end = string(f.Data()), f.StreamEnded()
		case *http2.HeadersFrame:
			g.end = f.StreamEnded()
			var text strings.Builder
			fields, err := dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range fields {
				text.WriteString(h.Name + ": " + h.Value + "\n")
			}
			g.text = text.String()
		}
		list = append(list, g)
	}
}

// find returns the first frame of a kind on a stream.
func find(list []got, kind http2.FrameType, id uint32) (got, bool) {
	for _, g := range list {
		if g.kind == kind && g.stream == id {
			return g, true
		}
	}
	return got{}, false
}

// wantReset demands that a stream was reset and that nothing reached a server.
func (r *rig) wantReset(id uint32, code http2.ErrCode) {
	r.t.Helper()
	list := r.frames()
	if g, ok := find(list, http2.FrameRSTStream, id); !ok || g.code != code {
		r.t.Fatalf("stream %d was not reset with %v: %v", id, code, list)
	}
	if len(r.loop.Dialed) != 0 || r.client.Over() {
		r.t.Fatalf("%d connections to a server, client over %v", len(r.loop.Dialed), r.client.Over())
	}
}

// wantClosed demands a GOAWAY with a code and the end of the connection.
func (r *rig) wantClosed(code http2.ErrCode) {
	r.t.Helper()
	list := r.frames()
	if g, ok := find(list, http2.FrameGoAway, 0); !ok || g.code != code || !r.client.Over() {
		r.t.Fatalf("not closed with %v: %.400v, over %v, %q", code, list, r.client.Over(), r.reasons)
	}
}

// balanced demands that every Pick was released.
func (r *rig) balanced() {
	r.t.Helper()
	if r.service.open != 0 {
		r.t.Fatalf("%d choices were not released", r.service.open)
	}
}

// server returns the n-th connection to a server, connected.
func (r *rig) server(n int) *wiretest.Conn {
	r.t.Helper()
	if len(r.loop.Dialed) <= n {
		r.t.Fatalf("connection %d to a server was not dialed; reasons %q", n, r.reasons)
	}
	c := r.loop.Dialed[n]
	if !c.Over() {
		c.Connect()
	}
	return c
}

func take(c *wiretest.Conn) string {
	s := string(c.Sent)
	c.Sent = nil
	return s
}
