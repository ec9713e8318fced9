package http2

import (
	"bytes"
	"net/netip"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// flatConn takes everything and allocates nothing.
type flatConn struct{ sent int }

func (c *flatConn) Send(b []byte) int         { c.sent += len(b); return 0 }
func (c *flatConn) Queued() int               { return 0 }
func (c *flatConn) Unacknowledged() int       { return 0 }
func (c *flatConn) Acknowledge()              {}
func (c *flatConn) Quiet() bool               { return true }
func (c *flatConn) Pause()                    {}
func (c *flatConn) Resume()                   {}
func (c *flatConn) CloseWrite()               {}
func (c *flatConn) Close()                    {}
func (c *flatConn) Abort()                    {}
func (c *flatConn) WakeAt(wire.Time)          {}
func (c *flatConn) SpliceTo(wire.Conn, int64) {}
func (c *flatConn) Moved() int64              { return 0 }
func (c *flatConn) Raw() bool                 { return true }
func (c *flatConn) Bind(wire.Core)            {}
func (c *flatConn) Peer() netip.AddrPort      { return netip.AddrPort{} }
func (c *flatConn) Local() netip.AddrPort     { return netip.AddrPort{} }

// echo answers with a head at once and gives back every byte of the body.
type echo struct {
	begun bool
	got   int
}

func (e *echo) Received(c wire.Conn, b []byte) int {
	if !e.begun {
		e.begun = true
		c.Send([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"))
		return len(b)
	}
	e.got += len(b)
	c.Send(b)
	return len(b)
}
func (*echo) Ended(wire.Conn)                {}
func (*echo) Drained(wire.Conn)              {}
func (*echo) Connected(wire.Conn)            {}
func (*echo) Broken(wire.Conn, error)        {}
func (*echo) Woken(wire.Conn)                {}
func (*echo) Spliced(wire.Conn, int64, bool) {}
func (*echo) Evict(*wire.Server)             {}

func TestFramesCostNoMemory(t *testing.T) {
	config := appliance.NewService(appliance.HTTP)
	core, below := &echo{}, &flatConn{}
	c := New(Options{
		Shared: NewShared(wiretest.NewLoop()), Client: below, Config: func() *appliance.VirtualService { return &config },
		New: func(wire.Conn) wire.Core { return core },
	})
	var block, out bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}, {"content-length", "1000000000"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	framer := http2.NewFramer(&out, nil)
	out.WriteString(http2.ClientPreface)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: largestWindow})
	_ = framer.WriteWindowUpdate(0, largestWindow-firstWindow)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	c.Received(below, out.Bytes())
	out.Reset()
	_ = framer.WriteData(1, false, make([]byte, 10000))
	frame := out.Bytes()
	n := testing.AllocsPerRun(1000, func() { c.Received(below, frame) })
	if n != 0 || core.got < 10_000_000 || below.sent < core.got {
		t.Errorf("%v allocations for a frame that comes and one that goes; %d bytes came, %d went", n, core.got, below.sent)
	}
}
