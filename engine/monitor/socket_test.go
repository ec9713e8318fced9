package monitor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/engine/mllp"
)

// peer serves connections with serve until the test ends and returns the address.
func peer(t *testing.T, listener net.Listener, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func untilEOF(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// try tests one server at to with that check.
func try(t *testing.T, to netip.AddrPort, check appliance.Monitor) (appliance.Probe, string) {
	t.Helper()
	s := appliance.NewService(appliance.TCP)
	s.Address, s.Monitor = netip.MustParseAddr("192.168.0.188"), check
	s.Ports = appliance.Ports{{First: to.Port(), Last: to.Port()}}
	r := appliance.NewRealServer()
	r.Address = appliance.Host(to.Addr().String())
	m := New(Options{ScriptsDir: t.TempDir()})
	return m.Test(t.Context(), s, r, nil, nil)
}

// expect compares a verdict and its sentence; # in want stands for a number, * for anything.
func expect(t *testing.T, p appliance.Probe, good bool, want string) {
	t.Helper()
	pattern := "^" + strings.NewReplacer("#", `\d+`, `\*`, ".*").Replace(regexp.QuoteMeta(want)) + "$"
	if p.Good != good || !regexp.MustCompile(pattern).MatchString(p.Sentence) {
		t.Errorf("good %v: %s\nwant %v: %s", p.Good, p.Sentence, good, want)
	}
}

func check(k appliance.MonitorKind) appliance.Monitor {
	m := appliance.NewMonitor(k)
	m.Timeout = appliance.Duration(2 * time.Second)
	return m
}

func TestConnect(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		to := peer(t, listen(t, address), untilEOF)
		p, transcript := try(t, to, check(appliance.MonitorConnect))
		expect(t, p, true, fmt.Sprintf("Port %d opened in # ms.", to.Port()))
		for _, want := range []string{"connect to " + to.String(), "connected from ", "verdict: good. Port "} {
			if !strings.Contains(transcript, want) {
				t.Errorf("the transcript lacks %q:\n%s", want, transcript)
			}
		}
	}
}

func TestConnectRefused(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	to := l.Addr().(*net.TCPAddr).AddrPort()
	_ = l.Close()
	p, _ := try(t, to, check(appliance.MonitorConnect))
	expect(t, p, false, fmt.Sprintf("Connection refused on port %d. The machine answers, the service does not.", to.Port()))
}

func TestConnectionErrorsInWords(t *testing.T) {
	a := &attempt{prepared: prepared{job: job{subject: subject{host: "192.168.0.51", port: 104}, timeout: 3 * time.Second}}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.EHOSTUNREACH, "No route to 192.168.0.51. The machine may be off, or a router on the way does not know it."},
		{syscall.ENETUNREACH, "No route to 192.168.0.51. The machine may be off, or a router on the way does not know it."},
		{context.DeadlineExceeded, "No answer from 192.168.0.51 within 3s. The machine may be off or a firewall drops the packets."},
		{syscall.ETIMEDOUT, "No answer from 192.168.0.51 within 3s. The machine may be off or a firewall drops the packets."},
		{syscall.EPERM, "A firewall on this appliance forbids connections to 192.168.0.51:104."},
		{syscall.EMFILE, "The check could not be made, because this appliance ran out of something: too many open files."},
	} {
		if got := a.unopened(&net.OpError{Op: "dial", Err: c.err}).sentence(); got != c.want {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

// TestServerSeesFinNotReset holds for a server that greets, so that bytes lie unread when the probe is over.
func TestServerSeesFinNotReset(t *testing.T) {
	seen := make(chan error, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		_, _ = io.WriteString(c, "220 mail.example ready\r\n")
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, io.EOF) {
			seen <- err
			return
		}
		seen <- reset(c, lingerTime/2)
	})
	p, _ := try(t, to, check(appliance.MonitorConnect))
	expect(t, p, true, fmt.Sprintf("Port %d opened in # ms.", to.Port()))
	if err := <-seen; err != nil {
		t.Errorf("the server saw %v", err)
	}
}

// reset returns an error when c is reset within d.
func reset(c net.Conn, d time.Duration) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	events := int16(0)
	_ = raw.Control(func(fd uintptr) {
		list := []unix.PollFd{{Fd: int32(fd)}}
		_, err = unix.Poll(list, int(d.Milliseconds()))
		events = list[0].Revents
	})
	if events&(unix.POLLERR|unix.POLLHUP) != 0 {
		return errors.New("a reset")
	}
	return err
}

// answers is a server that says text to whatever comes, and finishes.
func answers(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		untilEOF(c)
	}
}

