package ui

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/api"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	pairPath     = "/lbadmin/pair"
	timelinePath = pairPath + "/timeline"
)

// Pair is the pair that this node can be in: pages and API ask the same of it. Its observations are read every second by each open page: they must not wait.
type Pair = api.Pair

// pairStatus is what is observed; without a pair that could be made, why.
func (u *UI) pairStatus() appliance.PairStatus {
	if u.Pair == nil {
		return appliance.PairStatus{At: u.Now(), Self: appliance.NodeStatus{State: appliance.Alone}, Sentence: appliance.NoPairHere}
	}
	return u.Pair.Status()
}

// pairChip is the pair in a few words, for the header of every page.
func (u *UI) pairChip() view.PairChip {
	s := u.pairStatus()
	return view.PairChip{Paired: s.Paired, Role: s.Self.Role, State: s.Self.State, Peer: s.Peer, Heard: view.Heard(s), InSync: s.Settings.InSync, Pending: s.Settings.Pending, Sync: s.Settings.Sentence, Sentence: s.Sentence}
}

// sharedPlace is the part of the menu that a page of what both nodes of a pair have in common belongs to; empty: it is none.
func sharedPlace(path string) string {
	for _, prefix := range []string{layer7, certificatesPath, scriptsPath, wizardPath, advancedPath, fallbackPath, heartbeatPath, "/lbadmin/commit", historyPath, passwordsPath} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return prefix
		}
	}
	return ""
}

// shared are the pages of what both nodes of a pair have in common.
func shared(path string) bool { return sharedPlace(path) != "" }

// place is where a request that was refused can be made on the other node: at the same page, or for a form in the same part of the menu.
func (p *page) place() string {
	path := p.Request().URL.Path
	if p.Request().Method != http.MethodGet {
		path = sharedPlace(path)
	}
	if !shared(path) {
		return "/lbadmin/"
	}
	return path
}

// passive says on the pages of what is shared that it is changed elsewhere, and on the overview whose figures it shows.
func (p *page) passive(path string) *view.Passive {
	overview := path == "/lbadmin/"
	if !overview && !shared(path) || p.ui.Control.Writable() == nil {
		return nil
	}
	s, aside := p.ui.pairStatus(), path == forkPath
	if aside {
		path = historyPath
	}
	out := &view.Passive{Text: "Read-only here while this node is not Active. " + s.Sentence}
	if s.Paired && s.Peer.Address.IsValid() && (s.Peer.State == appliance.Active || s.Peer.State == appliance.HandingOn) {
		out.Name, out.Link = cmp.Or(s.Peer.Name, s.Peer.Address.String()), p.ui.onPeer(s, path)
		out.Text = "Read-only here: this node is Passive. The settings of the pair are changed on the Active node, " + out.Name + "; " + editable(path)
	}
	switch {
	case aside:
		out.Text = "This node is " + notActive(out.Link) + ". What was set aside is its own: it is kept or discarded here, while the settings of the pair are changed on the Active node."
	case overview:
		out.Text = "This node is not Active: what is counted here is its own. Clients are served by the Active node, where real servers are drained, halted and weighed, too."
	}
	return out
}

// notActive is what a node is in words, with the address of the active one if it is known.
func notActive(link string) string {
	if link == "" {
		return "not Active"
	}
	return "Passive"
}

// editable says what can be changed on a passive node, as far as its page is concerned.
func editable(path string) string {
	switch sharedPlace(path) {
	case heartbeatPath:
		return "the heartbeat can be restarted, and its key changed, from either node."
	case passwordsPath:
		return "sessions and API tokens are this node's own."
	}
	return "Local Configuration stays editable."
}

// onPeer is where a page is on the other node.
func (u *UI) onPeer(s appliance.PairStatus, path string) string {
	return (&url.URL{Scheme: "https", Host: netip.AddrPortFrom(s.Peer.Address.WithZone(""), appliance.PortWebUI).String(), Path: path}).String()
}

func pairPage(p *page) error { return p.showPair(http.StatusOK, view.PairForm{}) }

// showPair draws the page; a form that was refused keeps what was typed.
func (p *page) showPair(status int, typed view.PairForm) error {
	v := p.pairView()
	typed.Own.Options = p.ownAddresses()
	v.Form = typed
	f := p.liveFrame("High-Availability Configuration", pairPath, url.Values{"on": {"pair"}}, p.partsOfPair(v))
	return p.show(status, view.PairPage(f, v))
}

