package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"evenkeel/appliance"
)

// How often and how long.
const (
	lookEvery  = 5 * time.Second // without a change: the other node is asked whether it still has the same
	againAfter = 10 * time.Second
	firstPause = 100 * time.Millisecond // before a lost connection is made anew; it doubles
	mostPause  = time.Second
	sendTime   = 3 * time.Minute // for one bundle, with its apply on the other node
	askTime    = 20 * time.Second
	mostAnswer = 1 << 20
	gather     = 20 * time.Millisecond // changes that follow each other so closely travel together
)

// SenderOptions of a Sender. All that is not said to be optional is required.
type SenderOptions struct {
	Members  *Members
	Settings Settings
	Version  string
	Active   func() bool // this node owns the floating addresses, and so the settings
	// Watch gives a tick after everything that may have changed what both nodes have in common, or the pair, or who is active; stop ends it.
	Watch func() (changed <-chan struct{}, stop func())
	Alert func(appliance.Alert) // nil: nobody is told
	Clear func(code string)     // nil: likewise
	Log   *slog.Logger          // nil: nothing is logged
	Now   func() time.Time      // nil: time.Now
}

// Sender brings the settings to the other node while this one is active, and asks what it has. Run owns its goroutine; everything else may be called at any time.
type Sender struct {
	o           SenderOptions
	log         *slog.Logger
	first, most time.Duration // pauses before a lost connection is made anew
	look        time.Duration // between two looks without a change

	line     *line         // only Run's
	patience time.Duration // with a line that loses what is sent; only Run's
	signing  time.Duration // how long the next sign-in may take; only Run's
	aside    aside
	told     string // the sentence of the alert that the other node lacks the settings; empty: there is none; only Run's

	mu   sync.Mutex // guards what follows
	seen seen
}

// seen is what is known of the other node.
type seen struct {
	cluster string    // of the pair that it is about
	at      time.Time // zero: it was never asked
	own     appliance.SharedState
	theirs  appliance.SharedState
	called  string // this node, when it was asked
	version string
	failed  error  // the last try, nil: it went well
	refused error  // why it does not take what this node has; nil: it does
	forks   string // what was set aside there, and nobody has seen; empty: nothing
}

// The alerts.
const (
	codeRefused = "settings_refused"      // the other node does not take the settings
	codeForked  = "settings_forked_there" // revisions of the other node were set aside there, and nobody has seen them
)

// NewSender returns a sender that has asked nothing yet.
func NewSender(o SenderOptions) *Sender {
	s := &Sender{o: o, log: o.Log, first: firstPause, most: mostPause, look: lookEvery, patience: stallFirst, signing: signFirst}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("component", "replica")
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	if s.o.Alert == nil {
		s.o.Alert = func(appliance.Alert) {}
	}
	if s.o.Clear == nil {
		s.o.Clear = func(string) {}
	}
	return s
}

// Run sends until the context ends, and returns nil.
func (s *Sender) Run(ctx context.Context) error {
	changed, stop := s.o.Watch()
	defer stop()
	defer s.hangUp()
	t := time.NewTimer(0)
	defer t.Stop()
	pause := s.first
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			if pause > s.first { // the other node was lost a moment ago: the timer says when it is tried again
				continue
			}
			wait(ctx, gather)
		case <-s.dropped():
			s.hangUp()
			t.Reset(pause) // what was said of the other node is about one that may have gone
			continue
		case <-t.C:
		}
		err := s.turn(ctx)
		if ctx.Err() != nil {
			return nil
		}
		next := s.look
		if err == nil {
			pause = s.first
		} else {
			if s.line == nil && cutOff(err) { // nothing was begun: to try again costs a packet
				pause = s.first
			}
			next = pause
			pause = min(2*pause, s.most)
			s.hangUp()
			s.note(func(n *seen) { n.failed = err })
		}
		t.Reset(next)
	}
}