func TestHTTPAnswers(t *testing.T) {
	page := func(status, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	content := func(text string, expression bool) appliance.HTTPProbe {
		return appliance.HTTPProbe{Content: text, ContentRegexp: expression}
	}
	for name, c := range map[string]struct {
		answer string
		probe  appliance.HTTPProbe
		good   bool
		want   string
	}{
		"good":                  {page("200 OK", "hello"), appliance.HTTPProbe{}, true, "HTTP 200 in # ms."},
		"redirect not follow":   {page("302 Found\r\nLocation: http://127.0.0.1:1/", ""), appliance.HTTPProbe{}, true, "HTTP 302 in # ms."},
		"unavailable":           {page("503 No", ""), appliance.HTTPProbe{}, false, "HTTP 503 where 200-399 was expected."},
		"own codes":             {page("302 Found", ""), appliance.HTTPProbe{Codes: "200,204"}, false, "HTTP 302 where 200,204 was expected."},
		"code that fits":        {page("401 No", ""), appliance.HTTPProbe{Codes: "200-299,401"}, true, "HTTP 401 in # ms."},
		"content":               {page("200 OK", "state=OK"), content("OK", false), true, `HTTP 200 in # ms, and the text "OK" was found.`},
		"content missing":       {page("200 OK", "state=down"), content("OK", false), false, `The text "OK" was not found in the answer.`},
		"expression":            {page("200 OK", "nodes: 12"), content(`nodes: \d+`, true), true, `HTTP 200 in # ms, and the expression "nodes: \\d+" was found.`},
		"expression missing":    {page("200 OK", "nodes: x"), content(`nodes: \d+`, true), false, `The expression "nodes: \\d+" was not found in the answer.`},
		"plain is not a regexp": {page("200 OK", "axb"), content("a.b", false), false, `The text "a.b" was not found in the answer.`},
		"content too far":       {page("200 OK", strings.Repeat("x", maxContent)+"OK"), content("OK", false), false, `The text "OK" was not found in the answer.`},
		"chunked":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nO" + "K\r\n0\r\n\r\n", content("OK", false), true, `HTTP 200 in # ms, and the text "OK" was found.`},
		"until close":           {"HTTP/1.0 200 OK\r\n\r\nOK", content("OK", false), true, `HTTP 200 in # ms, and the text "OK" was found.`},
		"interim":               {"HTTP/1.1 103 Early Hints\r\n\r\n" + page("204 Empty", ""), appliance.HTTPProbe{}, true, "HTTP 204 in # ms."},
		"endless interim":       {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50), appliance.HTTPProbe{}, false, "The server sent more than 8 interim answers and no final one."},
		"not HTTP":              {"SSH-2.0-OpenSSH_9.2\r\n", appliance.HTTPProbe{}, false, `The answer on port # is not HTTP: "SSH-2.0-OpenSSH_9.2\r\n".`},
		"markup":                {"<script>alert(1)</script>\x1b[0m", appliance.HTTPProbe{}, false, `The answer on port # is not HTTP: "<script>alert(1)</script>\x1b[0m".`},
		"broken":                {"HTTP/9.9.9 x\r\n\r\n", appliance.HTTPProbe{}, false, `The answer on port # is broken HTTP: "HTTP/9.9.9 x\r\n\r\n".`},
		"cut off":               {"HTTP/1.1 200 OK\r\nX: y\r\n", appliance.HTTPProbe{}, false, "The server closed the connection before a complete HTTP answer came."},
		"nothing":               {"", appliance.HTTPProbe{}, false, "The server closed the connection before an HTTP answer came."},
		"endless head":          {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 100_000), appliance.HTTPProbe{}, false, `The answer on port # is broken HTTP: "HTTP/1.1 200 OK\r\n` + strings.Repeat(`X: y\r\n`, 10) + `X: …".`},
		"body cut off":          {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort", content("OK", false), false, "The server closed the connection before the whole answer came."},
		"path with a newline":   {page("200 OK", ""), appliance.HTTPProbe{Path: "/\r\nX: y"}, false, "The path, host or method of this check holds a space."},
		"bad expression":        {page("200 OK", ""), content("(", true), false, "The content of this check is not a regular expression."},
		"bad codes":             {page("200 OK", ""), appliance.HTTPProbe{Codes: "ok"}, false, "The accepted codes of this check are not a list of codes."},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), answers(c.answer))
			m := check(appliance.MonitorHTTP)
			m.HTTP = c.probe
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
		})
	}
}

