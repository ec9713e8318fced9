package http1

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// faultOf is an independent look at what a server got: one or more requests, each canonical; the last may be cut off. It returns what is wrong, or "".
func faultOf(sent []byte) string {
	for len(sent) > 0 {
		end := bytes.Index(sent, []byte("\r\n\r\n"))
		if end < 0 {
			return "half a head was sent"
		}
		headText := string(sent[:end])
		sent = sent[end+4:]
		lines := strings.Split(headText, "\r\n")
		if strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
			return "bare CR, bare LF or NUL"
		}
		parts := strings.Split(lines[0], " ")
		if len(parts) != 3 || parts[2] != "HTTP/1.1" || parts[1] == "" || parts[1][0] != '/' {
			return "request line " + lines[0]
		}
		count, length := map[string]int{}, int64(0)
		for _, l := range lines[1:] {
			name, value, ok := strings.Cut(l, ":")
			if !ok || name == "" || strings.ContainsAny(name, " \t") {
				return "field line " + l
			}
			name = strings.ToLower(name)
			if count[name]++; name == "content-length" {
				for _, c := range strings.TrimSpace(value) {
					if length = length*10 + int64(c-'0'); c < '0' || c > '9' || length < 0 {
						return "length " + value
					}
				}
			}
		}
		if count["host"] != 1 || count["content-length"]+count["transfer-encoding"] > 1 || count["keep-alive"]+count["proxy-connection"]+count["te"] > 0 {
			return "fields of " + headText
		}
		var fault string
		if count["transfer-encoding"] == 1 {
			sent, fault = skipChunks(sent)
		} else {
			sent = sent[min(length, int64(len(sent))):]
		}
		if fault != "" {
			return fault
		}
	}
	return ""
}

func skipChunks(b []byte) ([]byte, string) {
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return nil, "half a chunk line"
		}
		var size int64
		for _, c := range line {
			v, isHex := hexDigit(c)
			if size = size<<4 | int64(v); !isHex || size < 0 || c < '0' || 'A' <= c && c <= 'F' {
				return nil, "chunk size " + string(line)
			}
		}
		if len(line) == 0 || len(line) > 1 && line[0] == '0' {
			return nil, "chunk size " + string(line)
		}
		if size == 0 {
			for {
				line, rest, ok = bytes.Cut(rest, []byte("\r\n"))
				if len(line) == 0 {
					return rest, ""
				}
				if !ok || !bytes.Contains(line, []byte(":")) {
					return nil, "trailer " + string(line)
				}
			}
		}
		if int64(len(rest)) < size+2 {
			return nil, ""
		}
		if string(rest[size:size+2]) != "\r\n" {
			return nil, "end of a chunk"
		}
		b = rest[size+2:]
	}
	return nil, ""
}

// play runs a session with the bytes of both sides cut at random. It returns all that the servers got. Servers answer whole requests only, unless early is set.
func play(t testing.TB, client, server []byte, cuts *rand.Rand, early bool, edit func(*appliance.VirtualService)) (r *rig, forwarded []byte) {
	r = newRig(t, edit)
	dials, turns := 0, len(client)+len(server)+50
	for turn := 0; turn < turns && !r.client.Over(); turn++ {
		if n := cut1(cuts, len(client)); n > 0 {
			r.client.Arrive(client[:n])
			client = client[n:]
		} else if turn%7 == 6 {
			r.client.Finish()
		}
		for ; dials < len(r.loop.Dialed); dials++ {
			r.loop.Dialed[dials].Connect()
		}
		for _, s := range r.loop.Dialed {
			x := r.core.(*core).x
			if n := cut1(cuts, len(server)); n > 0 && len(s.Sent) > 0 && !s.Over() && x != nil && (early || x.up == upDone) {
				s.Arrive(server[:n])
				server = server[n:]
			}
		}
	}
	for _, s := range r.loop.Dialed {
		forwarded = append(forwarded, s.Sent...)
		if fault := faultOf(s.Sent); fault != "" {
			t.Fatalf("a server got %q: %s", s.Sent, fault)
		}
	}
	return r, forwarded
}

// cut1 returns how much comes next: all when there is no randomness.
func cut1(cuts *rand.Rand, size int) int {
	if cuts == nil || size <= 1 {
		return size
	}
	return min(1+cuts.IntN(1+cuts.IntN(64)), size)
}

