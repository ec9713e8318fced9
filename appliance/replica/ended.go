package replica

import (
	"context"
	"slices"

	"evenkeel/appliance"
)

// A pair that the other node broke is told on this one until somebody has dismissed it, or this node is in a pair again: its services are gone without anybody here
// having done anything.

// breaker says where a pair was broken; it is stored.
type breaker string

const (
	brokenHere      breaker = ""
	brokenThere     breaker = "peer"      // and this node was told at once
	brokenMeanwhile breaker = "peer_away" // and this node learned it later
)

// Last returns the last pair that the other node has broken, whether it was dismissed or not; ok is false while there is a pair, and when the last was broken here.
func (m *Members) Last() (end appliance.PairEnd, ok bool) {
	end, _, ok = m.last()
	return end, ok
}

// Ended is Last until it is dismissed.
func (m *Members) Ended() (end appliance.PairEnd, ok bool) {
	end, seen, ok := m.last()
	return end, ok && !seen
}

func (m *Members) last() (end appliance.PairEnd, seen, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current.Load() != nil || len(m.former) == 0 {
		return end, false, false
	}
	f := m.former[len(m.former)-1]
	return appliance.PairEnd{At: f.Broken, By: f.Name, Away: f.By == brokenMeanwhile, Kept: f.Kept}, f.Seen, f.By != brokenHere
}

// tellEnded raises the alert, if there is something to tell.
func (m *Members) tellEnded() {
	if end, ok := m.Ended(); ok {
		m.o.Alert(end.Alert())
	}
}

// Dismiss says that an administrator knows of the pair that the other node broke. Kinds: not_found when there is nothing to dismiss.
func (m *Members) Dismiss(ctx context.Context, o appliance.Origin) error {
	end, ok := m.Ended()
	if !ok {
		return &appliance.Error{Kind: appliance.NotFound, Op: "dismiss", Message: "There is no pair that the other node has broken and nobody has dismissed."}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.former)
	for i := range list {
		list[i].Seen = true
	}
	if err := m.write(ctx, map[string]any{secretFormer: list}, nil, m.entry(o, "pair_dismiss", end.By, nil)); err != nil {
		return err
	}
	m.former = list
	m.o.Clear(appliance.CodePairEnded)
	return nil
}
