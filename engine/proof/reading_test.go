package proof

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/engine/wire/wiretest"
)

// reader is a program that reads requests, and where what it understood is heard.
type reader struct {
	name    string
	address string
	heard   *recorder
}

// TestEveryServerReadsWhatIsForwardedAlike sends streams of odd but right requests through the engine, and gives the bytes that it forwarded to nginx, Apache,
// lighttpd, Node and Go: each must understand the same requests with the same bodies.
func TestEveryServerReadsWhatIsForwardedAlike(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	server := record(t)
	us := ours(t, server.address)
	readers := []reader{nginx(t), apache(t), lighttpd(t), node(t)}
	for i := range 150 {
		stream := requests(random, 1+random.IntN(5))
		converse(t, us, stream, i)
		understood, forwarded := server.take()
		if len(understood) != stream.complete {
			t.Fatalf("stream %d: of %d requests %d came through:\n%q", i, stream.complete, len(understood), stream.sent)
		}
		for _, r := range readers {
			got := r.replay(t, forwarded)
			if !slices.Equal(sorted(got), sorted(understood)) {
				t.Errorf("stream %d: %s understood\n%q\nand Go\n%q\nof\n%q", i, r.name, got, understood, forwarded)
			}
		}
	}
}

func sorted(list []seen) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.method + " " + s.path + " " + s.body
	}
	slices.Sort(out)
	return out
}

// stream is what one client sends.
type stream struct {
	sent     string
	complete int // requests in it
}

// requests makes a stream: all framings, odd spelling, pipelined.
func requests(r *rand.Rand, n int) stream {
	var b strings.Builder
	for i := range n {
		method := []string{"GET", "POST", "PUT", "DELETE", "PATCH"}[r.IntN(5)]
		fmt.Fprintf(&b, "%s /%d/%d HTTP/1.1\r\n", method, i, r.IntN(1000))
		fields := []string{
			"Host: x", "A:b", "Empty:", "Tabs:\t\tc\t", "Accept-Encoding: gzip;q=0", "X-Forwarded-For: 1.2.3.4", "Cookie: a=b; SERVERID=z; c=\"d\"", "Te: trailers",
			"Quoted: \"a\\\"b\"", "Obs: \xe4", "Te_xt: underscore", "Connection: keep-alive, X-Dropped", "X-Dropped: yes", "Keep-Alive: 5",
		}
		r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		fields = append(fields[:r.IntN(len(fields))], "Host: x")
		fields = slices.Compact(slices.DeleteFunc(fields[:len(fields)-1], func(f string) bool { return f == "Host: x" }))
		fields = append(fields, "host:x")
		body := text(r, r.IntN(3)*r.IntN(4000))
		switch {
		case method == "GET" || method == "DELETE":
			b.WriteString(strings.Join(fields, "\r\n") + "\r\n\r\n")
		case r.IntN(2) == 0:
			b.WriteString(strings.Join(append(fields, "CONTENT-LENGTH:  "+strconv.Itoa(len(body))), "\r\n") + "\r\n\r\n" + body)
		default:
			b.WriteString(strings.Join(append(fields, "transfer-Encoding:Chunked"), "\r\n") + "\r\n\r\n" + chunks(r, body))
		}
	}
	return stream{b.String(), n}
}

// text is a body that would be taken for requests by who loses its place.
func text(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString([]string{"0\r\n\r\n", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n", "abc", "5\r\nhello\r\n"}[r.IntN(5)])
	}
	return b.String()
}

func chunks(r *rand.Rand, body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := 1 + r.IntN(len(body))
		fmt.Fprintf(&b, []string{"%x\r\n", "%X\r\n", "00%x\r\n", "%x;name=value\r\n", "%x;q=\"a b\"\r\n"}[r.IntN(5)], n)
		b.WriteString(body[:n] + "\r\n")
		body = body[n:]
	}
	b.WriteString("0\r\n")
	if r.IntN(3) == 0 {
		b.WriteString("X-Sum: 1\r\nContent-Length: 7\r\nHost: evil\r\n")
	}
	return b.String() + "\r\n"
}

