package main

import (
	"fmt"
	"strings"

	"evenkeel/appliance"
)

// What is said of addresses in a pair that moves none, because the kernel or the rights of this node enforce no lease.

// codeNowhere is the alert while this node is active and a service's address is on none of its interfaces.
const codeNowhere = "address_not_floating"

// settled says of every address where it is: what this pair does not put on is where somebody else has put it.
func settled(list []appliance.FloatingAddress, active bool) []appliance.FloatingAddress {
	for i := range list {
		f := &list[i]
		if f.Services == nil {
			continue // it is not applied yet
		}
		switch f.Here = f.Interface != ""; {
		case f.Here:
			f.Sentence = "It stays on this node: this node enforces no lease, so that its addresses do not move."
		case active:
			f.Sentence = "It is on no interface of this node, which puts none on while it enforces no lease."
		}
	}
	return list
}

// nowhere is the alert about the addresses that clients cannot reach; false: there are none.
func nowhere(list []appliance.FloatingAddress) (a appliance.Alert, some bool) {
	var named, commands []string
	for _, f := range list {
		if f.Services != nil && !f.Here {
			named = append(named, fmt.Sprintf("%s (%s)", f.Address, strings.Join(f.Services, ", ")))
			commands = append(commands, fmt.Sprintf("ip addr add %s/%d dev INTERFACE", f.Address, f.Address.BitLen()))
		}
	}
	if len(named) == 0 {
		return a, false
	}
	are := "is"
	if len(named) > 1 {
		are = "are"
	}
	return appliance.Alert{
		Code: codeNowhere, Severity: appliance.Warning,
		Sentence: fmt.Sprintf("%s %s on no interface of this node and will not float: a node that enforces no lease puts no address on in a pair.", strings.Join(named, ", "), are),
		Hint:     "Put it on by hand, as root: " + strings.Join(commands[:min(len(commands), 3)], "; ") + ". Or give both nodes the right or the kernel that the page of the pair names, and restart them.",
	}, true
}

// tellNowhere raises and ends the alert; before is what was said last.
func (p *pair) tellNowhere(active bool, before string) string {
	var a appliance.Alert
	some := false
	if active && p.ground.fixed() {
		a, some = nowhere(p.floating(true))
	}
	switch {
	case a.Sentence == before:
	case some:
		p.a.control.Raise(a)
	default:
		p.a.control.Clear(codeNowhere)
	}
	return a.Sentence
}
