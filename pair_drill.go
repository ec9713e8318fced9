package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
	"evenkeel/appliance/ha/role"
)

// Drill switches to the other node and back, and tells how long nobody owned the addresses each time, from the end of the one lease to the begin of the other. It is measured
// by the clock of this node alone: what the other one decided came with its age, and the heartbeat that brought it was under way for a time that is bounded.
func (p *pair) Drill(ctx context.Context, o appliance.Origin) (appliance.PairDrill, error) {
	node, err := p.running("drill a failover")
	if err != nil {
		return appliance.PairDrill{}, err
	}
	away := node.Activity() == appliance.Active
	var out appliance.PairDrill
	for _, way := range []struct {
		peer bool
		into *appliance.Takeover
	}{{away, &out.There}, {!away, &out.Back}} {
		began := time.Now()
		if err := p.Activate(ctx, o, way.peer); err != nil {
			return out, err
		}
		if *way.into, err = p.handed(ctx, node, began, way.peer); err != nil {
			return out, err
		}
	}
	out.Sentence = fmt.Sprintf("The floating addresses went to the other node and back; nobody had them for %s and for %s.", outage(out.There), outage(out.Back))
	return out, nil
}

// outage is a measured time as people read it, with how exact it is; none was zero.
func outage(t appliance.Takeover) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	switch most := t.Took + t.Within; {
	case most < time.Millisecond:
		return "less than 1 ms"
	case t.Within == 0:
		return fmt.Sprintf("%.1f ms", ms(t.Took))
	}
	return fmt.Sprintf("%.1f ± %.1f ms", ms(t.Took), max(math.Ceil(10*ms(t.Within))/10, 0.1))
}

// between is how long nobody had the addresses, and how exact that is: peer says that the peer took them, so that this is what came late, else it was that they were free.
// ok is false when it is not known how late.
func between(free, taken appliance.PairEvent, peer bool) (took, within time.Duration, ok bool) {
	late := free.Late
	least := taken.At.Sub(free.At)
	if peer {
		late = taken.Late
		least -= late
	}
	most := max(least+late, 0)
	least = max(least, 0)
	return (least + most) / 2, (most - least + 1) / 2, late > 0
}

// handed finds the planned switch since a moment in the timeline: what the peer decided comes with its next heartbeats. peer says that the peer took the addresses.
func (p *pair) handed(ctx context.Context, node *ha.Node, since time.Time, peer bool) (appliance.Takeover, error) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		var free, taken appliance.PairEvent
		for _, e := range node.Timeline() {
			switch code := role.Code(e.Code); {
			case e.At.Before(since):
			case code == role.HandsNow || code == role.HandsAtLimit:
				free = e
			case code == role.Given || code == role.Elected || code == role.TookOver || code == role.TookVacant:
				taken = e
			}
		}
		if !free.At.IsZero() && !taken.At.IsZero() {
			took, within, ok := between(free, taken, peer)
			if !ok {
				return appliance.Takeover{}, &appliance.Error{
					Kind: appliance.Unavailable, Op: "drill a failover", Message: "The switch came about, and was not measured: the heartbeat that told of it echoed nothing of this node.",
					Hint: "Run the drill again when both nodes hear each other.",
				}
			}
			return appliance.Takeover{At: taken.At, Planned: true, Took: took, Within: within, Why: taken.Sentence}, nil
		}
		select {
		case <-ctx.Done():
			return appliance.Takeover{}, &appliance.Error{
				Kind: appliance.Unavailable, Op: "drill a failover", Message: "The switch came about, and the other node has not told when it took the addresses.",
				Hint: "The timeline of the pair says what each node has decided.",
			}
		case <-look.C:
		}
	}
}
