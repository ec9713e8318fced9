package engine

import (
	"context"
	"fmt"
	"time"

	"evenkeel/appliance"
)

// The codes of the alerts about what the process has no more of.
const (
	codeMemory      = "memory_limit"
	codeDescriptors = "descriptor_limit"
)

const (
	pressureEvery = 100 * time.Millisecond
	pressureCalm  = 3 * time.Second // how long nothing must be missed until it counts as over
)

// pressure watches what connections hold. At the limit every listener waits, and goes on when a quarter of it is free again; clients stay in the kernel's queue meanwhile.
// Loops count for themselves and publish once a turn, so that watching costs them nothing.
type pressure struct {
	engine   *Engine
	limit    uint64 // bytes; 0: none
	full     bool
	starved  uint64    // times that loops ran out of descriptors, when last looked
	starving time.Time // when one was out of them last; zero: it was told that this is over
}

// watchPressure looks until the context ends.
func (e *Engine) watchPressure(ctx context.Context) {
	p := &pressure{engine: e, limit: uint64(max(0, e.options.Memory))}
	look := time.NewTicker(pressureEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			p.look(now)
		}
	}
}

func (p *pressure) look(now time.Time) {
	var held, starved, waiting uint64
	for _, n := range p.engine.lanes {
		s := n.loop.Stats()
		held, starved, waiting = held+s.Held, starved+s.Starved, waiting+s.Waiting
	}
	if full := p.limit > 0 && (held >= p.limit || p.full && held > p.limit/4*3); full != p.full {
		p.memory(full, held)
	}
	switch {
	case waiting > 0 || starved > p.starved:
		p.starved = starved
		if p.starving.IsZero() {
			p.engine.alert(appliance.Alert{
				Code: codeDescriptors, Severity: appliance.Critical, Sentence: fmt.Sprintf("New clients wait: of the %d files and connections that this process may have open, none is left.", descriptorLimit()),
				Hint: "Raise the limit of open files (LimitNOFILE= in the systemd unit), or lower the maximum connections of the services.",
			})
		}
		p.starving = now
	case !p.starving.IsZero() && now.Sub(p.starving) >= pressureCalm:
		p.starving = time.Time{}
		p.engine.clear(codeDescriptors)
	}
}

// memory tells the loops and the operators.
func (p *pressure) memory(full bool, held uint64) {
	p.full = full
	for _, n := range p.engine.lanes {
		n.loop.Post(func() { n.loop.Overfull(full) })
	}
	if !full {
		p.engine.log.Info("accepting again", "held", held)
		p.engine.clear(codeMemory)
		return
	}
	p.engine.log.Warn("accepting paused, connections hold all the memory that they may", "held", held, "limit", p.limit)
	p.engine.alert(appliance.Alert{
		Code: codeMemory, Severity: appliance.Critical,
		Sentence: fmt.Sprintf("New clients wait: the open connections hold the %d MiB of memory that they may have.", p.limit>>20),
		Hint:     "Give the machine more memory, or lower the maximum connections of the services. It goes on by itself when a quarter of it is free again.",
	})
}

func (e *Engine) alert(a appliance.Alert) {
	if e.options.Alert != nil {
		e.options.Alert(a)
	}
}

func (e *Engine) clear(code string) {
	if e.options.Clear != nil {
		e.options.Clear(code)
	}
}
