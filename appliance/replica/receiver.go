package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"evenkeel/appliance"
)

// Settings is what both nodes of a pair have in common, on this node.
type Settings interface {
	// SharedState tells what this node has.
	SharedState(context.Context) (appliance.SharedState, error)
	// Shared returns what a node that has their state lacks.
	Shared(ctx context.Context, theirs appliance.SharedState) (appliance.Shared, error)
	// Receive takes what the Active node gives, examined as if a stranger had typed it: all of it or nothing. A sequence that is not above the last one of that source is
	// refused. An error beside a State says that the settings were kept and could not be applied.
	Receive(ctx context.Context, o appliance.Origin, source string, sequence uint64, given appliance.Shared) (appliance.Taken, error)
	// LastSequence returns the last sequence that was taken from that source.
	LastSequence(ctx context.Context, source string) (uint64, error)
	// RunningCluster returns the cluster line as it runs, as JSON.
	RunningCluster() ([]byte, error)
}

// ReceiverOptions of a Receiver.
type ReceiverOptions struct {
	Members  *Members // required
	Settings Settings // required
	Version  string
	Restart  func(context.Context) error                       // opens the heartbeat's paths anew because the peer asks; nil: it may not ask
	Audit    func(context.Context, appliance.AuditEntry) error // nil: refusals are only logged
	Log      *slog.Logger                                      // nil: nothing is logged
	Now      func() time.Time                                  // nil: time.Now
}

// Receiver is the folder that the peer sees. It is safe for concurrent use; bundles are taken one after the other.
type Receiver struct {
	o    ReceiverOptions
	log  *slog.Logger
	turn chan struct{}

	format atomic.Int64 // Format; tests are of another version

	mu      sync.Mutex // guards what follows
	last    answer
	cluster string                // of the pair that what follows is about
	heard   time.Time             // when the peer last asked what this node has
	asked   int                   // the format that it spoke then
	taken   time.Time             // when it last gave something
	shown   appliance.SharedState // what it was told then
	audited time.Time
	unsaid  int
}

// state is what a node says it has.
type state struct {
	Format   int                   `json:"format"`
	Version  string                `json:"version"`
	Name     string                `json:"name,omitempty"`  // what the node is called; empty: of a version whose nodes do not tell
	Knows    string                `json:"knows,omitempty"` // what it calls who asks
	Sequence uint64                `json:"sequence"`        // of the last bundle that was taken from who asks
	Shared   appliance.SharedState `json:"shared"`
}

// answer is what became of a bundle.
type answer struct {
	Sequence uint64          `json:"sequence"`
	Kept     bool            `json:"kept"`
	Taken    appliance.Taken `json:"taken"`
	Refused  []refusal       `json:"refused,omitempty"`
}

const mostRefusals = 20 // sentences of one answer

// NewReceiver returns a receiver that has heard nothing yet.
func NewReceiver(o ReceiverOptions) *Receiver {
	r := &Receiver{o: o, log: o.Log, turn: make(chan struct{}, 1)}
	r.format.Store(Format)
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.log = r.log.With("component", "replica")
	if r.o.Now == nil {
		r.o.Now = time.Now
	}
	return r
}

// Serve speaks SFTP with a peer that signed in by its key, until it ends or the pair does.
func (r *Receiver) Serve(ctx context.Context, rw io.ReadWriteCloser, from netip.Addr, key string) error {
	m, ok := r.o.Members.Current()
	if !ok || m.Peer.Key != key {
		return &appliance.Error{Kind: appliance.Denied, Op: "serve settings", Message: "This node is in no pair with the one that asks."}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { rw.Close() })
	defer stop()
	f := &folder{ctx: ctx, from: from, key: key, r: r, files: map[string]*file{}}
	server := sftp.NewRequestServer(rw, f.handlers())
	defer server.Close()
	if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("serve settings: %w", err)
	}
	return nil
}

// peer returns the membership if the connection's key is still the peer's: a pair may be broken while it is open.
func (r *Receiver) peer(key string) (appliance.Membership, error) {
	m, ok := r.o.Members.Current()
	if !ok || m.Peer.Key != key {
		return m, &appliance.Error{Kind: appliance.Conflict, Op: "serve settings", Message: "The pair was broken."}
	}
	return m, nil
}

