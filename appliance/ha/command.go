package ha

import (
	"context"
	"fmt"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

// waiter waits for the end of a command.
type waiter struct {
	done  chan error // of room for one
	until func(l *loop) (over bool, err error)
}

// MakeActive is the operator's wish that this node has the floating addresses. It returns when it has. even says that the peer is off, as the operator has made sure:
// then the witness is not needed. It is refused with the reason as a conflict, and an unavailable error says that the switch did not come about before ctx ended, and what holds it up.
func (n *Node) MakeActive(ctx context.Context, even bool) error {
	return n.command(ctx, "make active", role.Event{Kind: role.MakeActive, Yes: even}, func(l *loop) bool { return l.state.Phase == role.Active })
}

// StandBy is the operator's wish that the peer has the floating addresses. It returns when this node is passive and the peer owns them; errors are as with MakeActive.
func (n *Node) StandBy(ctx context.Context) error {
	return n.command(ctx, "make passive", role.Event{Kind: role.MakePassive}, func(l *loop) bool {
		return !l.state.Owner() && role.Says(l.peer.Says).Has(role.Owns)
	})
}

// command gives the machine a command and waits for what comes of it.
func (n *Node) command(ctx context.Context, op string, e role.Event, reached func(*loop) bool) error {
	return n.explained(n.ask(ctx, op, func(l *loop, w waiter) {
		told := l.decisions.number
		l.give(e)
		w.until = func(l *loop) (bool, error) {
			if r, refused := l.decisions.refusal(told); refused {
				return true, &appliance.Error{Kind: appliance.Conflict, Op: op, Message: r}
			}
			return reached(l), nil
		}
		l.waiting = append(l.waiting, w)
	}))
}

// ask lets the loop do something and waits until it is done, or ctx ends.
func (n *Node) ask(ctx context.Context, op string, do func(*loop, waiter)) error {
	w := waiter{done: make(chan error, 1)}
	late := &appliance.Error{
		Kind: appliance.Unavailable, Op: op, Message: "The pair has not come to it in time.",
		Hint: "The timeline of the pair says what each node has decided, and why.",
	}
	if !n.insist(ctx, func(l *loop) { do(l, w) }) {
		late.Err = ctx.Err()
		return late
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		late.Err = ctx.Err()
		return late
	}
}

// notice tells those who wait.
func (l *loop) notice() {
	kept := l.waiting[:0]
	for _, w := range l.waiting {
		if over, err := w.until(l); over {
			w.done <- err
			continue
		}
		kept = append(kept, w)
	}
	l.waiting = kept
}

// refusal is the sentence of the newest decision after told that refuses a command or calls it off.
func (d *decisions) refusal(told uint32) (sentence string, refused bool) {
	for i := range d.waiting {
		q := &d.queue[i]
		code := role.Code(q.Code.String())
		off := strings.HasPrefix(string(code), "refused_") || strings.HasPrefix(string(code), string(role.SwitchOff))
		if int32(q.Number-told) > 0 && off {
			return role.Record{Code: code, Lasted: q.Lasted}.Sentence(), true
		}
	}
	return "", false
}

// RestartHeartbeat opens the paths anew. The role stays, and nothing is lost but what comes in between.
func (n *Node) RestartHeartbeat(ctx context.Context) error {
	return n.ask(ctx, "restart heartbeat", func(l *loop, w waiter) {
		var closed []string
		for _, p := range l.paths {
			p.close()
		}
		l.open(bootTime())
		for _, p := range l.paths {
			if p.socket == nil {
				closed = append(closed, fmt.Sprint(p.why))
			}
		}
		l.tell(role.Record{Code: restarted, At: bootTime()})
		if len(closed) > 0 {
			w.done <- &appliance.Error{
				Kind: appliance.Unavailable, Op: "restart heartbeat", Message: "A heartbeat path cannot be opened: " + strings.Join(closed, "; ") + ".",
				Hint: "It is tried again and again; look at the addresses of this appliance.",
			}
			return
		}
		w.done <- nil
	})
}

// RotateKey begins a change of the heartbeat's key; the status says how far it is. The peer takes part by itself. A conflict says that one is under way, an
// unavailable error that the peer is not heard, an unsupported one that this node has nowhere to store a key.
func (n *Node) RotateKey(ctx context.Context) error {
	return n.ask(ctx, "change heartbeat key", func(l *loop, w waiter) {
		e := &appliance.Error{Kind: appliance.Conflict, Op: "change heartbeat key", Message: "A change of the heartbeat's key is under way."}
		switch {
		case n.o.SaveKeys == nil:
			e.Kind, e.Message = appliance.Unsupported, "This node has nowhere to store a key."
		case bootTime()-l.heardAt > time.Second || l.peer.Boot == 0:
			e.Kind, e.Message = appliance.Unavailable, "The peer is not heard; both nodes change their key together."
			e.Hint = "Try again when the pair is connected."
		default:
			var task beat.Task
			if l.keys.rotation, task = l.keys.rotation.Begin(); task != beat.Nothing {
				l.keys.start(l, task)
				e = nil
			}
		}
		if e != nil {
			w.done <- e
			return
		}
		w.done <- nil
	})
}
