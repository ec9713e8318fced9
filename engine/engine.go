// Package engine is the in-process proxy: it owns every listener of every virtual service and moves the bytes, on one event loop per core. It has one door:
// Apply takes the whole configuration and makes it so; Check tells whether that could work; Status tells what is observed.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/agent"
	"evenkeel/engine/http1"
	"evenkeel/engine/http2"
	"evenkeel/engine/journal"
	"evenkeel/engine/loop"
	"evenkeel/engine/monitor"
	"evenkeel/engine/names"
	"evenkeel/engine/tlsterm"
	"evenkeel/engine/traffic"
)

// Options configure an Engine. Every field may be zero.
type Options struct {
	Log       *slog.Logger // nil: silent. The engine never waits for it: lines that it does not take in time are dropped and counted
	Loops     int          // event loops; 0: one for each processor
	Driver    loop.Driver  // by what the loops move bytes; empty: loop.Auto
	CookieKey []byte       // seals persistence cookies, 32 bytes, kept over restarts; nil: a fresh one, so cookies do not survive a restart
	// TicketKeys are those of TLS session tickets, as NewTicketKeys makes them and KeepTickets was given them; with them sessions resume behind a restart and on the other node
	// of a pair. nil, or not readable: fresh ones.
	TicketKeys []byte
	// TurnTickets tells whether this node makes new keys for tickets; false: those of another node are awaited. nil: it does.
	TurnTickets func() bool
	KeepTickets func(keys []byte) // is given the keys after each turn; it may wait. nil: they do not survive a restart

	FallbackPage netip.AddrPort // where the appliance's own page is served; zero: nowhere, services that want it answer 503
	Noticed      func()         // told that the health of a server changed; must not wait. nil: nobody is
	LogsDir      string         // where the traffic log is kept; empty: in no file
	ScriptsDir   string         // where the monitor writes scripts; empty: script checks fail with a sentence
	Site         appliance.Site // the appliance's own listeners and addresses, where no host name may lead
	Names        names.Options  // how host names are looked up; Changed is the engine's own
	Certificates Certificates   // whom services' certificates are asked from; nil: services with TLS are refused
	Memory       int64          // bytes that connections may hold together; when they do, listeners wait. 0: any number
	Garbage      int64          // bytes of garbage that may pile up under load; main asks Garbage. 0: the runtime's settings stay as they are
	// Alert is told of what stands in the way of the traffic log or of new clients, and Clear when that is over; nil: nobody is.
	Alert func(appliance.Alert)
	Clear func(code string)
	Grace time.Duration // how long connections may take to end when Run is cancelled; 0: 1.5 s
}

const (
	defaultGrace   = 1500 * time.Millisecond
	idlePerLoop    = 1024 // idle server connections
	refusedLogRate = time.Second
	journalGrace   = time.Second // for the last lines of the log
)

// Engine moves the traffic of a configuration. Its methods are safe for concurrent use; Apply waits until Run has started.
type Engine struct {
	log     *slog.Logger // of the journal
	journal *journal.Journal
	options Options
	monitor *monitor.Monitor
	signers *tlsterm.Signers
	stapler *tlsterm.Stapler
	names   *names.Resolver
	agents  *agent.Watcher
	ring    *tlsterm.Ring // keys of session tickets
	traffic *traffic.Log
	key     [32]byte      // seals cookies
	epoch   time.Time     // of every loop's clock
	started chan struct{} // closed when the loops run
	lanes   []*lane       // set before started is closed
	view    atomic.Pointer[view]
	seen    chan sighting // what live traffic saw, for the monitor

	advising sync.Mutex // serializes what agents change

	mu       sync.Mutex // serializes Apply and Check, and guards what follows
	ended    bool       // Run is over, or almost
	scripts  []appliance.Script
	restored map[string][]byte // saved persistence tables whose services have not run yet
	services map[string]*service
	groups   map[place]*group
	material material
	estate   estate
	uses     map[string][]named  // host names of what runs
	homes    map[netip.Addr]bool // addresses of services; nil: to be made out of groups
	loopback bool                // servers on loopback are allowed
}

