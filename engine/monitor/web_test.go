package monitor

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

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
