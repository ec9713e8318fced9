package ha

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
)

// Node is one half of a pair at work. Its methods may be called by any goroutine, also before and after Run; none of them holds the loop up.
type Node struct {
	o        Options
	kernel   Kernel
	id       beat.Identity // without epoch and nonce
	witness  *beat.Ring    // nil: no witness node can be asked
	paths    []Path
	timeline *timeline

	facts    atomic.Pointer[facts]
	settings atomic.Pointer[appliance.Heartbeat]
	seen     atomic.Pointer[snapshot]
	called   atomic.Pointer[names]
	counters atomic.Pointer[beat.Counters] // of the reader
	refused  beat.Counters                 // of datagrams that came for a witness's answer

	notes chan func(*loop)        // for the loop; never closed
	desk  chan func()             // what waits for the disk
	hands chan func()             // what moves addresses
	news  chan appliance.Activity // the newest, for Changed

	draining sync.WaitGroup // the drains under way

	keeps atomic.Bool // the end of Run gives nothing away

	bell struct {
		sync.Mutex
		fd int // an eventfd that wakes the loop; -1 when it does not run
	}
}

// facts are Facts as they travel.
type facts struct {
	Facts
	hash    [16]byte
	release beat.Text
}

// New returns a Node that does not run yet. An incomplete membership, keys or paths that cannot be, and a hash that is none are invalid errors.
func New(o Options) (*Node, error) {
	n := &Node{
		o: o, kernel: o.Kernel, notes: make(chan func(*loop), 256), desk: make(chan func(), 256), hands: make(chan func(), 64), news: make(chan appliance.Activity, 1), timeline: openTimeline(o.Dir),
	}
	n.bell.fd = -1
	if n.kernel == nil {
		n.kernel = noKernel{}
	}
	if n.o.Logger == nil {
		n.o.Logger = slog.Default()
	}
	n.o.Logger = n.o.Logger.With("component", "ha")
	if err := n.identify(); err != nil {
		return nil, err
	}
	if err := n.SetFacts(o.Facts); err != nil {
		return nil, err
	}
	n.SetSettings(o.Settings)
	n.Name(o.Membership.Self.Name, o.Membership.Peer.Name)
	n.seen.Store(&snapshot{})
	return n, nil
}

func (n *Node) identify() (err error) {
	m := n.o.Membership
	if n.id.Cluster, err = beat.ParseID(m.Cluster); err != nil {
		return err
	}
	if n.id.Self, err = beat.ParseID(m.Self.ID); err != nil {
		return err
	}
	if n.id.Peer, err = beat.ParseID(m.Peer.ID); err != nil {
		return err
	}
	if n.id.Self == n.id.Peer {
		return &appliance.Error{Kind: appliance.Invalid, Op: "start heartbeat", Message: "Both nodes of the pair have the same identity: one is a copy of the other.", Hint: "Give one of them a new data folder, and make the pair again."}
	}
	if _, err := beat.NewRing(m.Keys); err != nil {
		return err
	}
	if m.Witness.ID != 0 {
		if n.witness, err = beat.NewRing([]appliance.HeartbeatKey{m.Witness}); err != nil {
			return err
		}
	}
	n.paths = n.o.Paths
	if n.paths == nil {
		n.paths = []Path{{Local: netip.AddrPortFrom(m.Self.Address, 0), Peer: netip.AddrPortFrom(m.Peer.Address, 0)}}
	}
	if len(n.paths) == 0 || len(n.paths) > beat.Paths {
		return &appliance.Error{Kind: appliance.Invalid, Op: "start heartbeat", Message: "A pair has one to eight heartbeat paths."}
	}
	for i, p := range n.paths {
		p.Local, p.Peer = withPort(p.Local), withPort(p.Peer)
		if !p.Local.Addr().IsValid() || !p.Peer.Addr().IsValid() || p.Local.Addr().Is4() != p.Peer.Addr().Is4() || p.Local == p.Peer {
			return &appliance.Error{Kind: appliance.Invalid, Op: "start heartbeat", Message: "A heartbeat path has two different addresses of the same family."}
		}
		n.paths[i] = p
	}
	return nil
}

func withPort(a netip.AddrPort) netip.AddrPort {
	port := a.Port()
	if port == 0 {
		port = Port
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), port)
}

// SetFacts replaces what heartbeats carry. A hash that is not empty and not 32 hexadecimal digits is an invalid error.
func (n *Node) SetFacts(f Facts) error {
	out := &facts{Facts: f, release: beat.NewText(f.Version)}
	if b, err := hex.DecodeString(f.Hash); err == nil && len(b) == len(out.hash) {
		out.hash = [16]byte(b)
	} else if f.Hash != "" {
		return &appliance.Error{Kind: appliance.Invalid, Op: "set facts", Field: "hash", Message: "The hash of a configuration has 32 hexadecimal digits."}
	}
	n.facts.Store(out)
	return nil
}