// lane is what belongs to one loop.
type lane struct {
	traffic *traffic.Lane
	number  int
	loop    *loop.Loop
	idle    *http1.IdlePool
	secure  *tlsterm.Lane
	streams *http2.Shared
	servers *http2.Servers
	clients clients // of UDP Mode

	announced uint64 // connections to servers that began with a header of the PROXY protocol
}

// view is what runs, for those who only look; it is never changed, only replaced.
type view struct {
	services []*service
	servers  map[string]*server
}

// New returns an engine that serves nothing; Run starts it.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Loops <= 0 {
		o.Loops = runtime.NumCPU()
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	lines := journal.New(o.Log.Handler())
	o.Log = slog.New(lines)
	e := &Engine{
		journal: lines, log: o.Log.With("component", "engine"), options: o, key: cookieKey(o.CookieKey), epoch: time.Now().Add(-time.Second), started: make(chan struct{}), seen: make(chan sighting, mostSeen),
		services: map[string]*service{}, groups: map[place]*group{}, estate: estate{listeners: map[place][]int{}},
	}
	e.signers, e.stapler, e.ring = tlsterm.NewSigners(o.Loops), tlsterm.NewStapler(e.log), ringOf(o.TicketKeys)
	e.view.Store(&view{})
	e.traffic = traffic.New(traffic.Options{Dir: o.LogsDir, Log: o.Log, Alert: o.Alert, Clear: o.Clear})
	e.monitor = monitor.New(monitor.Options{Log: o.Log, ScriptsDir: o.ScriptsDir, Changed: e.healthChanged, Resolve: e.whereIs})
	o.Names.Log, o.Names.Changed = o.Log, e.nameChanged
	e.names = names.New(o.Names)
	e.agents = agent.New(agent.Options{Log: o.Log, Changed: e.agentChanged, Resolve: e.whereIs})
	return e
}

// Run serves until the context ends; then it accepts nothing more, ends idle connections, gives the others Options.Grace to end, and returns.
// An error says that the loops could not be made (kind Unavailable). Run is called once.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.openLanes(); err != nil {
		return err
	}
	if n := len(e.lanes) + 1; runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n) // a loop keeps its thread; everything else needs one more
	}
	defer keepLog(ctx, e.journal.Run)()
	defer keepLog(ctx, e.traffic.Run)()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var all sync.WaitGroup
	for _, n := range e.lanes {
		all.Go(func() { e.runLoop(serving, n) })
	}
	checking := e.estate.checking(ctx)
	all.Go(func() { e.runMonitor(checking) })
	all.Go(func() { e.agents.Run(checking) })
	all.Go(func() { e.runObserved(ctx) })
	all.Go(func() { e.names.Run(ctx) })
	all.Go(func() { e.signers.Run(serving) })
	all.Go(func() { e.stapler.Run(ctx) })
	all.Go(func() { e.keepTickets(ctx) })
	all.Go(func() { e.watchPressure(ctx) })
	all.Go(func() { e.runCollector(ctx) })
	close(e.started)
	<-ctx.Done()
	e.drain()
	stop()
	all.Wait()
	return nil
}

// ceiling is the descriptor number from which on accepting pauses: an eighth of the limit, at most 512, is left to the pages, the database and the checks.
func ceiling() int32 {
	limit := descriptorLimit()
	if limit < leastCeiling || limit > math.MaxInt32 {
		return 0
	}
	return int32(limit - min(limit/8, 512))
}

// descriptorLimit is how many descriptors the process may have; 0: that is not known.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}

// leastCeiling is the limit of descriptors below which there is nothing to divide.
const leastCeiling = 256