// cutOff tells whether the network did not carry a connection, and not the other node refuse it.
func cutOff(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded)
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// dropped is closed when the other node ended the connection; without one it never is.
func (s *Sender) dropped() <-chan struct{} {
	if s.line == nil {
		return nil
	}
	return s.line.ended
}

func (s *Sender) hangUp() {
	if s.line != nil {
		s.line.close()
		s.line = nil
	}
}

// rest is what there is to do while this node has no settings to give: whether the other node takes them it knows no more.
func (s *Sender) rest() {
	s.hangUp()
	s.tellRefused("", "", "")
}

// turn asks what the other node has, and sends what it lacks.
func (s *Sender) turn(ctx context.Context) (done error) {
	m, ok := s.o.Members.Current()
	if !ok {
		s.rest()
		s.tellForks("", nil)
		s.note(func(n *seen) { *n = seen{} })
		return nil
	}
	if !s.o.Active() {
		s.rest()
		s.lookAside(ctx, m)
		return nil
	}
	s.aside.known = false
	if s.line != nil && s.line.peer.Cluster != m.Cluster {
		s.hangUp()
	}
	s.note(func(n *seen) {
		if n.cluster != m.Cluster {
			*n = seen{cluster: m.Cluster}
		}
	})
	own, err := s.o.Settings.SharedState(ctx)
	if err != nil {
		return err
	}
	called := s.o.Members.own()
	if n := s.known(); s.line != nil && n.failed == nil && n.called == called && n.own.Same(own) && n.theirs.Same(own) && s.o.Now().Sub(n.at) < lookEvery {
		return nil // something else was written
	}
	if s.line == nil {
		if s.line, err = s.reach(ctx, m); err != nil {
			return err
		}
	}
	stop := s.line.watch(s.patience)
	defer func() {
		switch {
		case stop():
			s.patience = min(2*s.patience, unacknowledged)
		case done == nil:
			s.patience = stallFirst
		}
	}()
	theirs, err := s.line.state(ctx)
	if err != nil {
		s.tellUnlike(err)
		return err
	}
	if err := s.o.Members.NamePeer(ctx, theirs.Name); err != nil {
		return err
	}
	s.tellForks(m.Peer.Name, theirs.Shared.Forks)
	before := s.known()
	if own.Same(theirs.Shared) && (theirs.Knows == "" || theirs.Knows == called) {
		s.note(func(n *seen) {
			*n = seen{cluster: m.Cluster, at: s.o.Now(), own: own, theirs: theirs.Shared, called: called, version: theirs.Version, forks: n.forks}
		})
		s.tellRefused("", "", "")
		return nil
	}
	s.note(func(n *seen) {
		n.at, n.own, n.theirs, n.version, n.failed = s.o.Now(), own, theirs.Shared, theirs.Version, nil
	})
	if before.refused != nil && before.own.Same(own) && before.theirs.Same(theirs.Shared) && s.o.Now().Sub(before.at) < againAfter {
		s.note(func(n *seen) { n.at = before.at })
		return nil // it would refuse the same again
	}
	return s.send(ctx, m, theirs)
}

// reach opens the folder of the other node. Its patience grows as long as it does not suffice.
func (s *Sender) reach(ctx context.Context, m appliance.Membership) (*line, error) {
	l, err := s.dial(ctx, m, s.signing)
	switch {
	case err == nil:
		s.signing = signFirst
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.signing = min(2*s.signing, signTime)
	}
	return l, err
}

// dial opens the folder of the other node. The limit is for what comes after the TCP connection.
func (s *Sender) dial(ctx context.Context, m appliance.Membership, limit time.Duration) (*line, error) {
	c, err := s.o.Members.dialPeer(ctx, m.Peer, limit)
	if err != nil {
		return nil, err
	}
	return openFolder(ctx, c, m, limit)
}

