package monitor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
)

// ErrNotYet is what Options.Resolve returns of a name that has not been looked up yet: a probe proves nothing then.
var ErrNotYet = errors.New("the name has not been looked up yet")

// Hasten makes the next probe of a server due now, because it is somewhere else; nothing happens to one that is not checked or being probed.
func (m *Monitor) Hasten(serverID string) {
	m.mu.Lock()
	if e := m.entries[serverID]; e != nil && !e.job.unchecked() {
		m.hasten(e)
	}
	m.mu.Unlock()
	m.nudge()
}

// locate finds out where a host name leads; false: nowhere, and why.
func (a *attempt) locate(ctx context.Context) (outcome, bool) {
	if a.at == nil || a.host == "" {
		return outcome{}, true
	}
	if _, err := netip.ParseAddr(a.host); err == nil {
		return outcome{}, true
	}
	found, err := a.at(ctx)
	switch {
	case errors.Is(err, ErrNotYet):
		return outcome{ours: true, what: "The check could not be made, because the name " + inert(a.host) + " has not been looked up yet"}, false
	case err != nil:
		a.trace.say("%s", err.Error())
		return bad("%s", err.Error()), false
	}
	a.trace.say("%s leads to %s", inert(a.host), found)
	a.found = found
	return outcome{}, true
}

// machine is the server's address, as far as it is known, else its name.
func (a *attempt) machine() string {
	if a.found.IsValid() {
		return a.found.String()
	}
	return a.host
}

// place is machine with the port.
func (a *attempt) place() string { return net.JoinHostPort(a.machine(), strconv.Itoa(int(a.port))) }
