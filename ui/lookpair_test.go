package ui

import (
	"context"

	"github.com/chromedp/chromedp"

	"evenkeel/appliance"
)

func somePlan() appliance.Plan {
	return appliance.Plan{Changes: []appliance.Change{
		{Object: "virtual_service", ID: "id004", Label: "HL7", Action: appliance.Changed, Fields: []appliance.FieldChange{{Field: "ports", Name: "Ports", From: "6667", To: "6667,6668"}}},
		{Object: "virtual_service", ID: "id044", Label: "WEB2", Action: appliance.Added},
	}}
}

// showing lets the node be in the pair of s before a page is opened.
func (r *rig) showing(s appliance.PairStatus, open func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		r.ui.Pair.(*pairOf).show(s)
		r.control.SetWriter(func() (bool, string, string) {
			return !s.Paired || s.Self.State == appliance.Active, s.Peer.Name, ""
		})
		return open(ctx)
	}
}

func (r *rig) inPair(s appliance.PairStatus, path string) func(context.Context) error {
	return r.showing(s, r.open(path))
}

// refusedPairing gives the wrong password to the right node.
func (r *rig) refusedPairing(ctx context.Context) error {
	if err := r.typing(pairPath, map[string]string{"#f-address": "192.168.0.12"}, "#add")(ctx); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.Click("#f-confirmed"), chromedp.SendKeys("#f-password", "not this one")); err != nil {
		return err
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Click("#pair-now")); err != nil {
		return err
	}
	return chromedp.Do(ctx, chromedp.WaitReady("main"))
}

// partedLook opens a page of a node whose pair the other one broke.
func (r *rig) partedLook(path string) func(context.Context) error {
	return r.showing(alone(), func(ctx context.Context) error {
		r.control.Raise(parted().Alert())
		return r.open(path)(ctx)
	})
}