func (r *Receiver) state(ctx context.Context, key string, format int) ([]byte, error) {
	m, err := r.peer(key)
	if err != nil {
		return nil, err
	}
	s := state{Format: int(r.format.Load()), Version: r.o.Version, Name: r.o.Members.own(), Knows: r.o.Members.known()}
	if s.Shared, err = r.o.Settings.SharedState(ctx); err != nil {
		return nil, err
	}
	if s.Sequence, err = r.o.Settings.LastSequence(ctx, source(m)); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.heard, r.asked, r.shown = r.o.Now(), format, s.Shared
	if r.cluster != m.Cluster || r.heard.Sub(r.taken) > againAfter+freshFor { // it looks, and would have given again what was refused
		r.cluster, r.last = m.Cluster, answer{}
	}
	r.mu.Unlock()
	return json.Marshal(s)
}

// source names who sends in which pair: sequences of another pair do not count.
func source(m appliance.Membership) string { return m.Cluster + "/" + m.Peer.ID }

func (r *Receiver) running(key string) ([]byte, error) {
	if _, err := r.peer(key); err != nil {
		return nil, err
	}
	return r.o.Settings.RunningCluster()
}

func (r *Receiver) answer() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return json.Marshal(r.last)
}

// take does what a whole bundle says, and keeps the answer. Its error is only that something is wrong: the answer has the sentences.
func (r *Receiver) take(ctx context.Context, from netip.Addr, key string, raw []byte) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	m, err := r.peer(key)
	if err != nil {
		return errors.New(appliance.ErrorsOf(err)[0].Text())
	}
	a := answer{}
	b, err := openBundle(raw, m, r.o.Version)
	if err == nil {
		a.Sequence = b.Sequence
		o := appliance.Origin{Operator: "system", From: from, Via: "pair", Why: fmt.Sprintf("from %s", m.Peer.Name)}
		b.Shared.From = m.Peer.Name
		a.Taken, err = r.o.Settings.Receive(ctx, o, source(m), b.Sequence, b.Shared)
		a.Kept = err == nil || a.Taken.State.Saved.Number > 0
	}
	if a.Kept {
		if failed := r.o.Members.NamePeer(ctx, b.Name); failed != nil {
			r.log.Error("the peer's new name is not kept", "error", failed)
		}
	}
	for _, e := range appliance.ErrorsOf(err) {
		if len(a.Refused) < mostRefusals {
			a.Refused = append(a.Refused, *refusalOf(e))
		}
	}
	r.mu.Lock()
	r.cluster, r.last, r.taken = m.Cluster, a, r.o.Now()
	if a.Kept {
		r.heard, r.asked, r.shown = r.taken, int(r.format.Load()), a.Taken.State
	}
	r.mu.Unlock()
	if err != nil {
		r.refused(ctx, from, "Settings of "+m.Peer.Name+" were refused. "+appliance.ErrorsOf(err)[0].Text())
		return errors.New("refused")
	}
	return nil
}

// end breaks the pair as the peer asks.
func (r *Receiver) end(ctx context.Context, from netip.Addr, key string, keeps bool) error {
	m, err := r.peer(key)
	if err == nil {
		err = r.o.Members.endedByPeer(ctx, appliance.Origin{Operator: "system", From: from, Via: "pair", Why: "broken on " + m.Peer.Name}, keeps, brokenThere)
	}
	if err != nil {
		return errors.New(appliance.ErrorsOf(err)[0].Text())
	}
	return nil
}

// restart opens the heartbeat's paths anew as the peer asks.
func (r *Receiver) restart(ctx context.Context, key string) error {
	_, err := r.peer(key)
	if err == nil {
		err = r.o.Restart(ctx)
	}
	if err != nil {
		return errors.New(appliance.ErrorsOf(err)[0].Text())
	}
	return nil
}

const auditEvery = 10 * time.Second // refusals between two are counted: a peer that tries without end fills no disk

// refused records what the peer tried.
func (r *Receiver) refused(ctx context.Context, from netip.Addr, sentence string) {
	now := r.o.Now()
	r.mu.Lock()
	if now.Sub(r.audited) < auditEvery {
		r.unsaid++
		r.mu.Unlock()
		return
	}
	if r.unsaid > 0 {
		sentence += fmt.Sprintf(" Refusals that were not recorded before this one: %d.", r.unsaid)
	}
	r.audited, r.unsaid = now, 0
	r.mu.Unlock()
	r.log.Warn("refused", "from", from, "reason", sentence)
	if r.o.Audit == nil {
		return
	}
	e := appliance.AuditEntry{At: now.UTC(), Origin: appliance.Origin{Operator: "system", From: from, Via: "pair"}, Action: "pair_settings", Outcome: "refused", Detail: sentence}
	if err := r.o.Audit(context.WithoutCancel(ctx), e); err != nil {
		r.log.Error("audit entry not written", "action", e.Action, "error", err)
	}
}
