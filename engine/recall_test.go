package engine

import (
	"net/netip"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
	"evenkeel/engine/wire"
)

// onLoop runs f on the only loop of an engine.
func (r *rig) onLoop(f func(s *shard)) {
	r.t.Helper()
	s := r.view.Load().services[0].shards[0]
	if err := s.lane.loop.Call(soon(r.t), func() { f(s) }); err != nil {
		r.t.Fatal(err)
	}
}

func TestAReturningClientCostsNoMemory(t *testing.T) {
	server := netip.MustParseAddrPort("127.0.0.1:9")
	for _, kind := range appliance.PersistenceKinds() {
		protocol := appliance.TCP
		if kind.NeedsHTTP() {
			protocol = appliance.HTTP
		}
		r := start(t, Options{Loops: 1})
		v := kept(t, protocol, kind, server, server, server)
		v.RealServers[1].Port, v.RealServers[2].Port = 10, 11
		r.apply(v)
		allocated := -1.0
		r.onLoop(func(s *shard) {
			q := wire.Query{Client: netip.MustParseAddrPort("192.0.2.7:50000"), Port: v.Ports[0].First, Session: []byte("0123456789abcdef")}
			c, ok := s.Pick(&q)
			if !ok {
				return
			}
			s.Learn(c, &q)
			s.Release(c)
			if s.sealer != nil {
				q.Cookie = s.sealer.Append(nil, c.Server.ID, s.wall(), s.wall())
			}
			allocated = testing.AllocsPerRun(100, func() {
				again, ok := s.Pick(&q)
				if !ok || kind != appliance.PersistNone && (again.Reason != wire.ByPersistence || again.Server != c.Server) {
					panic("a returning client was balanced anew")
				}
				s.Release(again)
			})
		})
		if allocated != 0 {
			t.Errorf("%s: %v allocations", kind, allocated)
		}
		r.stop()
	}
}

// TestMadeUpSessionsDoNotFillTheTable plays clients that never come back: entries of what they are stay within the bound, what they made up leaves none.
func TestMadeUpSessionsDoNotFillTheTable(t *testing.T) {
	const tries = 20000
	server := netip.MustParseAddrPort("127.0.0.1:9")
	for kind, most := range map[appliance.PersistenceKind]int{
		appliance.PersistApplication: 0, appliance.PersistTLSSession: 0, appliance.PersistLastSuccessful: 0,
		appliance.PersistSourceIP: 1000, appliance.PersistRDPCookie: 1000, appliance.PersistCookieOrIP: 1000, appliance.PersistForwardedFor: 1000,
	} {
		protocol := appliance.TCP
		if kind.NeedsHTTP() {
			protocol = appliance.HTTP
		}
		r := start(t, Options{Loops: 1})
		v := kept(t, protocol, kind, server)
		v.Persistence.TableSize = 1000
		v.Persistence.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		r.apply(v)
		var table *persist.Table
		r.onLoop(func(s *shard) {
			table = s.table
			session := make([]byte, 16)
			for i := range tries {
				session[0], session[1], session[2] = byte(i), byte(i>>8), byte(i>>16)
				q := wire.Query{Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 50000), Port: v.Ports[0].First, Session: session}
				if c, ok := s.Pick(&q); ok {
					s.Release(c)
				}
			}
		})
		if got := table.Len(); got != most {
			t.Errorf("%s: %d entries, not %d", kind, got, most)
		}
		r.stop()
	}
}