func (p *page) pairView() view.Pair {
	v := view.Pair{PairStatus: p.ui.pairStatus(), Possible: p.ui.Pair != nil, Edit: p.holds(appliance.Administrator), Product: Product}
	if p.ui.Pair != nil {
		v.Key = p.ui.Pair.OwnKey()
		v.Events = p.ui.Pair.Timeline()
	}
	v.EventCount = len(v.Events)
	v.Events = v.Events[:min(len(v.Events), 8)]
	v.Pairing = p.ui.pairing.recall(p.ui.Now())
	if v.Pairing.Made() && !v.Paired { // the other node has ended the pair meanwhile
		v.Pairing = view.Pairing{}
	}
	return v
}

func (p *page) pairParts() fragments { return p.partsOfPair(p.pairView()) }

func (p *page) partsOfPair(v view.Pair) fragments {
	return fragments{"pair-body": p.ui.drawn(p.ctx(), view.PairBody(v)), "pair-latest": p.ui.drawn(p.ctx(), view.PairLatest(v))}
}

// ownAddresses are those by which the peer may find this node: none of them floats.
func (p *page) ownAddresses() []form.Option {
	out := []form.Option{{Value: "", Name: "the one of the connection"}}
	saved := p.ui.Control.Saved().Config.Cluster
	if p.ui.Addresses == nil {
		return out
	}
	for _, a := range p.ui.Addresses() {
		if a.IsGlobalUnicast() && !slices.ContainsFunc(saved.VirtualServices, func(s appliance.VirtualService) bool { return s.Address == a }) {
			out = append(out, form.Option{Value: a.String(), Name: a.String()})
		}
	}
	return out
}

// pairDifferences shows what would change here if this node ran what the peer runs.
func pairDifferences(p *page) error {
	if p.ui.Pair == nil {
		return noPair()
	}
	plan, err := p.ui.Pair.Differences(p.ctx())
	if err != nil {
		return err
	}
	v := view.PairDifferences{Status: p.ui.pairStatus()}
	for _, c := range plan.Changes {
		v.Changes = append(v.Changes, view.Change{Change: c})
	}
	return p.show(http.StatusOK, view.PairDifferencesPage(p.frame("Differences to the peer", pairPath), v))
}

func noPair() error {
	return &appliance.Error{Kind: appliance.Unsupported, Message: appliance.NoPairHere}
}

// pairTimeline lists every decision of both nodes.
func pairTimeline(p *page) error {
	var events []appliance.PairEvent
	if p.ui.Pair != nil {
		events = p.ui.Pair.Timeline()
	}
	r := readReport(timelinePath, p.QueryParams(), nil)
	node := p.QueryParam("node")
	v := view.PairTimeline{Query: r.query, Node: node}
	for _, e := range events {
		if !slices.Contains(v.Nodes, e.Node) {
			v.Nodes = append(v.Nodes, e.Node)
		}
	}
	slices.Sort(v.Nodes)
	words := strings.Fields(strings.ToLower(r.query))
	events = slices.DeleteFunc(slices.Clone(events), func(e appliance.PairEvent) bool {
		text := strings.ToLower(e.Node + " " + e.Code + " " + e.Sentence)
		return node != "" && e.Node != node || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	})
	if p.exporting() {
		out := list{name: "pair-timeline", columns: []string{"at", "node", "code", "sentence"}}
		for _, e := range events[:min(len(events), mostExported)] {
			out.add(e.At.UTC().Format("2006-01-02T15:04:05.000Z07:00"), e.Node, e.Code, e.Sentence)
		}
		return p.export(out)
	}
	v.Total = len(events)
	from := min(r.from, len(events))
	v.Events = events[from:min(from+rowsOnPage, len(events))]
	v.Pager = r.pager(len(v.Events), v.Total)
	for _, link := range []*string{&v.Pager.Earlier, &v.Pager.Later} {
		if *link != "" && node != "" {
			*link += "&node=" + url.QueryEscape(node)
		}
	}
	return p.show(http.StatusOK, view.PairTimelinePage(p.frame("Timeline of the pair", pairPath), v))
}

// portOfSSH reads the port of the form; empty is the usual one.
func portOfSSH(text string) (uint16, error) {
	if text == "" {
		return appliance.PortSSH, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, appliance.Refuse("port", "A port is a number from 1 to 65535.")
	}
	return uint16(n), nil
}