func anyOptions(n uint64) func(*appliance.VirtualService) {
	return func(s *appliance.VirtualService) {
		s.HTTP.ForwardedFor = []appliance.ForwardedFor{appliance.ForwardedAppend, appliance.ForwardedReplace, appliance.ForwardedOff}[n%3]
		s.HTTP.KeepAlive = []appliance.KeepAlive{appliance.KeepAliveBoth, appliance.KeepAliveClient, appliance.KeepAliveNone}[n/3%3]
		if n/9%2 == 0 {
			s.Persistence.Kind = appliance.PersistCookie
		}
	}
}

var sessions = []string{
	get, browser, get + get, "GET / HTTP/1.0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + get,
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n005;x\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\nHost: z\r\n\r\n" + get,
	"GET http://x/a HTTP/1.1\r\nhost: X\r\nConnection: a, close\r\na: b\r\nCookie: a=b; SERVERID=c; d=e\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\nTE: trailers\r\n\r\n",
	"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("y", 20000) + get,
}

var answers = []string{
	ok2 + ok2, page + page, "HTTP/1.1 200 OK\r\n\r\nuntil close",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n" + ok2,
	"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\nHTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes",
	"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("z", 20000) + ok2,
}

func TestForwardedBytesDoNotDependOnHowTheyArrive(t *testing.T) {
	for i, client := range sessions {
		for j, server := range answers {
			whole, want := play(t, []byte(client), []byte(server), nil, false, anyOptions(uint64(i)))
			for seed := range uint64(20) {
				r, got := play(t, []byte(client), []byte(server), rand.New(rand.NewPCG(seed, 1)), false, anyOptions(uint64(i)))
				if !strings.Contains(client, "websocket") && string(got) != string(want) {
					t.Fatalf("session %d, answers %d, seed %d: forwarded\n%q\nnot\n%q", i, j, seed, got, want)
				}
				if j < 2 && strings.Count(client, " HTTP/1.") == 1 && string(r.client.Sent) != string(whole.client.Sent) {
					t.Fatalf("session %d, answers %d, seed %d: answered\n%q\nnot\n%q", i, j, seed, r.client.Sent, whole.client.Sent)
				}
			}
		}
	}
}

// sameForGo compares a request as the client sent it and as it was forwarded, both read by net/http.
func sameForGo(t *testing.T, sent, forwarded []byte) {
	a, errA := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
	b, errB := http.ReadRequest(bufio.NewReader(bytes.NewReader(forwarded)))
	if errA != nil {
		return // net/http wants paths to be decodable
	}
	if errB != nil {
		t.Fatalf("%q was forwarded as %q: %v", sent, forwarded, errB)
	}
	bodyA, errA := io.ReadAll(a.Body)
	bodyB, errB := io.ReadAll(b.Body)
	if errA != nil || errB != nil {
		return // cut off
	}
	host := a.Host
	if host == "" {
		host = b.Host
	}
	if a.Method != b.Method || !strings.EqualFold(host, b.Host) || a.URL.RequestURI() != b.URL.RequestURI() || !bytes.Equal(bodyA, bodyB) {
		t.Fatalf("%q was forwarded as %q", sent, forwarded)
	}
	for name, values := range b.Header {
		if name != "X-Forwarded-For" && name != "Connection" && name != "Upgrade" && name != "Cookie" && strings.Join(values, "|") != strings.Join(a.Header[name], "|") {
			t.Fatalf("field %s of %q was forwarded as %q", name, sent, forwarded)
		}
	}
}

