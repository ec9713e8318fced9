package engine

import (
	"net/netip"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// clients are the associations of UDP Mode on one loop, of all services, where people can find them: each in a slot, under a number that no later one has.
type clients struct {
	slots  []*association
	free   []uint32
	serial uint32
}

// enter gives an association its number.
func (t *clients) enter(a *association) {
	slot := uint32(len(t.slots))
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.slots = append(t.slots, nil)
	}
	t.serial++
	t.slots[slot], a.number = a, uint64(t.serial)<<32|uint64(slot)
}

func (t *clients) leave(a *association) {
	slot := uint32(a.number)
	t.slots[slot] = nil
	t.free = append(t.free, slot)
}

// look shows the associations among n slots, beginning with from, and returns where the next look begins; -1: that was all.
func (t *clients) look(from, n int, see func(*association)) (next int) {
	end := min(from+n, len(t.slots))
	for _, a := range t.slots[min(from, end):end] {
		if a != nil {
			see(a)
		}
	}
	if end >= len(t.slots) {
		return -1
	}
	return end
}

// end ends the association of that number; false: there is none.
func (t *clients) end(number uint64) bool {
	slot := int(uint32(number))
	if slot >= len(t.slots) || t.slots[slot] == nil || t.slots[slot].number != number {
		return false
	}
	t.slots[slot].end(wire.EndEvicted, evictedByOperator)
	return true
}

const evictedByOperator = "an operator or a new configuration ended it"

func (a *association) glimpse() glimpse {
	s := a.shard
	g := glimpse{service: s.config.Label, Connection: appliance.Connection{
		ID: clientID(s.lane.number, a.number), Client: a.client, Local: netip.AddrPortFrom(a.at, a.port()), ServiceID: s.service.id, Protocol: appliance.UDP,
		State: "open", Age: max(s.lane.loop.Now().Sub(a.began), 0), BytesIn: a.received, BytesOut: a.sent,
	}}
	switch {
	case a.server == nil:
		g.State = "no server"
		return g
	case a.sent == 0:
		g.State = "no answer yet"
	}
	g.ServerID, g.server = a.choice.Server.ID, a.choice.Server.Label
	return g
}

// lapsed ends an association that was silent for too long, which is how they all end; one that found no server did not end well.
func (a *association) lapsed() {
	switch {
	case a.server != nil:
		a.end(wire.EndDone, "")
	case a.failures > 0:
		a.end(wire.EndConnectFailed, "no server can serve the client")
	default:
		a.end(wire.EndNoServer, "no server can serve the client")
	}
}

// record tells the recorder what became of the association.
func (a *association) record(end wire.End, why string) {
	s := a.shard
	r := s.Blank()
	*r = wire.Record{
		ID: s.NewID(), Began: a.began, Ended: s.lane.loop.Now(), FirstByte: a.answer, Session: true, Client: a.client,
		Server: a.choice.Server, Address: a.choice.Address, Reason: a.choice.Reason, Tries: int(a.failures),
		BytesIn: a.received, BytesOut: a.sent, End: end, Why: why,
	}
	s.Record(r)
}
