package appliance

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// Question is a connection or request of a client that somebody asks about; none of it is sent. What is empty is usual.
type Question struct {
	Service  string         `json:"virtual_service,omitempty"` // id or label; empty: whoever listens on Listener
	Listener netip.AddrPort `json:"listener,omitzero"`         // where the client came to; zero: the host of URL when that is an address, else the service's first port
	Client   netip.Addr     `json:"client"`
	Proxy    netip.Addr     `json:"proxy,omitzero"`        // who opened the connection on behalf of Client; zero: the client itself
	TLSName  string         `json:"tls_name,omitempty"`    // asked for by TLS; empty: the host of an https URL
	Session  string         `json:"tls_session,omitempty"` // TCP Mode: the id of the TLS session that the client wants to resume, hexadecimal
	RDP      string         `json:"rdp_cookie,omitempty"`  // TCP Mode: mstshash=USER or msts=ROUTE
	Method   string         `json:"method,omitempty"`      // empty: GET
	URL      string         `json:"url,omitempty"`         // whole, or a path; empty: /
	Headers  []string       `json:"headers,omitempty"`     // "Name: value" each, as the client sends them
	Cookies  string         `json:"cookies,omitempty"`     // "name=value; name=value"
	// Answer is how the server would answer, a line each: "200 OK", then its header; empty: 200 without a header that matters.
	Answer []string `json:"answer,omitempty"`
}

// Bounds of a question.
const (
	mostQuestionHeaders = 100
	mostQuestionText    = 16 << 10
)

// Validate checks a question and returns every error, or nil. That its service exists is not looked at.
func (q *Question) Validate() Errors {
	var all Errors
	refuse := func(field, format string, args ...any) { all = append(all, Refuse(field, format, args...)) }
	if !q.Client.IsValid() || q.Client.Zone() != "" {
		refuse("client", "Give the address of a client, such as 10.0.0.7.")
	}
	if q.Proxy.Zone() != "" {
		refuse("proxy", "Give an address without a zone.")
	}
	if q.Service == "" && !q.Listener.IsValid() && !q.addressed() {
		refuse("virtual_service", "Name a virtual service, or the address and port that the client comes to, such as 192.168.0.188:80.")
	}
	if q.Method != "" && !validToken.MatchString(q.Method) {
		refuse("method", "A method is a word such as GET.")
	}
	if !visible(q.URL) {
		refuse("url", "A URL has letters, digits and signs of ASCII only, and no space; others are written as %%20.")
	}
	if _, err := hex.DecodeString(q.Session); err != nil || len(q.Session) > 64 {
		refuse("tls_session", "A session id is written in at most 64 hexadecimal digits.")
	}
	if q.RDP != "" && (!visible(q.RDP) || !strings.HasPrefix(q.RDP, "mstshash=") && !strings.HasPrefix(q.RDP, "msts=")) {
		refuse("rdp_cookie", "Give mstshash=USER or msts=ROUTE, as the client sends it.")
	}
	if !visible(q.TLSName) {
		refuse("tls_name", "That is no name of a server.")
	}
	all = append(all, checkLines("headers", q.Headers)...)
	if len(q.Answer) > 1 {
		all = append(all, checkLines("answer", q.Answer[1:])...)
	}
	if len(q.Answer) > 0 && q.AnswerStatus() == 0 {
		refuse("answer", "The first line is the status, such as 200 OK.")
	}
	if hasControl(q.Cookies) {
		refuse("cookies", "Cookies are written as name=value; name=value.")
	}
	if len(q.URL)+len(q.Cookies)+len(strings.Join(q.Headers, ""))+len(strings.Join(q.Answer, "")) > mostQuestionText {
		refuse("headers", "URL, headers and cookies together have more than 16 KB.")
	}
	return all
}

