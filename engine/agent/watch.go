package agent

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"evenkeel/appliance"
)

// Options say how a Watcher is made. Every field may be zero.
type Options struct {
	Log     *slog.Logger                                                         // nil: silent
	Changed func(serverID string)                                                // told when what an agent says makes another difference than before, one at a time, under no lock. nil: nobody
	Resolve func(serverID, name string) (netip.Addr, error)                      // where a host name leads; must not block. nil: the system looks names up
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real one
}

// Watcher asks the agents of all real servers whose service wants that. It is safe for concurrent use.
type Watcher struct {
	options Options
	log     *slog.Logger
	wake    chan struct{} // capacity 1: the subjects have changed
	telling sync.Mutex    // one Changed at a time

	mu       sync.Mutex // guards what follows
	wanted   map[string]subject
	watching map[string]*watch
}

// subject is one agent and how it is asked. Subjects are equal when they compare equal.
type subject struct {
	host              string
	port              uint16
	send              string
	interval, timeout time.Duration
	misses            int
}

// watch is one agent that is being asked, by a goroutine of its own; the watcher's mutex guards state.
type watch struct {
	id string
	subject
	end   context.CancelFunc
	state State
}

// New returns a Watcher that asks nobody; Run makes it ask.
func New(o Options) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	return &Watcher{options: o, log: o.Log.With("component", "agent"), wake: make(chan struct{}, 1), watching: map[string]*watch{}}
}

// Apply makes the agents of these services the ones that are asked. What an agent has said stays unless its address or port is another one.
func (w *Watcher) Apply(services []*appliance.VirtualService) {
	wanted := map[string]subject{}
	for _, s := range services {
		a := &s.Monitor.Agent
		if !a.Enabled {
			continue
		}
		for i := range s.RealServers {
			r := &s.RealServers[i]
			wanted[r.ID] = subject{string(r.Address), a.Port, a.Send, s.Monitor.Interval.D(), s.Monitor.Timeout.D(), a.Misses}
		}
	}
	w.mu.Lock()
	w.wanted = wanted
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// State returns what the agent of a server has said; false: it is not asked.
func (w *Watcher) State(serverID string) (State, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.watching[serverID]; n != nil {
		return n.state, true
	}
	return State{}, false
}

// Run asks until the context ends.
func (w *Watcher) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		w.reconcile(ctx, &asking)
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
	}
}

// reconcile begins and ends watches, so that those run that are wanted.
func (w *Watcher) reconcile(ctx context.Context, asking *sync.WaitGroup) {
	w.mu.Lock()
	var gone []string
	for id, n := range w.watching {
		now, wanted := w.wanted[id]
		if wanted && now == n.subject {
			continue
		}
		n.end()
		delete(w.watching, id)
		if !wanted || now.host != n.host || now.port != n.port {
			gone = append(gone, id)
			continue
		}
		w.begin(ctx, asking, &watch{id: id, subject: now, state: n.state})
	}
	for id, s := range w.wanted {
		if w.watching[id] == nil {
			w.begin(ctx, asking, &watch{id: id, subject: s, state: State{Word: Word{Percent: Unsaid}, Port: s.port}})
		}
	}
	w.mu.Unlock()
	for _, id := range gone {
		w.tell(id)
	}
}

func (w *Watcher) begin(ctx context.Context, asking *sync.WaitGroup, n *watch) {
	own, cancel := context.WithCancel(ctx)
	n.end = cancel
	w.watching[n.id] = n
	asking.Go(func() { w.run(own, n) })
}

// run asks one agent at every interval; the first time after a part of it that depends on the server, so that not all are asked in the same moment.
func (w *Watcher) run(ctx context.Context, n *watch) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.id))
	next := time.NewTimer(time.Duration(h.Sum32()%1000) * min(n.interval, time.Second) / 1000)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(n.interval)
		w.once(ctx, n)
	}
}

// once asks, and keeps what comes of it.
func (w *Watcher) once(ctx context.Context, n *watch) {
	word, err := w.ask(ctx, n)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	if w.watching[n.id] != n {
		w.mu.Unlock()
		return
	}
	before := n.state
	if err == nil {
		n.state = before.heard(word, time.Now())
	} else {
		n.state = before.missed(err.Error(), n.misses)
	}
	now := n.state
	w.mu.Unlock()
	if before.Sentence() != now.Sentence() {
		w.log.Info("agent", "server", n.id, "address", net.JoinHostPort(n.host, strconv.Itoa(int(n.port))), "sentence", now.Sentence())
	}
	if !before.sameEffect(now) {
		w.tell(n.id)
	}
}

func (w *Watcher) tell(id string) {
	w.telling.Lock()
	defer w.telling.Unlock()
	if w.options.Changed != nil {
		w.options.Changed(id)
	}
}

// ask connects, sends what is to be sent, and reads one line. The error is the end of a sentence.
func (w *Watcher) ask(ctx context.Context, n *watch) (Word, error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	host := n.host
	if _, err := netip.ParseAddr(host); err != nil && w.options.Resolve != nil {
		a, err := w.options.Resolve(n.id, host)
		if err != nil {
			return Word{}, fmt.Errorf("its server's name %s leads nowhere", host)
		}
		host = a.String()
	}
	conn, err := w.options.Dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(n.port))))
	if err != nil {
		return Word{}, unreached(err, n.timeout)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if n.send != "" {
		if _, err := io.WriteString(conn, n.send+"\n"); err != nil {
			return Word{}, unreached(err, n.timeout)
		}
	}
	line, err := readLine(conn)
	if err != nil {
		return Word{}, unreached(err, n.timeout)
	}
	return Parse(line)
}

// readLine reads up to the first CR or LF, or to the end of what is sent; of a line that is too long one byte too many.
func readLine(conn io.Reader) ([]byte, error) {
	line := make([]byte, 0, MaxLine+1)
	for {
		n, err := conn.Read(line[len(line):cap(line)])
		from := len(line)
		line = line[:from+n]
		for i := from; i < len(line); i++ {
			if line[i] == '\r' || line[i] == '\n' {
				return line[:i], nil
			}
		}
		switch {
		case len(line) > MaxLine, errors.Is(err, io.EOF):
			return line, nil
		case err != nil:
			return nil, err
		}
	}
}

// unreached says why there was no answer.
func unreached(err error, within time.Duration) error {
	var n net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the connection was refused")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errors.New("there is no route to it")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("it broke the connection off")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &n) && n.Timeout():
		return fmt.Errorf("it did not answer within %s", appliance.Duration(within))
	}
	return errors.New("it could not be asked")
}