// SetSettings replaces how the nodes watch each other; they hold from the next datagram on. The zero value stands for the defaults.
func (n *Node) SetSettings(h appliance.Heartbeat) {
	h = h.OrDefault()
	if before := n.settings.Load(); before == nil || !reflect.DeepEqual(*before, h) {
		n.settings.Store(&h)
	}
}

// Run sends and hears heartbeats, and owns the floating addresses when it is its turn, until ctx ends: then it hands the addresses on to the peer, or lets them go,
// and returns nil. An unavailable error before the first datagram says that the epoch cannot be stored, or that a path cannot be opened by anybody. It may run once.
func (n *Node) Run(ctx context.Context) error {
	m, err := n.newLife()
	if err != nil {
		return err
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "start heartbeat", Err: os.NewSyscallError("eventfd", err)}
	}
	n.bell.Lock()
	n.bell.fd = fd
	n.bell.Unlock()
	l, err := newLoop(n, m, fd)
	if err != nil {
		n.silence()
		return err
	}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spare)
	defer func() { runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0)-spare, 1)) }()
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var others sync.WaitGroup
	others.Go(func() { n.workAt(beside, n.hands) })
	others.Go(func() { n.workAt(beside, n.desk) })
	others.Go(func() { n.cry(beside) })
	unleave := context.AfterFunc(ctx, func() { n.insist(beside, (*loop).leave) })
	done := make(chan struct{})
	go func() { l.run(beside); close(done) }()
	<-done
	unleave()
	n.silence()
	l.close()
	stop()
	n.draining.Wait()
	others.Wait()
	n.keepTimeline()
	_ = os.Remove(filepath.Join(n.o.Dir, WitnessFile)) // it is written anew by the next life, if that is still of this pair
	return nil
}

func (n *Node) keepTimeline() {
	if err := n.timeline.save(); err != nil {
		n.o.Logger.Warn("timeline not saved", "err", err)
	}
}

// Keep has the end of Run give nothing away: the addresses stay up, and the last lease of an owner lasts for a minute, because this machine goes on owning them without a pair
// and nothing may be missing until the lease's rules are removed.
func (n *Node) Keep() { n.keeps.Store(true) }

// newLife raises the epoch on the disk.
func (n *Node) newLife() (memory, error) {
	m, damaged, err := readMemory(n.o.Dir)
	if err != nil {
		return m, err
	}
	if damaged {
		n.o.Logger.Error("epoch file damaged, counting from the beginning until the peer tells", "file", memoryFile)
	}
	m.Epoch++
	if err := m.write(n.o.Dir); err != nil {
		return m, err
	}
	return m, n.introduce()
}

// introduce writes what a witness node must know of this pair into a file of its own, for the administrator to take there.
func (n *Node) introduce() error {
	m := &n.o.Membership
	if m.Witness.ID == 0 {
		return nil
	}
	b, err := json.MarshalIndent(WitnessedPair{Cluster: m.Cluster, Nodes: [2]string{m.Self.ID, m.Peer.ID}, Key: m.Witness}, "", "  ")
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write witness file", Err: err}
	}
	if err := renameio.WriteFile(filepath.Join(n.o.Dir, WitnessFile), append(b, '\n'), 0o600); err != nil {
		return unavailable("write witness file", err)
	}
	return nil
}

// silence takes the bell away from those who ring it.
func (n *Node) silence() {
	n.bell.Lock()
	defer n.bell.Unlock()
	_ = unix.Close(n.bell.fd)
	n.bell.fd = -1
}

// ring wakes the loop.
func (n *Node) ring() {
	n.bell.Lock()
	defer n.bell.Unlock()
	if n.bell.fd >= 0 {
		_, _ = unix.Write(n.bell.fd, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// post gives the loop something to do, and says whether there was room for it.
func (n *Node) post(note func(*loop)) bool {
	select {
	case n.notes <- note:
		n.ring()
		return true
	default:
		return false
	}
}

// insist waits until there is room; it tells whether there was before ctx ended.
func (n *Node) insist(ctx context.Context, note func(*loop)) bool {
	select {
	case n.notes <- note:
		n.ring()
		return true
	case <-ctx.Done():
		return false
	}
}

// workAt does one job after the other; what is left at the end is done, too.
func (n *Node) workAt(ctx context.Context, jobs chan func()) {
	for {
		select {
		case job := <-jobs:
			job()
		case <-ctx.Done():
			for {
				select {
				case job := <-jobs:
					job()
				default:
					return
				}
			}
		}
	}
}

// announce leaves the newest activity for cry.
func (n *Node) announce(a appliance.Activity) {
	select {
	case <-n.news: // nobody has heard that one
	default:
	}
	n.news <- a
}

// cry calls Changed.
func (n *Node) cry(ctx context.Context) {
	for {
		select {
		case a := <-n.news:
			n.o.Changed(a)
		case <-ctx.Done():
			return
		}
	}
}

// witnessPort is where witness nodes listen: where this node does.
func (n *Node) witnessPort() uint16 { return n.paths[0].Peer.Port() }

// nonce tells two lives with one epoch apart.
func nonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}
