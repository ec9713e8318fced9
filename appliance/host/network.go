package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"evenkeel/appliance"
)

// Network is a subnet that the machine is part of, by an address of one of its interfaces.
type Network struct {
	Interface string
	Prefix    netip.Prefix // the interface's own address and the length of the network, such as 192.168.0.10/24
}

// String returns both, as in "eth0 192.168.0.10/24".
func (n Network) String() string { return n.Interface + " " + n.Prefix.String() }

// scene is what the machine has at one moment.
type scene struct {
	networks []Network
	present  map[netip.Addr][]assigned
	links    map[string]link
}

// assigned is an address as an interface has it.
type assigned struct {
	link string
	bits int
}

// link is an interface.
type link struct {
	index    int
	name     string
	hardware []byte // nil: it has no neighbours that could be asked
}

// look reads addresses and interfaces from the kernel.
func look(ctx context.Context) (*scene, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, internal("list interfaces", err)
	}
	list, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, internal("list addresses", err)
	}
	s := &scene{present: map[netip.Addr][]assigned{}, links: map[string]link{}}
	names := map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		s.links[a.Name] = link{a.Index, a.Name, hardwareOf(a)}
	}
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		bits, _ := a.Mask.Size()
		name := names[a.LinkIndex]
		s.present[ip] = append(s.present[ip], assigned{name, bits})
		if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && bits < ip.BitLen() {
			s.networks = append(s.networks, Network{name, netip.PrefixFrom(ip, bits)})
		}
	}
	return s, nil
}

// hardwareOf returns the Ethernet address of an interface whose neighbours answer ARP, or nil.
func hardwareOf(a *netlink.LinkAttrs) []byte {
	if a.EncapType != "ether" || len(a.HardwareAddr) != 6 {
		return nil
	}
	return a.HardwareAddr
}

// dump repeats a listing that the kernel's own changes interrupted.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	for try := 0; ; try++ {
		out, err := list()
		if err == nil || try == 20 || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
}

func internal(op string, err error) error {
	return &appliance.Error{Kind: appliance.Internal, Op: op, Err: err}
}

// network returns the narrowest network that holds a.
func (s *scene) network(a netip.Addr) (Network, bool) { return narrowest(s.networks, a) }

func narrowest(networks []Network, a netip.Addr) (Network, bool) {
	var best Network
	for _, n := range networks {
		if n.Prefix.Contains(a) && n.Prefix.Bits() > best.Prefix.Bits() {
			best = n
		}
	}
	return best, best.Prefix.IsValid()
}

// Networks returns the subnets that the machine is part of, in the order of its interfaces. The error is of kind Internal.
func (h *Host) Networks(ctx context.Context) ([]Network, error) {
	s, err := look(ctx)
	if err != nil {
		return nil, err
	}
	return s.networks, nil
}

// Check tells whether the machine can have each of these addresses of services: loopback, unspecified, already here, or an ordinary address of one of its networks.
// It changes nothing and asks nobody on the network. What it refuses comes back as appliance.Errors of kind Invalid, Subject and Field being the address as text.
func (h *Host) Check(ctx context.Context, list []netip.Addr) error {
	s, err := look(ctx)
	if err != nil {
		return err
	}
	var refused appliance.Errors
	for _, a := range list {
		if _, _, e := s.place(a.Unmap()); e != nil {
			refused = append(refused, e)
		}
	}
	if len(refused) > 0 {
		return refused
	}
	return nil
}

// place says where a belongs: missing tells that it has to be put on the network's interface; an error, that it cannot be.
func (s *scene) place(a netip.Addr) (n Network, missing bool, refused *appliance.Error) {
	if !a.IsValid() {
		return Network{}, false, &appliance.Error{Kind: appliance.Invalid, Message: "An IP address is missing."}
	}
	if _, here := s.present[a]; here || a.IsLoopback() || a.IsUnspecified() {
		return Network{}, false, nil
	}
	n, ok := s.network(a)
	if !ok {
		e := refuse(a, "%s is in none of this appliance's networks%s.", a, s.listed(a))
		e.Hint = "Use an address of one of these networks, or give an interface an address in the network of " + a.String() + " first."
		if near, found := Near(a.String(), s.networks); found && len(s.present[near]) == 0 {
			e.Hint = suggestion(near, s.networks, false)
		}
		return Network{}, false, e
	}
	if why := reserved(n.Prefix, a); why != "" {
		return Network{}, false, refuse(a, "%s is the %s of %s; a service needs an address of its own.", a, why, n.Prefix.Masked())
	}
	return n, true, nil
}

func refuse(a netip.Addr, format string, args ...any) *appliance.Error {
	e := appliance.Refuse(a.String(), format, args...)
	e.Subject = a.String()
	return e
}

// maxListed is how many networks a sentence names.
const maxListed = 6

// listed names the networks of a's family in parentheses.
func (s *scene) listed(a netip.Addr) string {
	var names []string
	for _, n := range s.networks {
		if n.Prefix.Addr().Is4() == a.Is4() {
			names = append(names, n.String())
		}
	}
	switch {
	case len(names) == 0 && a.Is6():
		return ": no interface has an IPv6 network"
	case len(names) == 0:
		return ": no interface has one"
	case len(names) > maxListed:
		names = append(names[:maxListed], "…")
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// reserved names what a is in a network when no machine may have it, or returns "".
func reserved(p netip.Prefix, a netip.Addr) string {
	free := a.BitLen() - p.Bits()
	switch {
	case free < 2: // RFC 3021, RFC 6164: both ends are ordinary
		return ""
	case a == p.Masked().Addr() && a.Is4():
		return "network address"
	case a == p.Masked().Addr():
		return "subnet router address"
	case a.Is4() && a == lastOf(p):
		return "broadcast address"
	}
	return ""
}

// lastOf returns the highest address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// Suggestion is an address that was perhaps meant.
type Suggestion struct {
	Address netip.Addr
	Free    bool   // nobody on the network answers for it
	Hint    string // "Did you mean 192.168.0.188? It is free in 192.168.0.0/24 on eth0."
}

// Suggest returns what was perhaps meant by typed, an address that is no good here; it asks the network whether the suggestion is free, where the process may, and
// takes at most half a second.
func (h *Host) Suggest(ctx context.Context, typed string) (Suggestion, bool) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	s, err := look(ctx)
	if err != nil {
		return Suggestion{}, false
	}
	a, ok := Near(typed, s.networks)
	if !ok || len(s.present[a]) > 0 {
		return Suggestion{}, false
	}
	n, _ := s.network(a)
	owners, err := ask(ctx, s.links[n.Interface], []netip.Addr{a})
	if owners[a] != nil {
		return Suggestion{}, false
	}
	free := err == nil && s.links[n.Interface].hardware != nil
	return Suggestion{Address: a, Free: free, Hint: suggestion(a, s.networks, free)}, true
}

func suggestion(a netip.Addr, networks []Network, free bool) string {
	n, _ := narrowest(networks, a)
	state := ""
	if free {
		state = "free "
	}
	return fmt.Sprintf("Did you mean %s? It is %sin %s on %s.", a, state, n.Prefix.Masked(), n.Interface)
}
