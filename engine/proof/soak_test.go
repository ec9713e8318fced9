package proof

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"
	"evenkeel/engine/tlsterm/tlstest"
)

// moody is a web server of bad character: it refuses, resets, is silent, drips and breaks off, but what it says is right for the request that it was asked.
type moody struct {
	address netip.AddrPort
	calm    atomic.Bool // it behaves
	mu      sync.Mutex  // guards what follows
	random  *rand.Rand
	ln      net.Listener
	conns   map[net.Conn]bool
}

func newMoody(t *testing.T, seed uint64) *moody {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{address: ln.Addr().(*net.TCPAddr).AddrPort(), ln: ln, random: rand.New(rand.NewPCG(seed, 3)), conns: map[net.Conn]bool{}}
	go m.accept()
	t.Cleanup(m.close)
	return m
}

func (m *moody) accept() {
	for {
		c, err := m.ln.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.conns[c] = true
		m.mu.Unlock()
		go m.serve(c)
	}
}

func (m *moody) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ln.Close()
	for c := range m.conns {
		c.Close()
	}
}

func (m *moody) roll(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.random.IntN(n)
}

func (m *moody) forget(c net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c)
	c.Close()
}

// rightAnswer is what belongs to a request: its path again and again.
func rightAnswer(path string, size int) string {
	return strings.Repeat(path+"\n", size/(len(path)+1)+1)[:size]
}

