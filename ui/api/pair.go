package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
)

// ClusteredPair is what is observed of the pair, with the fingerprint by which this node is recognised.
type ClusteredPair struct {
	appliance.PairStatus
	HostKey string `json:"host_key"`
}

// Paired is how a pair was made.
type Paired struct {
	Steps  []appliance.PairStep `json:"steps"`
	Status ClusteredPair        `json:"status"`
}

// Parted is how a pair was broken.
type Parted struct {
	Steps    []appliance.PairStep `json:"steps"`
	Keeps    string               `json:"keeps"`
	Untold   string               `json:"untold,omitempty"`
	Sentence string               `json:"sentence"`
}

// ActiveNode says which of the two nodes shall own the floating addresses.
type ActiveNode struct {
	Node      string `json:"node"`
	PeerIsOff bool   `json:"peer_is_off,omitempty"`
}

func (a *API) pairRoutes() []route {
	const admin, viewer = appliance.Administrator, appliance.Viewer
	seen, reason := ClusteredPair{}, []parameter{why()}
	return []route{
		{Method: "GET", Path: "/pair", Role: viewer, Summary: "What is observed of the pair, from this node.", Gives: seen, Status: 200, do: showPair},
		{
			Method: "POST", Path: "/pair", Role: admin, Summary: "Makes this appliance the Primary of a pair. Without host_key the answer is 428 with the key that is to be confirmed, and no password was sent.",
			Query: reason, Takes: appliance.PairWish{}, Gives: Paired{}, Status: 200, do: makePair,
		},
		{Method: "DELETE", Path: "/pair", Role: admin, Summary: "Breaks the pair: the Active node keeps the services and their addresses.", Query: reason, Gives: Parted{}, Status: 200, do: breakPair},
		{Method: "POST", Path: "/pair/active", Role: admin, Summary: "Makes a node the Active one; requests in flight are finished first.", Query: reason, Takes: ActiveNode{}, Gives: seen, Status: 200, do: makeActive},
		{Method: "POST", Path: "/pair/primary", Role: admin, Summary: "Ends the pair of a Secondary whose Primary is gone, so that it can be the Primary of the next one.", Query: reason, Gives: seen, Status: 200, do: pairAction(Pair.MakePrimary)},
		{Method: "POST", Path: "/pair/dismiss", Role: admin, Summary: "Ends what is said of a pair that the other node broke.", Query: reason, Gives: seen, Status: 200, do: pairAction(Pair.Dismiss)},
		{Method: "POST", Path: "/pair/restart-heartbeat", Role: admin, Summary: "Restarts the heartbeat on both nodes.", Query: reason, Gives: seen, Status: 200, do: pairAction(Pair.RestartHeartbeat)},
		{Method: "POST", Path: "/pair/rotate-key", Role: admin, Summary: "Begins to change the heartbeat's key, in three steps.", Query: reason, Gives: seen, Status: 200, do: pairAction(Pair.RotateKey)},
		{Method: "POST", Path: "/pair/drill", Role: admin, Summary: "Switches to the peer and back, and measures both.", Query: reason, Gives: appliance.PairDrill{}, Status: 200, do: drill},
		{Method: "GET", Path: "/pair/timeline", Role: viewer, Summary: "What both nodes decided, the newest first.", Gives: []appliance.PairEvent{}, Status: 200, do: listTimeline},
		{Method: "GET", Path: "/pair/differences", Role: viewer, Summary: "What would change here if this node ran what the peer runs.", Gives: Planned{}, Status: 200, do: showDifferences},
	}
}

func (a *API) clusteredPair() ClusteredPair {
	if a.Pair == nil {
		return ClusteredPair{PairStatus: wholeStatus(appliance.PairStatus{At: time.Now(), Self: appliance.NodeStatus{State: appliance.Alone, Healthy: true, Version: a.Version}, Sentence: appliance.NoPairHere})}
	}
	return ClusteredPair{wholeStatus(a.Pair.Status()), a.Pair.OwnKey()}
}

// wholeStatus writes empty lists as such.
func wholeStatus(s appliance.PairStatus) appliance.PairStatus {
	s.Aside = append([]string{}, s.Aside...)
	s.Paths, s.Limits = append([]appliance.PathStatus{}, s.Paths...), append([]string{}, s.Limits...)
	s.Floating = append([]appliance.FloatingAddress{}, s.Floating...)
	for i := range s.Floating {
		s.Floating[i].Services = append([]string{}, s.Floating[i].Services...)
	}
	if s.Rejected == nil {
		s.Rejected = map[string]uint64{}
	}
	return s
}

