package http1

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// flatLoop and flatConn do nothing and allocate nothing.
type flatLoop struct {
	now     wire.Time
	scratch []byte
	dialed  *flatConn
}

func (l *flatLoop) Now() wire.Time   { return l.now }
func (l *flatLoop) Scratch() []byte  { return l.scratch }
func (l *flatLoop) Soon(t wire.Task) { t.Run() }
func (l *flatLoop) Hold(int)         {}
func (l *flatLoop) Dial(netip.AddrPort, wire.Core) (wire.Conn, error) {
	l.dialed = &flatConn{}
	return l.dialed, nil
}

type flatConn struct {
	sent  int
	asked int // for what is not acknowledged
	core  wire.Core
}

func (c *flatConn) Send(b []byte) int         { c.sent += len(b); return 0 }
func (c *flatConn) Queued() int               { return 0 }
func (c *flatConn) Unacknowledged() int       { c.asked++; return 0 }
func (c *flatConn) Acknowledge()              {}
func (c *flatConn) Quiet() bool               { return true }
func (c *flatConn) Pause()                    {}
func (c *flatConn) Resume()                   {}
func (c *flatConn) CloseWrite()               {}
func (c *flatConn) Close()                    {}
func (c *flatConn) Abort()                    {}
func (c *flatConn) WakeAt(wire.Time)          {}
func (c *flatConn) SpliceTo(wire.Conn, int64) {}
func (c *flatConn) Raw() bool                 { return true }
func (c *flatConn) Moved() int64              { return 0 }
func (c *flatConn) Bind(core wire.Core)       { c.core = core }
func (c *flatConn) Peer() netip.AddrPort      { return clientAddr }
func (c *flatConn) Local() netip.AddrPort     { return vipAddr }

const browser = "GET /index.html?x=1 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Connection: keep-alive\r\nCookie: session=0123456789abcdef; SERVERID=abcdefgh\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"

const page = "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sat, 21 Nov 2026 02:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 100\r\nConnection: keep-alive\r\n\r\n" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// flat returns a function that serves one request and fails when it was not served.
func flat(t testing.TB, request, response string, edit ...func(*appliance.Persistence)) func() {
	config := appliance.NewService(appliance.HTTP)
	config.Persistence.Kind, config.Persistence.CookieName = appliance.PersistCookie, "A_rather_long_name_of_a_persistence_cookie"
	for _, e := range edit {
		e(&config.Persistence)
	}
	loop := &flatLoop{now: 1, scratch: make([]byte, 0, 64<<10)}
	s := &flatService{service{loop: loop, config: &config, servers: []*wire.Server{{ID: "a"}}}}
	client := &flatConn{}
	k := New(Options{Service: s, Client: client, Idle: NewIdlePool(loop, 10), Recorder: &flatRecorder{}})
	in, out := []byte(request), []byte(response)
	return func() {
		before := client.sent
		if client.asked > 0 || loop.dialed != nil && loop.dialed.asked > 0 {
			t.Fatal("a message costs a system call for what is not acknowledged")
		}
		if n := k.Received(client, in); n != len(in) {
			t.Fatalf("took %d of the request", n)
		}
		server := loop.dialed
		if server.core == nil {
			server.core = k
			k.Connected(server)
		}
		if n := server.core.Received(server, out); n != len(out) || client.sent == before {
			t.Fatalf("took %d of the response", n)
		}
	}
}

// flatRecorder forgets.
type flatRecorder struct{ blank wire.Record }

func (r *flatRecorder) NewID() uint64                        { return 1 }
func (r *flatRecorder) AppendID(dst []byte, _ uint64) []byte { return dst }
func (r *flatRecorder) Lines() bool                          { return true }
func (r *flatRecorder) Blank() *wire.Record                  { return &r.blank }
func (r *flatRecorder) Record(*wire.Record)                  {}

type flatService struct{ service }

func (s *flatService) Answered(wire.Choice, int, time.Duration) {}

func (s *flatService) Pick(*wire.Query) (wire.Choice, bool) {
	s.open++
	return wire.Choice{Server: s.servers[0], Address: vipAddr}, true
}

func TestRequestsDoNotAllocate(t *testing.T) {
	for name, c := range map[string][2]string{
		"small":       {get, ok2},
		"browser":     {browser, page},
		"chunked":     {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		"long cookie": {"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=" + strings.Repeat("b", 300) + "; A_rather_long_name_of_a_persistence_cookie=c\r\n\r\n", ok2},
		"named":       {"GET / HTTP/1.1\r\nHost: x\r\nX-Hop: 1\r\nX-Skip: 2\r\nX-Jump: 3\r\nConnection: X-Hop, X-Jump, X-Skip\r\nX-Hop: 4\r\n\r\n", ok2},
	} {
		serve := flat(t, c[0], c[1])
		serve()
		if n := testing.AllocsPerRun(100, serve); n != 0 {
			t.Errorf("%s: %v allocations per request", name, n)
		}
	}
}

func TestIdleConnectionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(core{}); size > 96 {
		t.Errorf("an idle connection takes %d bytes", size)
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct{ name, request, response string }{{"small", get, ok2}, {"browser", browser, page}} {
		b.Run(c.name, func(b *testing.B) {
			serve := flat(b, c.request, c.response)
			for b.Loop() {
				serve()
			}
		})
	}
}
