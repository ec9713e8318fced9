package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"evenkeel/appliance"
)

// site names the appliance's own listeners, which services and servers must leave alone.
func (a *instance) site() appliance.Site {
	return appliance.Site{
		Listeners: []appliance.Listener{
			{Address: addrPort(a.webui.Addr()), Name: "the WebUI"},
			{Address: addrPort(a.page.Address()), Name: "the fallback page"},
		},
		Addresses: ownAddresses(),
	}
}

// ownAddresses are those of the machine's interfaces as they are now.
func ownAddresses() []netip.Addr {
	var out []netip.Addr
	for _, p := range ownPrefixes() {
		out = append(out, p.Addr())
	}
	return out
}

// ownPrefixes are the same with their networks.
func ownPrefixes() []netip.Prefix {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return out
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		p := tcp.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// listen binds the WebUI's address.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	e := &appliance.Error{
		Kind: appliance.Conflict, Op: "open WebUI", Err: err, Message: fmt.Sprintf("The address %s for the WebUI is not free.", address),
		Hint: "End the program that uses it (ss -ltnp shows which), or choose another address with --webui.",
	}
	switch {
	case errors.Is(err, syscall.EACCES):
		e.Kind, e.Message, e.Hint = appliance.Denied, fmt.Sprintf("There is no right to listen on %s.", address), "Ports below 1024 need CAP_NET_BIND_SERVICE."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Kind, e.Message, e.Hint = appliance.Invalid, fmt.Sprintf("No interface of this machine has the address of %s.", address), "ip address shows which there are."
	}
	return nil, e
}

// url is where a browser finds the WebUI.
func (a *instance) url() string {
	p := addrPort(a.webui.Addr())
	if p.Addr().IsUnspecified() {
		return fmt.Sprintf("https://%s/lbadmin/", net.JoinHostPort(a.hostname(), strconv.Itoa(int(p.Port()))))
	}
	return fmt.Sprintf("https://%s/lbadmin/", p)
}

func (a *instance) hostname() string {
	if a.control != nil {
		if name := a.control.Saved().Config.Local.Hostname; name != "" {
			return name
		}
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "localhost"
}