// pair is the one that does it, or why there is none.
func (c *call) pair() (Pair, error) {
	if c.api.Pair == nil {
		return nil, &appliance.Error{Kind: appliance.Unsupported, Message: appliance.NoPairHere}
	}
	return c.api.Pair, nil
}

func showPair(c *call) error { return c.give(http.StatusOK, c.api.clusteredPair()) }

// stoppedError is a failure behind which some steps were done.
type stoppedError struct {
	error
	steps []appliance.PairStep
}

// Unwrap returns the failure.
func (e *stoppedError) Unwrap() error { return e.error }

// recorded keeps the steps that are reported: one of each code, as it is now.
func recorded(steps *[]appliance.PairStep) func(appliance.PairStep) {
	return func(s appliance.PairStep) {
		if i := slices.IndexFunc(*steps, func(known appliance.PairStep) bool { return known.Code == s.Code }); i >= 0 {
			(*steps)[i] = s
			return
		}
		*steps = append(*steps, s)
	}
}

func makePair(c *call) error {
	pair, err := c.pair()
	if err != nil {
		return err
	}
	var w appliance.PairWish
	if err := c.decode(&w); err != nil {
		return err
	}
	if !w.Address.IsValid() {
		return appliance.Refuse("address", "An address with the port of SSH belongs here, such as 192.168.0.12:22.")
	}
	ctx, cancel := c.lasting()
	defer cancel()
	if w.HostKey = strings.TrimSpace(w.HostKey); w.HostKey == "" {
		return unconfirmed(ctx, pair, w.Address)
	}
	steps := []appliance.PairStep{}
	if err := pair.Pair(ctx, c.origin, w, recorded(&steps)); err != nil {
		return &stoppedError{err, steps}
	}
	return c.give(http.StatusOK, Paired{steps, c.api.clusteredPair()})
}

// unconfirmed refuses to send a password to a node that nobody recognised.
func unconfirmed(ctx context.Context, pair Pair, at netip.AddrPort) error {
	key, err := pair.PeerKey(ctx, at)
	if err != nil {
		return err
	}
	e := appliance.Refuse("host_key", "The host key of %s is %s. Nothing was sent to it yet.", at, key)
	e.Hint = "Compare it with the one that the other appliance shows on its page High-Availability Configuration and by lb pair; send it as host_key when they are the same."
	return &statusError{status: http.StatusPreconditionRequired, err: e, hostKey: key}
}

func breakPair(c *call) error {
	pair, err := c.pair()
	if err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	steps := []appliance.PairStep{}
	done, err := pair.Break(ctx, c.origin, recorded(&steps))
	if err != nil {
		return &stoppedError{err, steps}
	}
	return c.give(http.StatusOK, Parted{steps, done.Keeps, done.Untold, done.Sentence()})
}

func makeActive(c *call) error {
	pair, err := c.pair()
	if err != nil {
		return err
	}
	var want ActiveNode
	if err := c.decode(&want); err != nil {
		return err
	}
	if want.Node != "self" && want.Node != "peer" {
		return appliance.Refuse("node", "The node is self, the one that is asked, or peer, the other one.")
	}
	ctx, cancel := c.lasting()
	defer cancel()
	switch {
	case want.PeerIsOff && want.Node == "peer":
		return appliance.Refuse("peer_is_off", "A node that is off cannot be the Active one.")
	case want.PeerIsOff:
		err = pair.ActivateAlone(ctx, c.origin)
	default:
		err = pair.Activate(ctx, c.origin, want.Node == "peer")
	}
	if err != nil {
		return err
	}
	return showPair(c)
}

// pairAction does what takes nothing, and answers how the pair is then.
func pairAction(do func(Pair, context.Context, appliance.Origin) error) func(*call) error {
	return func(c *call) error {
		pair, err := c.pair()
		if err != nil {
			return err
		}
		ctx, cancel := c.lasting()
		defer cancel()
		if err := do(pair, ctx, c.origin); err != nil {
			return err
		}
		return showPair(c)
	}
}

func drill(c *call) error {
	pair, err := c.pair()
	if err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	done, err := pair.Drill(ctx, c.origin)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, done)
}

func listTimeline(c *call) error {
	events := []appliance.PairEvent{}
	if c.api.Pair != nil {
		events = append(events, c.api.Pair.Timeline()...)
	}
	return c.give(http.StatusOK, events)
}

func showDifferences(c *call) error {
	pair, err := c.pair()
	if err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	plan, err := pair.Differences(ctx)
	if err != nil {
		return err
	}
	now := pair.Status()
	return c.give(http.StatusOK, planned(now.Self.Revision, now.Peer.Revision, plan))
}
