package monitor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"evenkeel/appliance"
)

// The bounds of an answer.
const (
	maxAnswer  = 256 << 10 // head and body as they come over the wire
	maxContent = 64 << 10  // of the body that is searched
	maxInterim = 8         // answers 1xx before the real one
)

// web is the HTTP and HTTPS check: one request by hand, HTTP/1.1, the connection closed behind it, redirects not followed.
func (a *attempt) web(ctx context.Context) outcome {
	if strings.ContainsFunc(a.http.Path+a.http.Host+a.http.Method, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return bad("The path, host or method of this check holds a space")
	}
	if o, ok := a.open(ctx); !ok {
		return o
	}
	if a.kind == appliance.MonitorHTTPS {
		if o, ok := a.secure(ctx, a.serverName(), a.http.Verify); !ok {
			return o
		}
	}
	if _, err := io.WriteString(a.peer, a.request()); err != nil {
		return a.unanswered(err, "an HTTP answer")
	}
	in := bufio.NewReader(io.LimitReader(a.peer, maxAnswer))
	response, o := a.response(in)
	if response == nil {
		return o
	}
	closing := a.farewell
	a.farewell = func() {
		_, _ = io.CopyN(io.Discard, response.Body, maxContent)
		if closing != nil {
			closing()
		}
	}
	if !a.codes.Contains(uint16(response.StatusCode)) {
		return bad("HTTP %d where %s was expected", response.StatusCode, a.http.Codes)
	}
	return a.content(response)
}

func (a *attempt) request() string {
	method, path := a.http.Method, a.http.Path
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = "/"
	}
	return method + " " + path + " HTTP/1.1\r\nHost: " + a.hostHeader() + "\r\nUser-Agent: Evenkeel-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
}

// hostHeader is the given one, or the address with the port unless that is the scheme's own.
func (a *attempt) hostHeader() string {
	if a.http.Host != "" {
		return a.http.Host
	}
	standard := uint16(80)
	if a.kind == appliance.MonitorHTTPS {
		standard = 443
	}
	if a.port != standard {
		return a.address()
	}
	if strings.Contains(a.host, ":") {
		return "[" + a.host + "]"
	}
	return a.host
}

// response reads the head of the final answer; when it is nil the outcome says why.
func (a *attempt) response(in *bufio.Reader) (*http.Response, outcome) {
	method := a.http.Method
	for range maxInterim {
		if _, err := in.Peek(1); err != nil {
			return nil, a.unanswered(err, "an HTTP answer")
		}
		start, _ := in.Peek(min(in.Buffered(), 2*maxQuoted))
		if !strings.HasPrefix(string(start), "HTTP/"[:min(len(start), 5)]) {
			return nil, bad("The answer on port %d is not HTTP: %s", a.port, quoted(string(start)))
		}
		begin := string(start)
		response, err := http.ReadResponse(in, &http.Request{Method: method})
		switch {
		case err != nil && (timedOut(err) || ended(err)):
			return nil, a.unanswered(err, "a complete HTTP answer")
		case err != nil:
			return nil, bad("The answer on port %d is broken HTTP: %s", a.port, quoted(begin))
		case response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols:
			return response, outcome{}
		}
	}
	return nil, bad("The server sent more than %d interim answers and no final one", maxInterim)
}

// content decides about an answer whose code is right.
func (a *attempt) content(response *http.Response) outcome {
	if a.http.Content == "" {
		return good("HTTP %d in %s", response.StatusCode, brief(a.took()))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxContent))
	found := strings.Contains(string(body), a.http.Content)
	kind := "text"
	if a.prepared.content != nil {
		found, kind = a.prepared.content.Match(body), "expression"
	}
	switch {
	case found:
		return good("HTTP %d in %s, and the %s %s was found", response.StatusCode, brief(a.took()), kind, quoted(a.http.Content))
	case err != nil:
		return a.unanswered(err, "the whole answer")
	case a.http.Method == http.MethodHead:
		return outcome{what: fmt.Sprintf("The %s %s was not found", kind, quoted(a.http.Content)), more: "An answer to HEAD has no content; use GET."}
	}
	return bad("The %s %s was not found in the answer", kind, quoted(a.http.Content))
}

// serverName is the name for SNI and the certificate: the Host header's, else the server's address.
func (a *attempt) serverName() string {
	if a.http.Host == "" {
		return a.host
	}
	if name, _, err := net.SplitHostPort(a.http.Host); err == nil {
		return name
	}
	return strings.Trim(a.http.Host, "[]")
}