func (e *Engine) openLanes() error {
	for i := range e.options.Loops {
		l, err := loop.Open(loop.Options{Log: e.options.Log, Number: i, Driver: e.options.Driver, Epoch: e.epoch, Ceiling: ceiling()})
		if err != nil {
			for _, n := range e.lanes {
				n.loop.Close()
			}
			return fmt.Errorf("open loop %d: %w", i, err)
		}
		secure := tlsterm.NewLane(tlsterm.LaneOptions{Loop: l, Post: l.Post, Signers: e.signers})
		streams := http2.NewShared(l)
		e.lanes = append(e.lanes, &lane{number: i, loop: l, idle: http1.NewIdlePool(l, idlePerLoop), secure: secure, streams: streams, servers: http2.NewServers(streams)})
		e.lanes[i].traffic = e.traffic.Lane()
	}
	return nil
}

// keepLog writes a log until the returned function is called, which waits for the last lines: not for ever, because whoever takes them may never do so.
func keepLog(ctx context.Context, run func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	written := make(chan struct{})
	go func() {
		run(ctx)
		close(written)
	}()
	return func() {
		cancel()
		patience := time.NewTimer(journalGrace)
		defer patience.Stop()
		select {
		case <-written:
		case <-patience.C:
		}
	}
}

func (e *Engine) runLoop(ctx context.Context, n *lane) {
	if err := n.loop.Run(ctx); err != nil {
		e.log.Error("loop ended", "loop", n.number, "error", err.Error())
	}
}

func (e *Engine) runMonitor(ctx context.Context) {
	if err := e.monitor.Run(ctx); err != nil && ctx.Err() == nil {
		e.log.Error("monitor ended", "error", err.Error())
	}
}

// drain ends everything politely, within the grace.
func (e *Engine) drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), e.options.Grace)
	defer cancel()
	services, groups := e.services, e.groups // a loop may come to look at them only behind the grace
	for _, n := range e.lanes {
		_ = n.loop.Call(ctx, func() {
			for _, g := range groups {
				for _, l := range g.listeners[n.number] {
					l.Close()
				}
			}
			for _, s := range services {
				s.shards[n.number].evictAll()
			}
			n.idle.Close()
			n.servers.Close()
			n.secure.Close()
		})
	}
	e.groups, e.services = map[place]*group{}, map[string]*service{}
	for local, fds := range e.estate.listeners {
		loop.CloseAll(fds)
		delete(e.estate.listeners, local)
	}
	e.awaitQuiet(ctx)
}

// awaitQuiet waits until no loop has a connection, or the context ends.
func (e *Engine) awaitQuiet(ctx context.Context) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		open := 0
		for _, n := range e.lanes {
			if n.loop.Call(ctx, func() { open += n.loop.Connections() }) != nil {
				return
			}
		}
		if open == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// ready waits for Run.
func (e *Engine) ready(ctx context.Context) error {
	select {
	case <-e.started:
		return nil
	case <-ctx.Done():
		return &appliance.Error{Kind: appliance.Unavailable, Op: "wait for engine", Message: "The engine is not running.", Err: context.Cause(ctx)}
	}
}

// healthChanged is told by the monitor.
func (e *Engine) healthChanged(id string, h appliance.Health) {
	s := e.view.Load().servers[id]
	if s == nil {
		return
	}
	if was := s.down.Swap(h == appliance.Down); was && h != appliance.Down {
		s.warm(e.now())
	}
	s.service.revise()
	if e.options.Noticed != nil {
		e.options.Noticed()
	}
	if h == appliance.Down {
		e.lost(s)
	}
}

// lost drops what is idle to a server that went down, and ends what is open if the service wants that.
func (e *Engine) lost(s *server) {
	for _, n := range e.lanes {
		n.loop.Post(func() {
			n.dropServer(&s.seats[n.number].Server)
			if s.service.running.Load().config.Monitor.CloseOnDown {
				s.service.shards[n.number].evict(&s.seats[n.number].Server, nil)
			}
		})
	}
}
