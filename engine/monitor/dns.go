package monitor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
)

// The bounds of an answer over UDP.
const (
	maxDatagram = 4096
	maxStray    = 16 // datagrams that answer something else
	maxNamed    = 3  // addresses of an answer that a sentence names
)

// queryTypes are the types that a check may ask for.
var queryTypes = map[string]dnsmessage.Type{
	"": dnsmessage.TypeA, "A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS,
	"PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
}

// resolution is an answer of a DNS server.
type resolution struct {
	code      dnsmessage.RCode
	truncated bool
	records   int
	addresses []netip.Addr
}

var (
	errNotDNS   = errors.New("not an answer of DNS")
	errStrayDNS = errors.New("an answer to another question")
)

// resolve is the DNS check: one question over UDP, which must be answered without an error, and with the expected address when there is one.
func (a *attempt) resolve(ctx context.Context) outcome {
	question, packet, err := dnsQuery(uint16(rand.Uint32()), a.dns.Name, queryTypes[a.dns.Type])
	if err != nil {
		return bad("The name of this check cannot be asked for")
	}
	if o, ok := a.openOver(ctx, "udp"); !ok {
		return o
	}
	if _, err := a.peer.Write(packet); err != nil {
		return a.unresolved(err)
	}
	answer := make([]byte, maxDatagram)
	for range maxStray {
		n, err := a.peer.Read(answer)
		if err != nil {
			return a.unresolved(err)
		}
		r, err := parseResolution(answer[:n], packet[:2], question)
		switch {
		case errors.Is(err, errStrayDNS):
			continue
		case err != nil:
			return bad("The answer on UDP port %d is not DNS: %s", a.port, quoted(string(answer[:n])))
		}
		return a.judgeResolution(r)
	}
	return bad("The server on UDP port %d answers other questions than the one that was asked", a.port)
}

// unresolved says why no datagram came.
func (a *attempt) unresolved(err error) outcome {
	switch {
	case exhausted(err):
		return ours(err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return outcome{what: fmt.Sprintf("Nothing listens on UDP port %d", a.port), more: "The machine answers, the service does not.", lasting: true}
	case timedOut(err):
		return outcome{
			what: fmt.Sprintf("No answer from UDP port %d within %s", a.port, a.within()),
			more: "The machine or the service may be off, or a firewall drops the packets.", lasting: true,
		}
	}
	return a.unopened(err)
}

func (a *attempt) judgeResolution(r resolution) outcome {
	asked := quoted(a.dns.Name)
	if r.code != dnsmessage.RCodeSuccess {
		return bad("The question for %s was answered with %s", asked, rcode(r.code))
	}
	if a.dns.Expect == "" {
		return good("%s was answered with %s in %s", asked, records(r.records), brief(a.took()))
	}
	expected, err := netip.ParseAddr(a.dns.Expect)
	switch {
	case err == nil && slices.Contains(r.addresses, expected.Unmap()):
		return good("%s was answered with %s in %s", asked, expected, brief(a.took()))
	case len(r.addresses) > 0:
		return bad("%s was answered with %s, not with %s", asked, listed(r.addresses), inert(a.dns.Expect))
	case r.truncated:
		return bad("The answer for %s was cut off before %s", asked, inert(a.dns.Expect))
	}
	return bad("%s was answered without an address, not with %s", asked, inert(a.dns.Expect))
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return strconv.Itoa(n) + " records"
}

func listed(list []netip.Addr) string {
	names := make([]string, 0, maxNamed+1)
	for i, a := range list {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		names = append(names, a.String())
	}
	return strings.Join(names, ", ")
}

// rcode names the codes that operators meet (RFC 1035, 4.1.1; RFC 2136, 2.2).
func rcode(code dnsmessage.RCode) string {
	names := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("the code %d", code)
}

// dnsQuery returns a question and its packet, with recursion desired.
func dnsQuery(id uint16, name string, kind dnsmessage.Type) (dnsmessage.Question, []byte, error) {
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return dnsmessage.Question{}, nil, err
	}
	q := dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true}, Questions: []dnsmessage.Question{q}}
	packet, err := m.Pack()
	return q, packet, err
}

// parseResolution reads an answer. What carries another id is stray, perhaps late; what carries ours must be an answer to the question, or say why it is none.
func parseResolution(packet, id []byte, question dnsmessage.Question) (resolution, error) {
	var p dnsmessage.Parser
	h, err := p.Start(packet)
	switch {
	case err != nil:
		return resolution{}, errNotDNS
	case h.ID != uint16(id[0])<<8|uint16(id[1]):
		return resolution{}, errStrayDNS
	case !h.Response:
		return resolution{}, errNotDNS
	}
	r := resolution{code: h.RCode, truncated: h.Truncated}
	questions, err := p.AllQuestions()
	if h.RCode != dnsmessage.RCodeSuccess {
		return r, nil // servers that refuse may leave the question out
	}
	if err != nil || len(questions) != 1 || !sameQuestion(questions[0], question) {
		return r, errNotDNS
	}
	for {
		resource, err := p.Answer()
		switch {
		case errors.Is(err, dnsmessage.ErrSectionDone), err != nil && r.truncated:
			return r, nil
		case err != nil:
			return r, errNotDNS
		}
		r.records++
		switch body := resource.Body.(type) {
		case *dnsmessage.AResource:
			r.addresses = append(r.addresses, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			r.addresses = append(r.addresses, netip.AddrFrom16(body.AAAA).Unmap())
		}
	}
}

// sameQuestion compares without the case of letters, as names do.
func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && strings.EqualFold(a.Name.String(), b.Name.String())
}
