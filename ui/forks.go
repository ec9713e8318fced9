package ui

import (
	"net/http"
	"net/url"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

const forkPath = historyPath + "/aside"

// showFork shows what was set aside on this node, and what would change if it ran.
func showFork(p *page) error {
	f, plan, err := p.ui.Control.Fork(p.ctx(), p.Param("fork"))
	if err != nil {
		return err
	}
	v := view.ForkView{Fork: f, Changes: changesOf(plan), May: p.holds(appliance.Administrator)}
	return p.show(http.StatusOK, view.ForkPage(p.asideFrame("Set aside"), v))
}

// asideFrame surrounds what was set aside: it belongs to this node, and is not read-only while the settings are.
func (p *page) asideFrame(title string) view.Frame {
	return p.liveFrame(title, historyPath, url.Values{"on": {"frame"}, "at": {forkPath}}, nil)
}

func keepFork(p *page) error {
	ctx, cancel := p.lasting()
	defer cancel()
	return p.afterwards(historyPath, p.ui.Control.KeepFork(ctx, p.origin, p.Param("fork")), "What was set aside is kept, and the alarm has ended.")
}

func askDiscardFork(p *page) error {
	f, _, err := p.ui.Control.Fork(p.ctx(), p.Param("fork"))
	if err != nil {
		return err
	}
	v := view.Confirm{
		Text: "Discard what was set aside?", Path: forkPath + "/" + f.ID + "/discard", Button: "Discard", Danger: true, Back: forkPath + "/" + f.ID,
		Facts: []string{f.Sentence("this node"), "It is removed from this node for good. What runs stays as it is."},
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.asideFrame("Discard"), v))
}

func discardFork(p *page) error {
	ctx, cancel := p.lasting()
	defer cancel()
	return p.afterwards(historyPath, p.ui.Control.DiscardFork(ctx, p.origin, p.Param("fork")), "What was set aside is discarded.")
}
