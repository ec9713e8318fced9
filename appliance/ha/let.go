package ha

import (
	"time"

	"evenkeel/appliance/ha/role"
)

// letLimit is the most that taking the addresses off may hold the loop up: at that moment another node owns them, or is about to.
const letLimit = 2 * time.Second

// drop ends the lease. A founder that enforces none has the addresses taken off instead: they would answer beside their next owner.
func (l *loop) drop() error {
	if !l.lets(bootTime()) {
		return l.n.kernel.Drop()
	}
	if err := within(letLimit, l.n.o.Let); err != nil {
		return err
	}
	l.let, l.config.Holds = true, false
	l.n.o.Logger.Info("floating addresses taken off: the peer owns them from now on, and this node enforces no lease")
	return nil
}

// lets tells whether the addresses are still on this machine from the time before the pair, and there is a peer to own them. Without one they stay: whoever comes later finds
// them here, by its last looks at the least.
func (l *loop) lets(now time.Duration) bool {
	if !l.config.Holds || l.n.o.Let == nil || now-l.heardAt > l.wary() {
		return false
	}
	says := role.Says(l.peer.Says)
	return !says.Has(role.Bare) && (says.Has(role.Owns) || says.Has(role.Healthy) && l.state.Contact(l.config, now))
}
