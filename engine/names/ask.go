package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	patience = 2 * time.Second        // for one answer of one name server
	grace    = 500 * time.Millisecond // for the other family, behind an address of one
	tries    = 2                      // of all name servers, one after the other
	mostLong = 16                     // aliases (CNAME) behind each other
	udpSize  = 1232                   // that answers may have without being fragmented
)

// finding is what one lookup brought.
type finding struct {
	addresses []netip.Addr
	counts    time.Duration // for how long
	failure   string        // why there is no address; empty: there is one
	partial   bool          // one of the two questions was not answered: what it brought before still counts
}

// after returns what is known behind a finding.
func (f finding) after(before Answer, now time.Time) Answer {
	switch {
	case f.failure == "" && f.partial:
		kept := slices.DeleteFunc(slices.Clone(before.Addresses), func(a netip.Addr) bool { return a.Is4() == f.addresses[0].Is4() })
		return Answer{Addresses: tidied(append(kept, f.addresses...)), Asked: true}
	case f.failure == "":
		return Answer{Addresses: f.addresses, Asked: true}
	}
	a := Answer{Addresses: before.Addresses, Failure: f.failure, Since: before.Since, Asked: true}
	if before.Failure == "" {
		a.Since = now
	}
	return a
}

// ask looks a name up once: in the hosts file, then by name servers with each of the search domains that suit.
func (r *Resolver) ask(ctx context.Context, name string) finding {
	name = strings.ToLower(name)
	if list := r.system.hosts(strings.TrimSuffix(name, ".")); len(list) > 0 {
		return finding{addresses: list, counts: r.options.Shortest}
	}
	config := r.system.config()
	if len(config.servers) == 0 {
		return finding{failure: "it is not in the hosts file, and no name server is configured"}
	}
	failed := finding{}
	for _, whole := range config.candidates(name) {
		f := r.both(ctx, whole, config)
		if f.failure == "" {
			return f
		}
		if failed.failure == "" || f.partial { // that a name server did not answer says more than that another name does not exist
			failed = f
		}
	}
	return failed
}

// both asks for IPv4 and IPv6 addresses at the same time. Behind an address of one family the other is not waited for long: there are networks that drop such questions.
func (r *Resolver) both(ctx context.Context, name string, config *resolvConf) finding {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var found [2]finding
	for i, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		all.Go(func() {
			if found[i] = r.question(ctx, name, kind, config); found[i].failure == "" {
				time.AfterFunc(grace, cancel)
			}
		})
	}
	all.Wait()
	four, six := found[0], found[1]
	switch {
	case four.failure == "" && six.failure == "":
		return finding{addresses: tidied(append(four.addresses, six.addresses...)), counts: min(four.counts, six.counts)}
	case four.failure == "":
		four.partial = six.partial
		return four
	case six.failure == "":
		six.partial = four.partial
		return six
	case six.partial:
		return six
	}
	return four
}

// question asks the name servers one after the other until one knows. A finding that is partial was not answered.
func (r *Resolver) question(ctx context.Context, name string, kind uint16, config *resolvConf) finding {
	failure := ""
	for range tries {
		for _, server := range config.servers {
			if ctx.Err() != nil {
				return finding{failure: "the lookup was broken off", partial: true}
			}
			asking, cancel := context.WithTimeout(ctx, patience)
			in, err := r.options.Exchange(asking, newQuestion(name, kind), server)
			cancel()
			switch {
			case err != nil:
				failure = fmt.Sprintf("the name server %s %s", shown(server), unreached(err))
			case !answers(in, name, kind):
				failure = fmt.Sprintf("the name server %s answered something else", shown(server))
			case in.Rcode == dns.RcodeNameError:
				return finding{failure: fmt.Sprintf("there is no such name, says the name server %s", shown(server))}
			case in.Rcode != dns.RcodeSuccess:
				failure = fmt.Sprintf("the name server %s answered %s", shown(server), dns.RcodeToString[in.Rcode])
			default:
				return read(in, name, kind, server)
			}
		}
	}
	return finding{failure: failure, partial: true}
}

func newQuestion(name string, kind uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	m.SetEdns0(udpSize, false)
	return m
}

// answers tells whether a message answers the question.
func answers(in *dns.Msg, name string, kind uint16) bool {
	return in != nil && in.Response && len(in.Question) == 1 && in.Question[0].Qtype == kind && dns.CanonicalName(in.Question[0].Name) == dns.CanonicalName(name)
}

// read collects the addresses of an answer: those of the name, or of what it is an alias of.
func read(in *dns.Msg, name string, kind uint16, server netip.AddrPort) finding {
	at, counts := dns.CanonicalName(name), Longest
	held := func(h *dns.RR_Header) bool {
		if dns.CanonicalName(h.Name) != at || h.Class != dns.ClassINET {
			return false
		}
		counts = min(counts, time.Duration(h.Ttl)*time.Second)
		return true
	}
	for range mostLong {
		var list []netip.Addr
		next := ""
		for _, record := range in.Answer {
			switch record := record.(type) {
			case *dns.A:
				if kind == dns.TypeA && held(&record.Hdr) {
					list = append(list, address(record.A))
				}
			case *dns.AAAA:
				if kind == dns.TypeAAAA && held(&record.Hdr) {
					list = append(list, address(record.AAAA))
				}
			case *dns.CNAME:
				if held(&record.Hdr) {
					next = dns.CanonicalName(record.Target)
				}
			}
		}
		if list = tidied(list); len(list) > 0 {
			return finding{addresses: list, counts: counts}
		}
		if next == "" {
			break
		}
		at = next
	}
	return finding{failure: fmt.Sprintf("it has no address, says the name server %s", shown(server))}
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// shown leaves out the usual port.
func shown(server netip.AddrPort) string {
	if server.Port() == dnsPort {
		return server.Addr().String()
	}
	return server.String()
}

func unreached(err error) string {
	var n net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout() {
		return "did not answer within " + patience.String()
	}
	return "could not be asked"
}

// exchange asks over UDP, and over TCP when the answer does not fit. A server that does not know EDNS is asked again without.
func exchange(ctx context.Context, question *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	in, err := exchangeOver(ctx, "udp", question, server)
	if err == nil && (in.Rcode == dns.RcodeFormatError || in.Rcode == dns.RcodeNotImplemented) {
		question.Extra = nil
		in, err = exchangeOver(ctx, "udp", question, server)
	}
	if err == nil && in.Truncated {
		in, err = exchangeOver(ctx, "tcp", question, server)
	}
	return in, err
}

func exchangeOver(ctx context.Context, network string, question *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	client := dns.Client{Net: network, Timeout: patience}
	in, _, err := client.ExchangeContext(ctx, question, server.String())
	return in, err
}