// serve answers one request after the other, as the mood is.
func (m *moody) serve(c net.Conn) {
	defer m.forget(c)
	requests := bufio.NewReader(c)
	for {
		q, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return
		}
		size, _ := strconv.Atoi(q.URL.Query().Get("size"))
		body := rightAnswer(q.URL.RequestURI(), size)
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
		if q.URL.Query().Get("chunked") != "" {
			head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
			body = fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", size/2+1, body[:size/2+1], size-size/2-1, body[size/2+1:])
		}
		mood := m.roll(40)
		if m.calm.Load() {
			mood = 99
		}
		switch mood {
		case 0: // reset without an answer
			_ = c.(*net.TCPConn).SetLinger(0)
			return
		case 1: // reset within the answer
			_, _ = io.WriteString(c, head+body[:len(body)/2])
			_ = c.(*net.TCPConn).SetLinger(0)
			return
		case 2: // the end within the answer
			_, _ = io.WriteString(c, head+body[:len(body)/2])
			return
		case 3: // silence, until the other side has enough
			_, _ = io.Copy(io.Discard, requests)
			return
		case 4: // a drip
			for rest := head + body; len(rest) > 0; {
				n := min(len(rest), 1+m.roll(1+len(rest)/4))
				if _, err := io.WriteString(c, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		case 5: // nonsense
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"+body)
			return
		case 6: // more than was promised
			_, _ = io.WriteString(c, padded(head, len(body))+body+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		case 7: // the end behind a right answer
			_, _ = io.WriteString(c, head+body)
			return
		default:
			if _, err := io.WriteString(c, head+body); err != nil {
				return
			}
		}
	}
}

// padded makes a head longer, so that it and so many bytes behind it fill whole pieces of 4 KiB: whoever reads in such pieces finds nothing wrong with the last of them.
func padded(head string, behind int) string {
	const field, piece = "X-Padding: \r\n\r\n", 4 << 10
	head = strings.TrimSuffix(head, "\r\n")
	return head + field[:len(field)-4] + strings.Repeat("x", piece-(len(head)+len(field)+behind)%piece) + "\r\n\r\n"
}

// soaking returns for how long: EVENKEEL_SOAK, or a short while.
func soaking(t *testing.T) time.Duration {
	text := os.Getenv("EVENKEEL_SOAK")
	if text == "" {
		return 8 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestBadServersNeverMakeAWrongAnswer: while servers misbehave and the configuration changes, a client gets the right bytes, or sees that something failed; never
// the bytes of another request, and never half an answer that looks whole. When the servers behave again, everything is served.
func TestBadServersNeverMakeAWrongAnswer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ca := tlstest.NewAuthority(t, "proof")
	issued := []*tlstest.Issued{ca.Issue("www.example.com"), ca.Issue("www.example.com")}
	config := scene(t, issued)
	servers := []*moody{newMoody(t, seed), newMoody(t, seed+1), newMoody(t, seed+2)}
	for _, label := range []string{"web", "tls"} {
		v := config.Cluster.Service(label)
		v.Limits.ServerTimeout = appliance.Duration(300 * time.Millisecond)
		v.HTTP.Compress = label == "tls"
		v.RealServers = append(v.RealServers, v.RealServers[0])
		for i, m := range servers {
			v.RealServers[i].ID, v.RealServers[i].Label = fmt.Sprint(label, i), fmt.Sprint("s", i)
			v.RealServers[i].Address, v.RealServers[i].Port = appliance.Host(m.address.Addr().String()), m.address.Port()
		}
	}
	e := serving(t, engine.Options{Loops: 2, Certificates: held{issued[0].ID: issued[0].Pair, issued[1].ID: issued[1].Pair}}, config)
	ctx, end := context.WithTimeout(context.Background(), soaking(t))
	defer end()
	k := &crowd{t: t, ctx: ctx}
	var seen sync.Map // kind of failure → *atomic.Int64
	clients := soakClients(ca)
	for i := range 12 {
		random := rand.New(rand.NewPCG(seed, uint64(10+i)))
		client, base := clients[i%len(clients)], "http://"+at(config, "web")
		if i%len(clients) > 0 {
			base = "https://" + at(config, "tls")
		}
		n := 0
		k.run("client", func() error { n++; return checked(client, base, fmt.Sprintf("c%d-%d", i, n), random, &seen) })
	}
	random := rand.New(rand.NewPCG(seed, 4))
	tick := time.NewTicker(5 * applyEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		next := changed(config, random, issued)
		for _, label := range []string{"web", "tls"} {
			next.Cluster.Service(label).Limits.ServerTimeout = appliance.Duration(300 * time.Millisecond)
		}
		if err := e.Apply(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		config = next
	}
	k.all.Wait()
	seen.Range(func(kind, n any) bool { t.Logf("%s: %d", kind, n.(*atomic.Int64).Load()); return true })
	if k.failed.Load() > 0 || k.done.Load() == 0 {
		t.Errorf("%d wrong of %d: %s", k.failed.Load(), k.done.Load(), strings.Join(k.reasons, "; "))
	}
	for _, m := range servers {
		m.calm.Store(true)
	}
	for _, c := range clients {
		c.CloseIdleConnections()
	}
	calm(t, clients[0], "http://"+at(config, "web"))
}

func soakClients(ca *tlstest.Authority) []*http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	secured := &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12}
	return []*http.Client{
		{Timeout: 20 * time.Second, Transport: &http.Transport{}},
		{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: secured.Clone()}},
		{Timeout: 20 * time.Second, Transport: &http.Transport{Protocols: protocols, TLSClientConfig: secured.Clone()}},
	}
}

// checked asks for something of its own and returns an error only for an answer that looks right and is not.
func checked(client *http.Client, base, name string, r *rand.Rand, seen *sync.Map) error {
	size := 2 + r.IntN(1+r.IntN(200_000))
	path := fmt.Sprintf("/%s?size=%d", name, size)
	if r.IntN(2) == 0 {
		path += "&chunked=yes"
	}
	count := func(kind string) {
		n, _ := seen.LoadOrStore(kind, &atomic.Int64{})
		n.(*atomic.Int64).Add(1)
	}
	method, body := "GET", ""
	if r.IntN(3) == 0 {
		method, body = "POST", strings.Repeat("x", r.IntN(50_000))
	}
	q, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(q)
	if err != nil {
		if strings.Contains(err.Error(), "Client.Timeout") {
			return fmt.Errorf("%s hangs: %w", path, err)
		}
		count("no answer")
		return nil
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	switch {
	case answer.StatusCode >= 500:
		count(answer.Status)
		return nil
	case err != nil:
		count("broken off")
		return nil
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", path, answer.Status)
	case string(got) != rightAnswer(path, size):
		return fmt.Errorf("%s: %d bytes that are not its own: %.60q", path, len(got), got)
	}
	count("right")
	return nil
}

// calm demands that everything is served now.
func calm(t *testing.T, client *http.Client, base string) {
	t.Helper()
	var seen sync.Map
	r := rand.New(rand.NewPCG(1, 1))
	right := func() int64 {
		n, found := seen.Load("right")
		if !found {
			return 0
		}
		return n.(*atomic.Int64).Load()
	}
	for i := range int64(200) {
		before := right()
		if err := checked(client, base, fmt.Sprint("calm", i), r, &seen); err != nil {
			t.Fatal(err)
		}
		if right() == before && i > 60 { // the last bad connections may still be about
			t.Fatal(errors.New("not served though the servers are well"))
		}
	}
}
