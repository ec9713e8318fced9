package ha

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

// WitnessOptions is what a witness node needs.
type WitnessOptions struct {
	Listen []netip.AddrPort // port 0 means Port
	Pairs  []WitnessedPair
	Logger *slog.Logger // nil: slog.Default
}

// WitnessFile is the file in a node's folder that holds its pair as a WitnessedPair. It is a secret.
const WitnessFile = "witness.json"

// WitnessedPair is a pair that a witness knows.
type WitnessedPair struct {
	Cluster string                 `json:"cluster"`
	Nodes   [2]string              `json:"nodes"`
	Key     appliance.HeartbeatKey `json:"key"` // Membership.Witness
}

// Witness is a third appliance that tells a dead node from a cut wire. It gives its word to one node of a pair at a time: a bare "I hear you" would be right for both
// when the wire between them is cut, and each would own the addresses. Who owns them, or is about to take them, claims the word; it holds it for longer than a usual
// lease on it can last, and as long as it asks again; a node that no longer claims lets it go. The owner claims earlier in a silence than the other, so that it stays the
// owner. A witness that has just started remembers nothing: until what it may have said is over, only a node that says it owns the addresses gets its word.
// It answers authentic questions of a known pair, once each, and nothing else.
type Witness struct {
	listen []netip.AddrPort
	log    *slog.Logger

	mu    sync.Mutex // guards what follows; questions of all sockets are read one after the other
	pairs []*witnessed
	// Counters count what was refused, by reason, and answered.
	counters beat.Counters
}

// wordHolds is for how long a word is given: a lease on it lasts less, counted from the question, and the answer may have been on its way for a while. The longer lease of an
// owner that has been alone for long ends while the other, once it has the word, still asks for the addresses (role, "Why there are never two owners", 4).
const wordHolds = appliance.Lease + 50*time.Millisecond

// witnessed is a pair and who has the word.
type witnessed struct {
	asked  *beat.Asked
	holder int // 0 or 1; -1: nobody
	until  time.Duration
	start  time.Duration // until then it is not known who had it before
}

// NewWitness returns a Witness that does not run yet; identities and keys that are none are invalid errors.
func NewWitness(o WitnessOptions) (*Witness, error) {
	w := &Witness{log: o.Logger}
	if w.log == nil {
		w.log = slog.Default()
	}
	w.log = w.log.With("component", "witness")
	for _, a := range o.Listen {
		w.listen = append(w.listen, withPort(a))
	}
	for _, p := range o.Pairs {
		cluster, err := beat.ParseID(p.Cluster)
		if err != nil {
			return nil, err
		}
		var nodes [2]beat.ID
		for i, name := range p.Nodes {
			if nodes[i], err = beat.ParseID(name); err != nil {
				return nil, err
			}
		}
		ring, err := beat.NewRing([]appliance.HeartbeatKey{p.Key})
		if err != nil {
			return nil, err
		}
		w.pairs = append(w.pairs, &witnessed{asked: beat.NewAsked(cluster, nodes, ring), holder: -1})
	}
	return w, nil
}

// Rejected returns what came and was not answered, by reason.
func (w *Witness) Rejected() map[string]uint64 { return w.counters.Rejected() }

// Run answers until ctx ends. An unavailable error says that an address cannot be listened on.
func (w *Witness) Run(ctx context.Context) error {
	w.begin(bootTime())
	var all sync.WaitGroup
	defer all.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, a := range w.listen {
		c, err := w.open(ctx, a)
		if err != nil {
			return &appliance.Error{
				Kind: appliance.Unavailable, Op: "listen for questions", Subject: a.String(), Err: err, Message: "This machine cannot listen on " + a.String() + ", UDP.",
				Hint: "It must be an address of this machine, and no other process may use it with this port.",
			}
		}
		context.AfterFunc(ctx, func() { _ = c.Close() })
		all.Go(func() { w.answer(c) })
	}
	w.log.Info("witness answers", "pairs", len(w.pairs), "addresses", w.listen)
	<-ctx.Done()
	return nil
}

func (w *Witness) begin(now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pairs {
		p.start = now + wordHolds
	}
}

func (w *Witness) open(ctx context.Context, a netip.AddrPort) (*net.UDPConn, error) {
	var clusters []beat.ID
	for _, p := range w.pairs {
		clusters = append(clusters, p.asked.Cluster)
	}
	filter, err := beat.Filter(clusters...)
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		e := raw.Control(func(fd uintptr) { err = attach(int(fd), filter) })
		if e != nil {
			return e
		}
		return err
	}}
	c, err := config.ListenPacket(ctx, "udp", a.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// attach puts a filter in front of a socket.
func attach(fd int, filter []bpf.RawInstruction) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
}

// answer reads one socket until it is closed.
func (w *Witness) answer(c *net.UDPConn) {
	in, out := make([]byte, 2*beat.Most), make([]byte, beat.Most)
	for {
		n, from, err := c.ReadFromUDPAddrPort(in)
		if err != nil {
			return
		}
		if reply := w.judge(in[:n], out, bootTime()); reply != nil {
			_, _ = c.WriteToUDPAddrPort(reply, from)
		}
	}
}

// judge returns the answer to a datagram, nil when there is none.
func (w *Witness) judge(in, out []byte, now time.Duration) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if beat.KindOf(in) == 0 {
		w.counters.Count(beat.Magic)
		return nil
	}
	for _, p := range w.pairs {
		if p.asked.Cluster != beat.ClusterOf(in) {
			continue
		}
		var question beat.Beat
		node, reason := p.asked.Read(in, &question)
		if w.counters.Count(reason) != beat.OK {
			return nil
		}
		return p.asked.Answer(out, &question, p.word(node, &question, now))
	}
	w.counters.Count(beat.Cluster)
	return nil
}

// word tells whether a node may rely on the witness.
func (p *witnessed) word(node int, question *beat.Beat, now time.Duration) bool {
	if now >= p.until {
		p.holder = -1
	}
	switch {
	case !question.Claim:
		if p.holder == node {
			p.holder = -1
		}
		return true // it asks only whether the witness lives
	case p.holder == 1-node, now < p.start && !role.Says(question.Says).Has(role.Owns):
		return false
	}
	p.holder, p.until = node, now+wordHolds
	return true
}