func TestHTTPRequestSaysWhatWasAskedFor(t *testing.T) {
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r }))
	defer server.Close()
	to := netip.MustParseAddrPort(server.Listener.Addr().String())
	for _, c := range []struct {
		probe appliance.HTTPProbe
		want  string
	}{
		{appliance.HTTPProbe{}, "GET / " + to.String()},
		{appliance.HTTPProbe{Method: "HEAD", Path: "/healthz?x=1", Host: "pacs.example:8443"}, "HEAD /healthz?x=1 pacs.example:8443"},
	} {
		m := check(appliance.MonitorHTTP)
		m.HTTP = c.probe
		p, _ := try(t, to, m)
		expect(t, p, true, "HTTP 200 in # ms.")
		r := <-requests
		if got := r.Method + " " + r.RequestURI + " " + r.Host; got != c.want || !r.Close {
			t.Errorf("asked %s, close %v; want %s", got, r.Close, c.want)
		}
	}
	m := check(appliance.MonitorHTTP)
	m.HTTP = appliance.HTTPProbe{Method: "HEAD", Content: "OK"}
	p, _ := try(t, to, m)
	<-requests
	expect(t, p, false, `The text "OK" was not found. An answer to HEAD has no content; use GET.`)
}

func TestHTTPOnIPv6NamesTheHost(t *testing.T) {
	hosts := make(chan string, 1)
	to := peer(t, listen(t, "[::1]:0"), func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			hosts <- r.Host
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		untilEOF(c)
	})
	p, _ := try(t, to, check(appliance.MonitorHTTP))
	expect(t, p, true, "HTTP 200 in # ms.")
	if got := <-hosts; got != to.String() {
		t.Errorf("Host: %s", got)
	}
}

func TestSilentServersEndWithTheTimeout(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), untilEOF)
	for kind, awaited := range map[appliance.MonitorKind]string{
		appliance.MonitorHTTP: "an HTTP answer", appliance.MonitorHTTPS: "the TLS handshake", appliance.MonitorHL7: "an acknowledgement",
	} {
		m := check(kind)
		m.Timeout = appliance.Duration(100 * time.Millisecond)
		m.HL7.Message = hello
		p, _ := try(t, to, m)
		expect(t, p, false, fmt.Sprintf("Port %d opened, but %s did not come within 100ms.", to.Port(), awaited))
	}
}

func TestHTTPSCertificates(t *testing.T) {
	now, stranger := time.Now(), newAuthority()
	valid := trusted.issue(t, "127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour))
	old := trusted.issue(t, "127.0.0.1", now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	early := trusted.issue(t, "127.0.0.1", now.Add(time.Hour), now.Add(2*time.Hour))
	other := trusted.issue(t, "pacs.example", now.Add(-time.Hour), now.Add(time.Hour))
	foreign := stranger.issue(t, "127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour))
	for name, c := range map[string]struct {
		certificate tls.Certificate
		probe       appliance.HTTPProbe
		good        bool
		want        string
	}{
		"valid":                {valid, appliance.HTTPProbe{Verify: true}, true, "HTTP 200 in # ms."},
		"expired":              {old, appliance.HTTPProbe{Verify: true}, false, "The certificate expired on " + now.Add(-24*time.Hour).UTC().Format("2006-01-02") + "."},
		"expired, not looked":  {old, appliance.HTTPProbe{}, true, "HTTP 200 in # ms."},
		"too early":            {early, appliance.HTTPProbe{Verify: true}, false, "The certificate is not valid before " + now.Add(time.Hour).UTC().Format("2006-01-02 15:04 MST") + "."},
		"another name":         {other, appliance.HTTPProbe{Verify: true}, false, `The certificate is for "pacs.example", not for 127.0.0.1.`},
		"named by Host header": {other, appliance.HTTPProbe{Verify: true, Host: "pacs.example:443"}, true, "HTTP 200 in # ms."},
		"unknown authority":    {foreign, appliance.HTTPProbe{Verify: true}, false, `The certificate was issued by "CN=Hospital CA", which this appliance does not know.`},
	} {
		t.Run(name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{c.certificate}}
			to := peer(t, tls.NewListener(listen(t, "127.0.0.1:0"), config), answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"))
			m := check(appliance.MonitorHTTPS)
			m.HTTP = c.probe
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
		})
	}
}

func TestHTTPSAgainstSomethingElse(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), answers("HTTP/1.1 400 Bad Request\r\n\r\n"))
	p, _ := try(t, to, check(appliance.MonitorHTTPS))
	expect(t, p, false, fmt.Sprintf("Port %d opened, but the server does not speak TLS there.", to.Port()))
}

