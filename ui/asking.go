package ui

import (
	"context"
	"sync"
	"time"

	"evenkeel/appliance"
)

// asked is a server that shall answer now.
type asked struct{ service, server string }

const (
	askWithin  = 8 * time.Second
	askAtOnce  = 16
	mostAnswer = 64 // servers of one form that are asked
)

// askAll probes servers of a configuration that need not run, a few at the same time, and returns their answers in order.
func (p *page) askAll(config appliance.Config, list []asked) []answer {
	ctx, cancel := context.WithTimeout(p.ctx(), askWithin)
	defer cancel()
	out := make([]answer, len(list))
	places := make(chan struct{}, askAtOnce)
	var all sync.WaitGroup
	for i, a := range list {
		if i >= mostAnswer {
			out[i] = answer{note: "not asked: too many at once"}
			continue
		}
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			out[i] = p.ask(ctx, config, a)
		})
	}
	all.Wait()
	return out
}

func (p *page) ask(ctx context.Context, config appliance.Config, a asked) answer {
	probe, _, err := p.ui.Engine.Test(ctx, config, a.service, a.server)
	if err != nil {
		return answer{note: appliance.ErrorsOf(err)[0].Text()}
	}
	return answer{probe: &probe}
}
