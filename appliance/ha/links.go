package ha

import (
	"net"

	"evenkeel/appliance/ha/role"
)

// links knows which interfaces have no carrier: a node whose services cannot be reached gives their addresses to the peer.
type links struct {
	down   map[string]bool
	broken bool // an interface with a floating address is among them
}

// openLinks looks at all interfaces once; afterwards the kernel tells what changes. What cannot be looked at counts as well.
func openLinks() links {
	l := links{down: map[string]bool{}}
	list, err := net.Interfaces()
	if err != nil {
		return l
	}
	for _, i := range list {
		if i.Flags&net.FlagRunning == 0 {
			l.down[i.Name] = true
		}
	}
	return l
}

// link takes in what the kernel tells of an interface.
func (l *loop) link(name string, up bool) {
	if up {
		delete(l.links.down, name)
	} else {
		l.links.down[name] = true
	}
	l.place()
}

// place looks whether a floating address belongs on an interface without a carrier.
func (l *loop) place() {
	l.links.broken = len(l.links.down) > 0 && l.misplaced()
	l.cut.off = l.cutOff(bootTime())
	l.examine()
}

func (l *loop) misplaced() bool {
	for _, name := range l.n.kernel.Places() {
		if l.links.down[name] {
			return true
		}
	}
	return false
}

// fit tells whether this node can serve.
func (l *loop) fit() bool { return l.facts.Healthy && !l.links.broken && !l.cut.off }

// examine tells the machine; what has not changed it does not mind.
func (l *loop) examine() {
	if l.state.At != 0 {
		l.give(role.Event{Kind: role.Health, Yes: l.fit()})
	}
}
