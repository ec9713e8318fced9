package http1

import (
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// reused takes a parked connection to the chosen server, when the service's way of reusing them allows that for the request at hand.
func (k *core) reused() *link {
	x := k.x
	if x.choice.Sharing == wire.SharedByNobody {
		return nil
	}
	key := stackKey{server: x.choice.Server, address: x.choice.Address, client: k.sharedWith()}
	switch k.service.Config().HTTP.Reuse {
	case appliance.ReuseNever:
		if k.own == nil {
			return nil
		}
		key.owner = k
		return k.pool.take(key, k, x.idempotent)
	case appliance.ReuseAlways:
		return k.pool.take(key, k, true)
	}
	if !x.idempotent && !k.served {
		return nil
	}
	return k.pool.take(key, k, x.idempotent)
}

// sharedWith returns the only address whose clients may have the connection at hand, or the zero Addr.
func (k *core) sharedWith() netip.Addr {
	if k.x.choice.Sharing == wire.SharedByAddress {
		return k.client.Peer().Addr()
	}
	return netip.Addr{}
}

// retain parks a server connection for the next request: of any client that may have it, or of this one alone, which keeps one.
func (k *core) retain(l *link) {
	if k.x.choice.Sharing == wire.SharedByNobody {
		l.conn.Close()
		return
	}
	l.owner, l.client = nil, k.sharedWith()
	if k.service.Config().HTTP.Reuse == appliance.ReuseNever {
		k.leaveOwn()
		l.owner = k
	}
	k.pool.park(l)
	if l.owner == k && l.parked != 0 {
		k.own = l
	}
}

// leaveOwn closes the connection that was kept for this client alone.
func (k *core) leaveOwn() {
	if k.own != nil {
		k.own.close()
	}
}