// converse sends a stream in pieces and reads all answers.
func converse(t *testing.T, address string, s stream, which int) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		for rest := s.sent; len(rest) > 0; {
			n := min(len(rest), 1+which*97%1500)
			if _, err := c.Write([]byte(rest[:n])); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	answers := bufio.NewReader(c)
	for i := range s.complete {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("stream %d, answer %d: %v %v\n%q", which, i, answer, err, s.sent)
		}
		if _, err := answers.Discard(int(answer.ContentLength)); err != nil {
			t.Fatal(err)
		}
	}
}

const last = "/the-last-one"

// replay gives the reader the bytes of each connection, with a request behind them by which is seen that it did not lose its place, and returns what it understood.
func (r reader) replay(t *testing.T, connections [][]byte) []seen {
	t.Helper()
	for _, b := range connections {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		go func() {
			_, _ = c.Write(append(slices.Clone(b), "GET "+last+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"...))
		}()
		answers := bufio.NewReader(c)
		for {
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				break
			}
			if answer.Body.Close() != nil || answer.Close {
				break
			}
		}
		c.Close()
	}
	var all []seen
	for end, found := time.Now().Add(10*time.Second), 0; found < len(connections); {
		heard, _ := r.heard.take()
		for _, s := range heard {
			if s.path == last {
				found++
				continue
			}
			all = append(all, s)
		}
		if time.Now().After(end) {
			t.Fatalf("%s lost its place in %q", r.name, connections)
		}
	}
	return all
}

// place is the folder and the free address of a program.
func place(t *testing.T) (dir, address, port string) {
	t.Helper()
	port = strconv.Itoa(int(wiretest.Port(t, 1)))
	return t.TempDir(), "127.0.0.1:" + port, port
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func nginx(t *testing.T) reader {
	path, r := program(t, "nginx"), record(t)
	dir, address, _ := place(t)
	var paths strings.Builder
	for _, p := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, " %s_temp_path %s/%s;\n", p, dir, p)
	}
	config := "daemon off; pid " + dir + "/pid; error_log stderr; worker_processes 1; events {}\nhttp {\n access_log off; keepalive_requests 100000;\n" + paths.String() +
		" server { listen " + address + "; location / { proxy_http_version 1.1; proxy_pass http://" + r.address.String() + "; } }\n}\n"
	run(t, address, path, "-c", write(t, filepath.Join(dir, "nginx.conf"), config))
	return reader{"nginx", address, r}
}

func apache(t *testing.T) reader {
	path, r := program(t, "apache2"), record(t)
	dir, address, _ := place(t)
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	config := modules.String() + "ServerRoot " + dir + "\nServerName x\nPidFile pid\nDefaultRuntimeDir " + dir + "\nErrorLog error.log\nUser www-data\nGroup www-data\nListen " + address +
		"\nMaxKeepAliveRequests 0\nProxyPass / http://" + r.address.String() + "/\n"
	run(t, address, path, "-X", "-f", write(t, filepath.Join(dir, "apache.conf"), config))
	return reader{"Apache", address, r}
}

func lighttpd(t *testing.T) reader {
	path, r := program(t, "lighttpd"), record(t)
	dir, address, port := place(t)
	config := "server.document-root = \"" + dir + "\"\nserver.bind = \"127.0.0.1\"\nserver.port = " + port + "\nserver.modules = ( \"mod_proxy\" )\nserver.max-keep-alive-requests = 60000\n" +
		"proxy.server = ( \"\" => ( ( \"host\" => \"" + r.address.Addr().String() + "\", \"port\" => " + strconv.Itoa(int(r.address.Port())) + " ) ) )\n"
	run(t, address, path, "-D", "-f", write(t, filepath.Join(dir, "lighttpd.conf"), config))
	return reader{"lighttpd", address, r}
}

// node passes on what Node's http module understood, as a request of its own.
func node(t *testing.T) reader {
	path, r := program(t, "node"), record(t)
	dir, address, port := place(t)
	script := `const http = require('http')
http.createServer((q, a) => {
  const parts = []
  q.on('data', d => parts.push(d))
  q.on('end', () => {
    const body = Buffer.concat(parts)
    const on = http.request({ host: '127.0.0.1', port: ` + strconv.Itoa(int(r.address.Port())) + `, method: q.method, path: q.url, headers: { 'content-length': body.length } }, x => {
      x.resume()
      x.on('end', () => a.end('ok'))
    })
    on.end(body)
  })
}).listen(` + port + `, '127.0.0.1')
`
	run(t, address, path, write(t, filepath.Join(dir, "server.js"), script))
	return reader{"Node", address, r}
}