func FuzzSession(f *testing.F) {
	for i, c := range sessions[:8] { // large ones would be minimized for a minute
		f.Add([]byte(c), []byte(answers[i%6]), uint64(i))
	}
	f.Add([]byte(sessions[7]), []byte(answers[5]), uint64(0)) // a WebSocket that the server takes
	for i, c := range refusals() {
		if len(c.input) < 1000 {
			f.Add([]byte(c.input), []byte(ok2), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, client, server []byte, seed uint64) {
		if len(client)+len(server) > 100<<10 {
			return
		}
		r, forwarded := play(t, client, server, nil, seed&1 == 1, anyOptions(seed>>1))
		if r.client.Over() {
			r.balanced()
		}
		if len(forwarded) > 0 {
			sameForGo(t, client, forwarded)
		}
		if len(client)+len(server) < 4000 {
			play(t, client, server, rand.New(rand.NewPCG(seed, 2)), seed&1 == 1, anyOptions(seed>>1))
		}
	})
}

func FuzzRequestHead(f *testing.F) {
	for _, c := range sessions[:8] {
		f.Add([]byte(c))
	}
	for _, c := range refusals() {
		if len(c.input) < 1000 {
			f.Add([]byte(c.input))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, again requestHead
		if h.scan(b, appliance.ForwardedReplace, "SERVERID") != complete {
			return
		}
		if fresh := (&requestHead{}); len(b) > h.size && fresh.scan(b[:h.size], appliance.ForwardedReplace, "SERVERID") != complete {
			t.Fatalf("%q is complete only with what follows it", b[:h.size])
		}
		for n := range min(h.size, 200) {
			if p := again.scan(b[:n], appliance.ForwardedReplace, "SERVERID"); p != more {
				t.Fatalf("%q is good, but its first %d bytes are judged %d", b[:h.size], n, p)
			}
		}
		out := h.emit(nil, b, clientAddr.Addr(), vipAddr, true)
		headOnly := out
		if h.chunked {
			headOnly = append(append([]byte{}, out...), "0\r\n\r\n"...)
		}
		if fault := faultOf(headOnly); fault != "" {
			t.Fatalf("%q was forwarded as %q: %s", b, out, fault)
		}
		if again.scan(out, appliance.ForwardedReplace, "SERVERID") != complete {
			t.Fatalf("%q was forwarded as %q, which we would refuse: %s", b, out, again.verdict.Reason)
		}
		if twice := again.emit(nil, out, clientAddr.Addr(), vipAddr, true); !h.wantsWS && string(twice) != string(out) {
			t.Fatalf("%q was forwarded as %q, and that as %q", b, out, twice)
		}
		if again.cookie != nil || again.length != h.length || again.chunked != h.chunked {
			t.Fatalf("%q was forwarded as %q with another framing or with our cookie", b, out)
		}
	})
}

func FuzzResponseHead(f *testing.F) {
	for _, c := range answers[:6] {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, again responseHead
		if h.scan(b) != complete {
			return
		}
		out := h.emit(nil, b, h.chunked, closes, []byte("a=b"))
		if again.scan(out) != complete {
			t.Fatalf("%q was forwarded as %q, which we would refuse: %s", b, out, again.verdict.Reason)
		}
		if again.status != h.status || again.chunked != h.chunked || !again.close || h.status >= 200 && h.status != 204 && again.length != h.length {
			t.Fatalf("%q was forwarded as %q", b, out)
		}
		if _, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil); err != nil {
			t.Fatalf("%q was forwarded as %q: %v", b, out, err)
		}
	})
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint64(1))
	f.Add([]byte("1\r\nx\r\n0\r\nX: "+strings.Repeat("y", 5000)+"\r\n\r\n"), uint64(1)) // trailers longer than net/http's usual buffer
	f.Add([]byte("005;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: y\r\nHost: z\r\n\r\nrest"), uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		var whole chunks
		n, want, good := whole.decode(nil, b)
		if n > len(b) {
			t.Fatalf("took %d of %d", n, len(b))
		}
		if rest, fault := skipChunks(want); good && whole.state == chunkDone && (fault != "" || len(rest) != 0) {
			t.Fatalf("%q became %q: %s", b, want, fault)
		}
		bare := chunks{bare: true}
		_, plain, _ := bare.decode(nil, b)
		if good && whole.state == chunkDone {
			got, err := io.ReadAll(http.MaxBytesReader(nil, readChunked(want), 1<<30))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%q became %q, which net/http reads as %q, not %q: %v", b, want, got, plain, err)
			}
		}
		cuts, piecewise, out, kept := rand.New(rand.NewPCG(seed, 3)), chunks{}, []byte(nil), b
		offered := 0
		for len(kept) > offered || offered == 0 && len(kept) > 0 {
			offered = min(len(kept), offered+cut1(cuts, len(kept)))
			n, now, ok := piecewise.decode(out, kept[:offered])
			out, kept, offered = now, kept[n:], offered-n
			if !ok || piecewise.state == chunkDone {
				break
			}
		}
		if good != (piecewise.verdict.Status == 0) || good && string(out) != string(want) || piecewise.state != whole.state {
			t.Fatalf("%q became %q whole and %q in pieces", b, want, out)
		}
	})
}

// readChunked is how net/http reads b as a chunked body. It takes trailers up to the size of its buffer, so that buffer holds all of b.
func readChunked(b []byte) io.ReadCloser {
	const head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	q, err := http.ReadRequest(bufio.NewReaderSize(io.MultiReader(strings.NewReader(head), bytes.NewReader(b)), len(head)+len(b)))
	if err != nil {
		return io.NopCloser(strings.NewReader(""))
	}
	return q.Body
}
