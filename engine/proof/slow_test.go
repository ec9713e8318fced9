package proof

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
)

// eachHolds is what one slow connection may cost the engine.
const eachHolds = 32 << 10

// pooledPipes is the descriptors of empty pipes that two loops keep.
const pooledPipes = 2 * 2 * 32

// slowly is a way to hold a connection open while doing next to nothing.
type slowly struct {
	name   string
	first  string // sent at once
	drip   string // then, every second; empty: nothing
	guard  bool   // the engine ends it by itself in time, without the client's help
	drains bool   // the answer is read a few bytes a second
	alone  bool   // its connections to the server are not kept for others
}

// ways are those of slowhttptest, and one request with very many ranges.
func ways() []slowly {
	ranges := make([]string, 1300)
	for i := range ranges {
		ranges[i] = fmt.Sprintf("%d-%d", i, i+1)
	}
	return []slowly{
		{name: "slow head", first: "GET /small HTTP/1.1\r\nHost: x\r\n", drip: "X-a: b\r\n", guard: true},
		{name: "slow body", first: "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n", drip: "0123456789"},
		{name: "slow chunks", first: "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", drip: "1\r\nx\r\n"},
		{name: "slow reading", first: "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", drains: true},
		{name: "slow reading of chunks", first: "GET /chunks HTTP/1.1\r\nHost: x\r\n\r\n", drains: true},
		{name: "many ranges", first: "GET /held HTTP/1.1\r\nHost: x\r\nRange: bytes=" + strings.Join(ranges, ",") + "\r\n\r\n", alone: true},
	}
}

// library is a server whose answers are small, large, chunked, or wait until release.
func library(t *testing.T) (at netip.AddrPort, release func()) {
	t.Helper()
	open := make(chan struct{})
	release = sync.OnceFunc(func() { close(open) })
	block := make([]byte, 16<<10)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/held":
			select {
			case <-open:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "at last")
		case "/large", "/chunks":
			if r.URL.Path == "/large" {
				w.Header().Set("Content-Length", "67108864")
			}
			for range 4096 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "hello")
		}
	})}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() {
		release()
		_ = s.Close()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort(), release
}

// TestSlowClientsAreCheapAndDisturbNobody: thousands of each kind at once. Each costs little, all of it comes back, and healthy clients are served meanwhile; how fast is
// told, and not judged by the clock.
func TestSlowClientsAreCheapAndDisturbNobody(t *testing.T) {
	n, each := 4000, 1500
	if raced {
		n, each = 150, 50
	}
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			server, release := library(t)
			config, address := before(t, appliance.HTTP, server)
			if way.alone {
				config.Cluster.VirtualServices[0].HTTP.KeepAlive = appliance.KeepAliveClient
			}
			s := examine(t, order{Config: config, Loops: 2})
			before := healthy(t, address, each)
			at := s.vitals()
			k := &slowClients{way: way}
			t.Cleanup(k.leave)
			k.come(t, address, n)
			moved := uint64(1)
			s.until("all of them are in, and what they could get has been sent", 60*time.Second, func(v vitals) bool {
				last := moved
				moved = v.Status.Services[0].BytesOut
				return v.Status.Services[0].Connections >= n && moved == last
			})
			during := s.vitals()
			meanwhile := healthy(t, address, each)
			full := s.vitals()
			if full.Heap < during.Heap {
				full.Heap = during.Heap
			}
			holds := kibibytes(full.Heap, at.Heap, n)
			if !raced && full.Heap-at.Heap > eachHolds*uint64(n) {
				t.Errorf("each holds %.1f KiB", holds)
			}
			if !way.guard {
				k.leave()
				release()
			}
			took := s.until("everything is given back", 30*time.Second, func(v vitals) bool { return v.Files <= at.Files+pooledPipes })
			how := "behind their leaving"
			if way.guard {
				how = "by the guard, while they go on"
			}
			tell(t, "27 "+way.name, fmt.Sprintf("%d connections at once", n),
				fmt.Sprintf("%.1f KiB each, %.1f descriptors each; %s; all returned in %.1f s %s", holds, float64(full.Files-at.Files)/float64(n), compared(before, meanwhile), took.Seconds(), how))
		})
	}
}

// slowClients are clients of one way.
type slowClients struct {
	way  slowly
	list []net.Conn
	stop chan struct{}
	over sync.WaitGroup
	once sync.Once
}

func (k *slowClients) come(t *testing.T, address string, n int) {
	t.Helper()
	k.stop = make(chan struct{})
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		k.list = append(k.list, c)
		if _, err := io.WriteString(c, k.way.first); err != nil {
			t.Fatal(err)
		}
	}
	k.over.Go(k.drip)
}

// drip goes round them once a second.
func (k *slowClients) drip() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	few := make([]byte, 16)
	for {
		select {
		case <-k.stop:
			return
		case <-second.C:
		}
		for _, c := range k.list {
			_ = c.SetDeadline(time.Now().Add(time.Millisecond))
			if k.way.drip != "" {
				_, _ = io.WriteString(c, k.way.drip)
			}
			if k.way.drains {
				if _, err := c.Read(few); err != nil && !errors.Is(err, net.ErrClosed) {
					continue
				}
			}
		}
	}
}

// leave closes all of them.
func (k *slowClients) leave() {
	k.once.Do(func() {
		close(k.stop)
		k.over.Wait()
		for _, c := range k.list {
			c.Close()
		}
	})
}
