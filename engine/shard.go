package engine

import (
	"net/netip"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/balance"
	"evenkeel/engine/cache"
	"evenkeel/engine/http1"
	"evenkeel/engine/loop"
	"evenkeel/engine/persist"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"
)

// shard is a service on one loop: the wire.Service of its cores and the loop.Acceptor of its listeners. Everything in it belongs to the loop,
// but for the counters, which are read by others.
type shard struct {
	service      *service
	engine       *Engine
	lane         *lane
	config       *appliance.VirtualService
	table        *persist.Table
	sealer       *persist.Sealer
	seats        []*seat
	servers      []*server    // whose the seats are
	addresses    []netip.Addr // of the servers, in the order of seats
	pool         *balance.Pool
	others       []int64 // connections on the other loops, as last looked at
	lookedAt     wire.Time
	responses    *cache.Store   // nil: the service keeps none
	sites        [4]*http1.Site // by the way in: 1 by TLS, 2 a stream of HTTP/2; nil until the first client
	fallback     *seat
	counters     wire.Counters
	traffic      stats.Traffic
	listeners    []ear
	leaving      bool      // another process or machine serves the next clients
	mark         uint32    // then: who came after it is spared by evictOlder
	quietTill    wire.Time // no refusal is logged before
	secrecy      *secrecy
	sharing      wire.Sharing // of connections to the servers
	quietClients wire.Time    // no failure of their TLS is logged before
	quietServers wire.Time    // likewise
	routing
	datagrams associations    // of UDP Mode
	paces     []int64         // average response times of all loops, as last looked at; nil: the scheduler does not ask
	desperate bool            // fewer servers are healthy than the minimum: health does not count
	failing   appliance.Ports // codes that live traffic counts as failures
	crowded   bool            // somebody waits for a place
	graded    bool            // some server's limit depends on the load
	load      int64           // then: how many are served or wait, as last looked at
}

var (
	_ wire.Service  = (*shard)(nil)
	_ wire.Learner  = (*shard)(nil)
	_ loop.Acceptor = (*shard)(nil)
)

// othersAge is how old the other loops' numbers may be when a server is chosen.
const othersAge = time.Millisecond

// swap makes a snapshot the running one.
func (s *shard) swap(next *snapshot) {
	c, servers := next.config, next.servers
	var old []appliance.RealServer
	if s.config != nil {
		old = s.config.RealServers
	}
	first := s.pool == nil
	if s.pool = balance.New(&c.Pool, s.pool, old); first {
		s.pool.Turn(s.lane.number)
	}
	s.config, s.table, s.sealer, s.program = c, next.table, next.sealer, next.program
	s.sharing = sharingOf(c)
	s.rekey(next)
	s.recache()
	s.servers, s.graded, s.load = servers, graded(c), 0
	s.seats = make([]*seat, len(servers))
	s.addresses = make([]netip.Addr, len(servers))
	s.others = make([]int64, len(servers))
	s.lookedAt, s.paces, s.failing = 0, nil, nil
	if c.Monitor.Observe.Failures > 0 {
		s.failing, _ = appliance.ParsePorts(c.Monitor.Observe.Codes)
	}
	if c.Scheduler == appliance.FastestResponse {
		s.paces = make([]int64, len(servers))
	}
	for i, r := range servers {
		s.seats[i] = r.seats[s.lane.number]
		s.addresses[i] = r.address(&c.RealServers[i])
	}
	if len(s.datagrams.list) > 0 {
		s.watchDatagrams() // how long they may be silent may have changed
	}
}

// Loop implements wire.Service.
func (s *shard) Loop() wire.Loop { return s.lane.loop }

// Config implements wire.Service.
func (s *shard) Config() *appliance.VirtualService { return s.config }

// Counters implements wire.Service.
func (s *shard) Counters() *wire.Counters { return &s.counters }

// Admit implements loop.Acceptor.
func (s *shard) Admit() bool {
	if !s.service.admit() {
		return false
	}
	atomic.StoreInt64(&s.counters.Open, s.counters.Open+1)
	return true
}

// Gone implements loop.Acceptor.
func (s *shard) Gone() {
	stats.Closed(&s.counters)
	s.service.leave()
}

// refused logs why a request was turned away, at most once a second for each service and loop.
func (s *shard) refused(reason string) {
	now := s.lane.loop.Now()
	if now < s.quietTill {
		return
	}
	s.quietTill = now.Add(refusedLogRate)
	s.engine.log.Info("request refused", "service", s.config.Label, "reason", reason)
}

func (s *shard) resume() {
	for _, n := range s.listeners {
		n.Resume()
	}
}

// evict asks the sessions that keep selects to end; server nil means all of them, otherwise those that use it.
func (s *shard) evict(server *wire.Server, which func(wire.Conn) bool) {
	if which == nil { // what belongs to a listener that goes ends with it
		s.datagrams.evict(server)
	}
	s.lane.loop.Accepted(s, func(c wire.Conn, core wire.Core) {
		if which == nil || which(c) {
			core.Evict(server)
		}
	})
	if server != nil {
		s.evictRouted(server)
	}
}

func (s *shard) evictAll() { s.evict(nil, nil) }

// evictOlder asks the sessions to end that were there at the last mark, and sets the next one: who has come since may be about to ask.
func (s *shard) evictOlder() {
	mark := s.mark
	s.mark = s.lane.loop.Mark()
	s.evict(nil, func(c wire.Conn) bool { return c.(*loop.Conn).Precedes(mark) })
}
