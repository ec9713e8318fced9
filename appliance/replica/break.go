package replica

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pkg/sftp"

	"evenkeel/appliance"
)

// Broken is what became of the two nodes of a pair that was broken.
type Broken struct {
	Keeps string // the name of the node that keeps the services and their addresses
	Told  error  // why the other node does not know it yet; nil: it knows
}

// Break ends the pair. One node keeps every service and address: the Active one. The other gives its services up (an earlier revision has them) before it forgets
// the pair, so that no address ever has two owners. When the other node cannot be reached, only this one is in no pair afterwards; the other learns it when it comes. A pair that
// is not finished is given up.
func (m *Members) Break(ctx context.Context, o appliance.Origin, report func(appliance.PairStep)) (Broken, error) {
	done, err := m.begin()
	if err != nil {
		return Broken{}, err
	}
	defer done()
	current, ok := m.Current()
	if !ok {
		if _, open := m.Unfinished(); open {
			return Broken{Keeps: m.o.Name()}, m.drop(ctx)
		}
		return Broken{}, &appliance.Error{Kind: appliance.NotFound, Op: "break the pair", Message: "This node is in no pair."}
	}
	steps := steps{report: report}
	keeps := m.o.Active()
	out := Broken{Keeps: current.Peer.Name}
	if keeps {
		out.Keeps = current.Self.Name
	}
	if !keeps {
		steps.next("leave", current.Self.Name+" gives up its services; "+current.Peer.Name+" keeps them")
		if err := m.o.Leave(ctx, o); err != nil {
			return Broken{}, err
		}
	}
	steps.next("tell", "Telling "+current.Peer.Name+" that the pair ends")
	if err := m.tellEnd(ctx, current.Peer, !keeps); err != nil && !saidParted(err) {
		out.Told = err
		m.log.Warn("the other node does not know that the pair is broken", "error", out.Told)
	}
	steps.next("forget", "Destroying the keys of the pair")
	if err := m.forget(ctx, o, !keeps, brokenHere); err != nil {
		return Broken{}, err
	}
	steps.end()
	return out, nil
}

// The names of the files that are renamed to end the pair: the one who is told keeps the services, or gives them up.
const (
	fileKeep    = "pair.keep"
	fileLeave   = "pair.leave"
	fileRestart = "heartbeat.restart" // opens the heartbeat's paths anew
	fileDone    = "done"              // the new name of each
)

// doneTime is the longest that the other node may take: it may have to apply a configuration without services.
const doneTime = 2*time.Minute + 30*time.Second

// tellEnd makes the other node end the pair.
func (m *Members) tellEnd(ctx context.Context, peer appliance.Node, itKeeps bool) error {
	name := fileLeave
	if itKeeps {
		name = fileKeep
	}
	if err := m.doneAt(ctx, peer, name); err != nil {
		e := appliance.ErrorsOf(err)[0]
		e.Op, e.Hint = "break the pair", "Break the pair there too, before that node serves again."
		return e
	}
	return nil
}

// RestartPeer has the other node open the heartbeat's paths anew. Kinds: not_found without a pair, unavailable when it does not take it.
func (m *Members) RestartPeer(ctx context.Context) error {
	current, ok := m.Current()
	if !ok {
		return &appliance.Error{Kind: appliance.NotFound, Op: "restart the heartbeat", Message: "This node is in no pair."}
	}
	return m.doneAt(ctx, current.Peer, fileRestart)
}

// doneAt renames a file that stands for something to do on the other node; it is done then.
func (m *Members) doneAt(ctx context.Context, peer appliance.Node, name string) error {
	ctx, cancel := context.WithTimeout(ctx, doneTime)
	defer cancel()
	c, err := m.dialPeer(ctx, peer, signTime)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	f, err := begin(c.Client, func() (*sftp.Client, error) { return sftp.NewClient(c.Client) })
	if err != nil {
		return notTaken(peer, err)
	}
	defer f.Close()
	if err := f.Rename("/"+name, "/"+fileDone); err != nil {
		return notTaken(peer, err)
	}
	return nil
}

func notTaken(peer appliance.Node, err error) error {
	return &appliance.Error{
		Kind: appliance.Unavailable, Op: "tell the other node", Message: fmt.Sprintf("%s did not take it: %s", peer.Name, clean(err.Error())), Err: err,
		Hint: "Look whether it runs.",
	}
}

// endedByPeer is Break on the node that is told; by says how it learned it.
func (m *Members) endedByPeer(ctx context.Context, o appliance.Origin, keeps bool, by breaker) error {
	if !keeps {
		if err := m.o.Leave(ctx, o); err != nil {
			return err
		}
	}
	return m.forget(ctx, o, !keeps, by)
}

// sharedSecrets are those that both nodes have; the one that leaves the pair makes its own anew at its next start.
func sharedSecrets() []string { return []string{"cookie_key", "ticket_keys"} }

// forget destroys what made this node part of the pair.
func (m *Members) forget(ctx context.Context, o appliance.Origin, leaves bool, by breaker) error {
	m.mu.Lock()
	current := m.current.Load()
	if current == nil {
		m.mu.Unlock()
		return nil
	}
	gone := []string{secretPair, secretPending}
	if leaves {
		gone = append(gone, sharedSecrets()...)
	}
	m.o.Clear(codeUnknown)
	was, _ := m.Current()
	list := append(slices.Clone(m.former), former{Key: current.Peer.Key, Name: was.Peer.Name, Broken: m.o.Now().UTC(), Kept: !leaves, By: by})
	list = list[max(0, len(list)-mostFormer):]
	err := m.write(ctx, map[string]any{secretFormer: list}, gone, m.entry(o, "pair_break", current.Peer.Name, nil))
	if err == nil {
		m.former, m.pending = list, nil
		m.current.Store(nil)
		m.log.Info("the pair is broken", "peer", current.Peer.Name, "leaves", leaves)
	}
	m.mu.Unlock()
	if err == nil {
		m.tellEnded()
		m.o.Changed()
	}
	return err
}