// tellForks raises the alert about what was set aside on the other node, while nobody has seen it there.
func (s *Sender) tellForks(name string, list []appliance.Fork) {
	said := ""
	if len(list) > 0 {
		list[0].Kept = clean(list[0].Kept)
		said = list[0].Sentence(name)
	}
	before := s.known().forks
	if said == before {
		return
	}
	if s.note(func(n *seen) { n.forks = said }); said == "" {
		s.o.Clear(codeForked)
		return
	}
	s.o.Alert(appliance.Alert{
		Code: codeForked, Severity: appliance.Warning, Sentence: said,
		Hint: "The history of " + name + " keeps them: look at them there, do again on the active node what is still needed, then keep or discard them there.",
	})
}

// Forks are the sentences about what was set aside on the other node. It never waits.
func (s *Sender) Forks() []string {
	if said := s.known().forks; said != "" {
		return []string{said}
	}
	return nil
}

// send brings everything that the other node lacks, and notes what it answers.
func (s *Sender) send(ctx context.Context, m appliance.Membership, theirs state) error {
	shared, err := s.o.Settings.Shared(ctx, theirs.Shared)
	if err != nil {
		return err
	}
	b := bundle{Version: s.o.Version, Cluster: m.Cluster, Name: s.o.Members.own(), From: m.Self.ID, To: m.Peer.ID, Sequence: theirs.Sequence + 1, Shared: shared}
	raw, err := b.sign(s.o.Members.self.key)
	if err != nil {
		return err
	}
	a, err := s.line.give(ctx, raw, b.Sequence)
	if err != nil {
		return err
	}
	refused := a.err()
	own := appliance.SharedState{Saved: shared.Saved, Running: shared.Running, Belongings: shared.Belongings.Hash()}
	s.note(func(n *seen) {
		n.at, n.own, n.refused = s.o.Now(), own, refused
		if a.Kept {
			n.theirs = a.Taken.State
		}
	})
	if refused != nil {
		s.log.Error("settings refused by the other node", "revision", shared.Saved.Number, "error", refused)
		s.tellRefused(m.Peer.Name, texts(refused), "It would serve something else after a takeover. Mend what it says.")
		return nil
	}
	s.tellRefused("", "", "")
	s.log.Info("settings sent", "revision", shared.Saved.Number, "running", shared.Running.Number, "bytes", len(raw))
	s.tellForks(m.Peer.Name, a.Taken.State.Forks)
	return nil
}

// err is why a bundle was refused, or kept and not applied; nil: neither.
func (a answer) err() error {
	var list appliance.Errors
	for i := range a.Refused[:min(len(a.Refused), mostRefusals)] {
		list = append(list, a.Refused[i].err("send settings").(*appliance.Error))
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// texts are the sentences of an error, each once.
func texts(err error) string {
	var list []string
	for _, e := range appliance.ErrorsOf(err) {
		if text := e.Text(); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, " ")
}

// unlike tells whether the other node has a version that cannot work with this one.
func unlike(err error) bool { return err != nil && appliance.KindOf(err) == appliance.Unsupported }

// tellUnlike raises an alert when both nodes run, and their versions keep the settings apart.
func (s *Sender) tellUnlike(err error) {
	if m, _ := s.o.Members.Current(); unlike(err) {
		s.tellRefused(m.Peer.Name, texts(err), "Bring both nodes to the same version. Until then it would serve with older settings after a takeover.")
	}
}

// tellRefused raises the alert that the other node lacks the settings, once for each reason, or with an empty one takes it back.
func (s *Sender) tellRefused(name, why, hint string) {
	said := ""
	if why != "" {
		said = name + " does not have the settings of this node. " + why
	}
	if said == s.told {
		return
	}
	if s.told = said; said == "" {
		s.o.Clear(codeRefused)
		return
	}
	s.o.Alert(appliance.Alert{Code: codeRefused, Severity: appliance.Critical, Sentence: said, Hint: hint})
}

func (s *Sender) known() seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *Sender) note(f func(*seen)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.seen)
}
