// Package explain tells in sentences what would become of a client, and why. What is decided is asked of the code that serves, in a way that changes nothing; this package
// puts the answers into words. It does no I/O.
package explain

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/http1"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// Scene is what runs when a question is asked. Service, Local and Name are required.
type Scene struct {
	Service *appliance.VirtualService
	Local   netip.AddrPort // that the client came to
	Program *rules.Program // nil: no rules
	Name    func(id string) string
	Open    int64 // clients of the service
	TLS     bool  // clients come by TLS
	// Certificate returns the one that is shown to who asks for a name; nil without TLS.
	Certificate func(name string) *x509.Certificate
	Now         wire.Time
	// Pick asks each loop which server a dry query would get; nil: that is not asked, as of rules that are only tried.
	Pick func(q wire.Query) ([]Finding, error)
}

// account is an explanation in the making.
type account struct {
	*Scene
	question *appliance.Question
	client   netip.AddrPort
	secure   bool
	tlsName  string
	query    wire.Query
	preview  http1.PreviewOptions
	out      appliance.Explanation
	err      error
}

// Explain tells what would become of a valid question's client. The error is that of Pick.
func (s *Scene) Explain(q appliance.Question) (appliance.Explanation, error) {
	w := &account{Scene: s, question: &q, client: netip.AddrPortFrom(q.Client.Unmap(), 0)}
	w.out = appliance.Explanation{ServiceID: s.Service.ID, Service: s.Service.Label, Listener: s.Local, Steps: []appliance.Step{}}
	w.good("listener", "%s listens on %s, in %s.", s.Service.Label, s.Local, s.Service.Protocol)
	for _, step := range []func() bool{w.room, w.proxy, w.tls, w.read, w.choose} {
		if !step() {
			break
		}
	}
	return w.out, w.err
}

func (w *account) step(subject string, mark appliance.Mark, format string, args ...any) {
	w.out.Steps = append(w.out.Steps, appliance.Step{Subject: subject, Mark: mark, Sentence: fmt.Sprintf(format, args...)})
}

func (w *account) good(subject, format string, args ...any) {
	w.step(subject, appliance.MarkGood, format, args...)
}

func (w *account) note(subject, format string, args ...any) {
	w.step(subject, appliance.MarkNote, format, args...)
}

// stop ends the explanation: nobody serves the client.
func (w *account) stop(subject, format string, args ...any) bool {
	w.step(subject, appliance.MarkStop, format, args...)
	w.out.By, w.out.Sentence = appliance.ByNobody, fmt.Sprintf(format, args...)
	return false
}

// room tells whether the service takes one more client.
func (w *account) room() bool {
	most := int64(w.Service.Limits.MaxConnections)
	switch {
	case w.Pick == nil:
	case w.Open >= most:
		w.note("limit", "%d of %d clients are connected: a new one waits until another one leaves.", w.Open, most)
	default:
		w.good("limit", "%d of %d clients are connected: there is room for one more.", w.Open, most)
	}
	return true
}

// proxy tells whose connection it is taken for.
func (w *account) proxy() bool {
	p, opener := &w.Service.ProxyProtocol, w.question.Proxy.Unmap()
	if !p.In {
		if opener.IsValid() {
			w.client = netip.AddrPortFrom(opener, 0)
			w.note("proxy", "%s does not expect the PROXY protocol: the client is taken for %s.", w.Service.Label, opener)
		}
		return true
	}
	if !opener.IsValid() {
		opener = w.client.Addr()
	}
	if !p.Trusts(opener) {
		return w.stop("proxy", "%s is no trusted proxy, and only those may connect: the connection is closed.", opener)
	}
	w.good("proxy", "%s is a trusted proxy: its header of the PROXY protocol says that the client is %s.", opener, w.client.Addr())
	return true
}

// tls tells whether client and service understand each other, and which certificate is shown.
func (w *account) tls() bool {
	secure, said := w.question.Secure()
	if !w.TLS {
		if said && secure && w.Service.Protocol == appliance.HTTP {
			return w.stop("tls", "%s speaks HTTP in clear here: a client that begins with TLS is refused.", w.Service.Label)
		}
		return true
	}
	if said && !secure {
		return w.stop("tls", "%s expects TLS here: a client that begins in clear is broken off.", w.Service.Label)
	}
	w.secure, w.tlsName = true, w.asked()
	if w.Certificate != nil {
		w.certificate(w.Certificate(w.tlsName))
	}
	if w.Service.TLS.ClientAuth == appliance.ClientAuthRequired {
		w.note("tls", "The client must show a certificate of the chosen authority; that it has one is taken for granted here.")
	}
	return true
}

// asked is the server name that the client asks for by TLS.
func (w *account) asked() string {
	if w.question.TLSName != "" {
		return w.question.TLSName
	}
	host, _ := w.question.Split()
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "" // of an address nothing is sent (RFC 6066, 3)
	}
	return host
}

func (w *account) certificate(c *x509.Certificate) {
	names := strings.Join(c.DNSNames, ", ")
	if names == "" {
		names = c.Subject.String()
	}
	switch {
	case w.tlsName == "":
		w.good("tls", "The client asks for no name: the first certificate is shown, for %s.", names)
	case c.VerifyHostname(w.tlsName) == nil:
		w.good("tls", "For the name %s the certificate for %s is shown.", w.tlsName, names)
	default:
		w.note("tls", "No certificate is for the name %s: the first is shown, for %s, and a client that looks at it refuses.", w.tlsName, names)
	}
}

// read tells what the rules make of what the client sends.
func (w *account) read() bool {
	if w.Service.Protocol == appliance.HTTP {
		return w.readHTTP()
	}
	return w.readSession()
}

// choose tells which server is chosen.
func (w *account) choose() bool {
	if w.Pick == nil {
		return w.tried()
	}
	found, err := w.Pick(w.query)
	if err != nil || len(found) == 0 {
		w.err = err
		return false
	}
	for i := range found {
		if id := found[i].ID(); id != "" && !slices.Contains(w.out.Possible, id) {
			w.out.Possible = append(w.out.Possible, id)
		}
	}
	w.tell(&found[0])
	return true
}

// tried says where rules that are only tried lead.
func (w *account) tried() bool {
	w.out.By = appliance.ByServer
	w.out.Sentence = "The request goes to a real server of " + w.Service.Label + "."
	if w.query.Rule > 0 {
		r := w.Program.Routes()[w.query.Rule-1]
		w.out.Sentence, w.out.Reason = "The request goes to the real server "+w.Name(r.Server)+".", "rule"
		if r.Pool != "" {
			w.out.Sentence = "The request goes to the pool of " + w.Name(r.Pool) + "."
		}
	}
	return true
}
