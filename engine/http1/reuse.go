package http1

import "evenkeel/appliance"

// reused takes a parked connection to the chosen server, when the service's way of reusing them allows that for the request at hand.
func (k *core) reused() *link {
	x := k.x
	switch k.service.Config().HTTP.Reuse {
	case appliance.ReuseNever:
		if k.own == nil {
			return nil
		}
		return k.pool.take(x.choice.Server, x.choice.Address, k, k, x.idempotent)
	case appliance.ReuseAlways:
		return k.pool.take(x.choice.Server, x.choice.Address, nil, k, true)
	}
	if !x.idempotent && !k.served {
		return nil
	}
	return k.pool.take(x.choice.Server, x.choice.Address, nil, k, x.idempotent)
}

// retain parks a server connection for the next request: of any client, or of this one alone, which keeps one.
func (k *core) retain(l *link) {
	l.owner = nil
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