// AnswerStatus returns the status of the answer's first line; 0: it has none that a server could give.
func (q *Question) AnswerStatus() int {
	if len(q.Answer) == 0 {
		return 200
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(q.Answer[0]), "HTTP/1.1 "), " ")
	if n, err := strconv.Atoi(text); err == nil && n >= 200 && n <= 599 {
		return n
	}
	return 0
}

// Secure tells whether the URL says how the client speaks, and whether that is TLS.
func (q *Question) Secure() (secure, said bool) {
	switch scheme, _, found := strings.Cut(q.URL, "://"); {
	case found && strings.EqualFold(scheme, "https"):
		return true, true
	case found && strings.EqualFold(scheme, "http"):
		return false, true
	}
	return false, false
}

// Split returns the host of the URL with its port, empty when it has none, and its path with query exactly as it was typed.
func (q *Question) Split() (host, target string) {
	rest := q.URL
	if _, said := q.Secure(); said {
		_, rest, _ = strings.Cut(rest, "://")
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		host, rest = rest[:end], rest[end:]
	}
	rest, _, _ = strings.Cut(rest, "#")
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return host, rest
}

// Port returns the port that the URL leads to; 0: it names no host.
func (q *Question) Port() uint16 {
	host, _ := q.Split()
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if n, err := strconv.ParseUint(host[i+1:], 10, 16); err == nil {
			return uint16(n)
		}
		return 0
	}
	switch secure, _ := q.Secure(); {
	case host == "":
		return 0
	case secure:
		return 443
	}
	return 80
}

// Addressed returns the address and port that the URL names, zero when its host is a name.
func (q *Question) Addressed() netip.AddrPort {
	host, _ := q.Split()
	if a, err := netip.ParseAddrPort(host); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Unmap(), q.Port())
}

func (q *Question) addressed() bool { return q.Addressed().IsValid() }

func checkLines(field string, list []string) (all Errors) {
	if len(list) > mostQuestionHeaders {
		return Errors{Refuse(field, "At most %d lines.", mostQuestionHeaders)}
	}
	for _, line := range list {
		name, _, found := strings.Cut(line, ":")
		if !found || !validToken.MatchString(name) || hasControl(line) {
			all = append(all, Refuse(field, "%.60q is no header: write Name: value, one a line.", line))
		}
	}
	return all
}

func hasControl(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0
}

// ReadQuestion reads a question that was typed: text gives what stands in a field, by its name in JSON; lists have one element a line. Errors name the fields.
func ReadQuestion(text func(field string) string) (Question, Errors) {
	var all Errors
	address := func(field string) netip.Addr {
		typed := strings.TrimSpace(text(field))
		a, err := netip.ParseAddr(typed)
		if typed != "" && err != nil {
			all = append(all, Refuse(field, "%.60q is no IP address.", typed))
		}
		return a.Unmap()
	}
	trimmed := func(field string) string { return strings.TrimSpace(text(field)) }
	q := Question{
		Service: trimmed("virtual_service"), Client: address("client"), Proxy: address("proxy"), TLSName: trimmed("tls_name"), Session: trimmed("tls_session"), RDP: trimmed("rdp_cookie"),
		Method: trimmed("method"), URL: trimmed("url"), Headers: linesOf(text("headers")), Cookies: trimmed("cookies"), Answer: linesOf(text("answer")),
	}
	if typed := trimmed("listener"); typed != "" {
		at, err := netip.ParseAddrPort(typed)
		if err != nil {
			all = append(all, Refuse("listener", "%.60q is no address with a port, such as 192.168.0.188:80.", typed))
		}
		q.Listener = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	for _, e := range q.Validate() {
		if !hasField(all, e.Field) {
			all = append(all, e)
		}
	}
	return q, all
}

func hasField(all Errors, field string) bool {
	for _, e := range all {
		if e.Field == field {
			return true
		}
	}
	return false
}

func linesOf(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// QuestionFields returns the names of the fields of a question, as ReadQuestion asks for them.
func QuestionFields() []string {
	var out []string
	for _, f := range questionFields() {
		out = append(out, f.Path)
	}
	return out
}