func TestHTTPSOfAnOldServer(t *testing.T) {
	now := time.Now()
	config := &tls.Config{
		Certificates: []tls.Certificate{trusted.issue(t, "127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour))},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS10,
	}
	to := peer(t, tls.NewListener(listen(t, "127.0.0.1:0"), config), answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	p, transcript := try(t, to, check(appliance.MonitorHTTPS))
	expect(t, p, true, "HTTP 200 in # ms.")
	if !strings.Contains(transcript, "TLS 1.0") {
		t.Errorf("the transcript does not name the version:\n%s", transcript)
	}
}

const hello = "MSH|^~\\&|EVENKEEL|LB|HIS|HOSPITAL|20260101||NMQ^N01|check-1|P|2.5\n"

// acknowledges is an HL7 server that answers the first message with what ack makes of it.
func acknowledges(ack func(message string) string) func(net.Conn) {
	return func(c net.Conn) {
		message, err := mllp.NewReader(c, mllp.ReaderOptions{}).Next()
		if err != nil {
			return
		}
		_ = mllp.Write(c, []byte(ack(string(message))))
		untilEOF(c)
	}
}

func TestHL7WithMessage(t *testing.T) {
	ack := func(code, id, text string) func(string) string {
		return func(string) string {
			return "MSH|^~\\&|HIS|HOSPITAL|EVENKEEL|LB|20260101||ACK|1|P|2.5\rMSA|" + code + "|" + id + "|" + text + "\r"
		}
	}
	for name, c := range map[string]struct {
		ack    func(string) string
		expect string
		good   bool
		want   string
	}{
		"accepted":      {ack("AA", "check-1", ""), "", true, "Message acknowledged with AA in # ms."},
		"as expected":   {ack("AR", "check-1", "unknown"), "AR", true, "Message acknowledged with AR in # ms."},
		"rejected":      {ack("AE", "check-1", ""), "", false, `Acknowledged with "AE" where AA was expected.`},
		"with a reason": {ack("AR", "check-1", "Event not supported"), "", false, `Acknowledged with "AR" where AA was expected: "Event not supported".`},
		"another's":     {ack("AA", "77", ""), "", false, `The acknowledgement is for message "77", not for "check-1".`},
		"no MSA":        {func(m string) string { return m }, "", false, `The answer is not an acknowledgement: *`},
		"segments by CR": {func(m string) string {
			if m != strings.ReplaceAll(hello, "\n", "\r") {
				return "garbled"
			}
			return ack("AA", "check-1", "")(m)
		}, "", true, "Message acknowledged with AA in # ms."},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), acknowledges(c.ack))
			m := check(appliance.MonitorHL7)
			m.HL7 = appliance.HL7Probe{Message: hello, Expect: c.expect}
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
		})
	}
}

func TestHL7ServerThatHangsUp(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), answers(""))
	m := check(appliance.MonitorHL7)
	m.HL7.Message = hello
	p, _ := try(t, to, m)
	expect(t, p, false, "The server closed the connection before it acknowledged.")
}

func TestHL7WithoutMessageSendsNothing(t *testing.T) {
	received := make(chan int64, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		n, _ := io.Copy(io.Discard, c)
		received <- n
	})
	p, _ := try(t, to, check(appliance.MonitorHL7))
	expect(t, p, true, fmt.Sprintf("Port %d opened in # ms and stayed open; no message is sent.", to.Port()))
	if n := <-received; n != 0 {
		t.Errorf("%d bytes were sent", n)
	}
}

func TestHL7WithoutMessageLooksAtTheFraming(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closed":  {func(net.Conn) {}, "Port # opened, but the server closed the connection at once."},
		"garbled": {answersUnasked("SSH-2.0-x\r\n"), `The server does not speak MLLP: a message must begin with 0x0B, not with "SSH-2.0-x\\r\\n".`},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			p, _ := try(t, to, check(appliance.MonitorHL7))
			expect(t, p, false, c.want)
		})
	}
	to := peer(t, listen(t, "127.0.0.1:0"), answersUnasked("\x0bMSH|^~\\&|A\r\x1c\r"))
	p, _ := try(t, to, check(appliance.MonitorHL7))
	expect(t, p, true, "Port # opened in # ms and stayed open; no message is sent.")
}

// answersUnasked is a server that speaks first.
func answersUnasked(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		untilEOF(c)
	}
}

func TestServiceFirstPortAndCheckPort(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), untilEOF)
	m := New(Options{})
	s := appliance.NewService(appliance.TCP)
	s.Ports = appliance.Ports{{First: 1, Last: 2}}
	r := appliance.NewRealServer()
	r.Address = "127.0.0.1"
	for _, c := range []struct{ check, server uint16 }{{to.Port(), 3}, {0, to.Port()}} {
		s.Monitor.Port, r.Port = c.check, c.server
		p, _ := m.Test(t.Context(), s, r, nil, nil)
		expect(t, p, true, "Port "+strconv.Itoa(int(to.Port()))+" opened in # ms.")
	}
	s.Monitor.Port, r.Port = 0, 0
	p, _ := m.Test(t.Context(), s, r, nil, nil)
	expect(t, p, false, "Connection refused on port 1. The machine answers, the service does not.")
}
