package proof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"evenkeel/appliance"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// streamHolds is what one stream of HTTP/2 that is not read may cost: a full buffer of frames and what the server sent meanwhile.
const streamHolds = 192 << 10

// TestSlowReadersOfStreamsHoldLittle: a thousand streams of HTTP/2, each a large answer of which nothing is read.
func TestSlowReadersOfStreamsHoldLittle(t *testing.T) {
	conns, streams, each := 10, 100, 1500
	if raced {
		conns, each = 2, 50
	}
	server, _ := library(t)
	config, address := before(t, appliance.HTTP, server)
	config.Cluster.VirtualServices[0].HTTP.HTTP2In = appliance.HTTP2Always
	s := examine(t, order{Config: config, Loops: 2})
	quiet := healthy(t, address, each)
	at := s.vitals()
	all := make([]net.Conn, 0, conns)
	t.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
	})
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		if err := greedy(c, streams, i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	moved := uint64(1)
	s.until("what they could get has been sent", 60*time.Second, func(v vitals) bool {
		last := moved
		moved = v.Status.Services[0].BytesOut
		return v.Status.Services[0].Requests >= uint64(conns*streams) && moved == last
	})
	most := s.vitals()
	meanwhile := healthy(t, address, each)
	n := conns * streams
	if !raced && most.Heap > at.Heap+uint64(n)*streamHolds {
		t.Errorf("each stream holds %.1f KiB", kibibytes(most.Heap, at.Heap, n))
	}
	for _, c := range all {
		c.Close()
	}
	took := s.until("everything is given back", 30*time.Second, func(v vitals) bool { return v.Files <= at.Files+pooledPipes })
	tell(t, "24 slow reading of streams", fmt.Sprintf("%d connections of HTTP/2 with %d streams each, nothing is read", conns, streams),
		fmt.Sprintf("%.1f KiB each stream; %s; all returned in %.1f s behind their leaving", kibibytes(most.Heap, at.Heap, n), compared(quiet, meanwhile), took.Seconds()))
}

// greedy asks for many large answers, with no window at all or with all of it, and reads nothing but the server's settings.
func greedy(c net.Conn, streams int, window bool) error {
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return err
	}
	f := http2.NewFramer(c, c)
	size := uint32(0)
	if window {
		size = 1<<31 - 1
	}
	err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: size})
	if window {
		err = errors.Join(err, f.WriteWindowUpdate(0, 1<<30))
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range streams {
		block.Reset()
		for _, p := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/large"}} {
			err = errors.Join(err, enc.WriteField(hpack.HeaderField{Name: p[0], Value: p[1]}))
		}
		err = errors.Join(err, f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(1 + 2*i), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	}
	return err
}
