package ui

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/problem"
	"evenkeel/ui/view"
)

// pairing remembers for a while how far making or breaking a pair came, and what the last drill measured: the page that is open meanwhile shows it.
type pairing struct {
	mu  sync.Mutex // guards what follows
	now view.Pairing
	at  time.Time
}

const pairingLife = 10 * time.Minute

// begin forgets what was before; with is the other node, in words.
func (s *pairing) begin(with string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.at = view.Pairing{With: with, Goes: true}, now
}

// end says that nothing goes on any more.
func (s *pairing) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Goes = false
}

// report keeps one step of each code, as it is now.
func (s *pairing) report(step appliance.PairStep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := slices.Clone(s.now.Steps)
	if i := slices.IndexFunc(steps, func(known appliance.PairStep) bool { return known.Code == step.Code }); i >= 0 {
		steps[i] = step
	} else {
		steps = append(steps, step)
	}
	s.now.Steps = steps
}

func (s *pairing) drilled(d appliance.PairDrill, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.at = view.Pairing{Drill: &d}, now
}

func (s *pairing) recall(now time.Time) view.Pairing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.at) > pairingLife {
		return view.Pairing{}
	}
	return s.now
}

func (u *UI) reportPairing(step appliance.PairStep) {
	u.pairing.report(step)
	u.live.wake()
}

// typedNode is the form of the new node as it was typed.
func (p *page) typedNode() view.PairForm {
	f := view.PairForm{Address: typed(p, "address"), Port: typed(p, "port"), HostKey: typed(p, "host_key"), Confirmed: p.FormValue("confirmed") == "true"}
	f.Own.Value = typed(p, "own")
	return f
}

// nodeWish reads the form; the errors stand at its fields.
func (p *page) nodeWish(f view.PairForm) (appliance.PairWish, error) {
	w := appliance.PairWish{HostKey: f.HostKey, Password: p.FormValue("password")}
	var wrong appliance.Errors
	at, err := netip.ParseAddr(f.Address)
	if err != nil || at.Zone() != "" {
		wrong = append(wrong, appliance.Refuse("address", "The IP address of the other appliance belongs here, such as 192.168.0.12."))
	}
	port, err := portOfSSH(f.Port)
	if err != nil {
		wrong = append(wrong, appliance.ErrorsOf(err)...)
	}
	if f.Own.Value != "" {
		if w.Own, err = netip.ParseAddr(f.Own.Value); err != nil {
			wrong = append(wrong, appliance.Refuse("own", "Choose one of this appliance's addresses."))
		}
	}
	if len(wrong) > 0 {
		return w, wrong
	}
	w.Address = netip.AddrPortFrom(at.Unmap(), port)
	return w, nil
}

// addNode first shows the other node's host key, and pairs when that was confirmed.
func addNode(p *page) error {
	if p.ui.Pair == nil {
		return noPair()
	}
	typed := p.typedNode()
	w, err := p.nodeWish(typed)
	if err != nil {
		return p.refusedNode(err, typed)
	}
	ctx, cancel := p.lasting()
	defer cancel()
	if typed.HostKey == "" {
		if typed.HostKey, err = p.ui.Pair.PeerKey(ctx, w.Address); err != nil {
			return p.refusedNode(err, typed)
		}
		return p.showConfirmNode(http.StatusOK, typed)
	}
	if !typed.Confirmed {
		return p.refusedNode(appliance.Refuse("confirmed", "Compare the two fingerprints, and say that they are the same."), typed)
	}
	p.ui.pairing.begin(w.Address.Addr().String(), p.ui.Now())
	err = p.ui.Pair.Pair(ctx, p.origin, w, p.ui.reportPairing)
	if p.ui.pairing.end(); err != nil {
		return p.refusedNode(err, typed)
	}
	return p.done(pairPath, "The two appliances are a pair.")
}

// refusedNode shows the form again, in the step where it was, with what was wrong.
func (p *page) refusedNode(err error, f view.PairForm) error {
	if problem.KindOf(err) == appliance.Internal {
		return err
	}
	f.Errors = form.Sort(err, "", known("address", "port", "own", "password", "confirmed"))
	if f.HostKey != "" && f.Errors.Of("address") == "" && f.Errors.Of("port") == "" && f.Errors.Of("own") == "" {
		return p.showConfirmNode(http.StatusUnprocessableEntity, f)
	}
	f.HostKey = ""
	return p.showPair(http.StatusUnprocessableEntity, f)
}

func (p *page) showConfirmNode(status int, f view.PairForm) error {
	if f.Errors != nil {
		f.Pairing = p.ui.pairing.recall(p.ui.Now())
	}
	if f.Pairing.With != f.Address {
		f.Pairing = view.Pairing{}
	}
	frame := p.liveFrame("Add new node", pairPath, url.Values{"on": {"pairing"}, "address": {f.Address}}, p.partsOfPairing(f.Pairing))
	frame.Narrow = true
	return p.show(status, view.PairConfirmPage(frame, f))
}

// pairingParts are the steps of a pairing that goes on with the node of the page.
func (p *page) pairingParts(address string) fragments {
	now := p.ui.pairing.recall(p.ui.Now())
	if now.With != address {
		now = view.Pairing{}
	}
	return p.partsOfPairing(now)
}

func (p *page) partsOfPairing(now view.Pairing) fragments {
	return fragments{"pair-steps": p.ui.drawn(p.ctx(), view.PairSteps(now))}
}

// paired is the pair and its status, for what only a pair can do.
func (p *page) paired() (Pair, appliance.PairStatus, error) {
	if p.ui.Pair == nil {
		return nil, appliance.PairStatus{}, noPair()
	}
	s := p.ui.pairStatus()
	if !s.Paired && !s.Unfinished {
		return nil, s, &appliance.Error{Kind: appliance.Conflict, Message: "This appliance is in no pair."}
	}
	return p.ui.Pair, s, nil
}

// afterwards goes back to a page of the pair and says what came of an action.
func (p *page) afterwards(path string, err error, format string, args ...any) error {
	switch {
	case err == nil:
		return p.done(path, format, args...)
	case problem.KindOf(err) == appliance.Internal:
		return err
	}
	e := appliance.ErrorsOf(err)[0]
	p.say("error", "Not done: %s%s", e.Text(), hinted(e))
	return p.see(path)
}

// askActive says what a planned switch does, before it does it.
func askActive(p *page) error {
	_, s, err := p.paired()
	if err != nil {
		return err
	}
	if p.QueryParam("off") != "" {
		return p.askAlone(s)
	}
	peer := p.QueryParam("node") == "peer"
	to, from := s.Self, s.Peer
	if peer {
		to, from = s.Peer, s.Self
	}
	v := view.Confirm{
		Text: "Make " + to.Name + " Active?", Path: pairPath + "/active", Button: "Make " + to.Name + " Active", Back: pairPath, Hidden: []view.Hidden{{Name: "node", Value: nodeWord(peer)}},
		Facts: append(p.switchFacts(s, peer), to.Name+" takes the floating addresses at once; new connections are not refused.", from.Name+" is Passive then. Nothing switches back by itself unless automatic failback is on."), Warning: switchWarning(s, peer),
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Make Active", pairPath), v))
}

// askAlone says what must be made sure of before this node takes the addresses without its witness.
func (p *page) askAlone(s appliance.PairStatus) error {
	v := view.Confirm{
		Text: "Is " + s.Peer.Name + " off?", Path: pairPath + "/active", Button: s.Peer.Name + " is off: make " + s.Self.Name + " Active", Back: pairPath, Hidden: []view.Hidden{{Name: "off", Value: "true"}},
		Facts: []string{
			s.Self.Name + " takes the floating addresses without an answer of its witness, and serves.",
			"When " + s.Peer.Name + " comes back it hears that the addresses have an owner, and stays Passive.",
		},
		Warning: "Look at " + s.Peer.Name + " first, and pull its plug. If it is only cut off and serves somewhere, both nodes own the addresses until they hear each other.",
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Make Active", pairPath), v))
}

func nodeWord(peer bool) string {
	if peer {
		return "peer"
	}
	return "self"
}

// switchFacts says in numbers what becomes of the connections of the node that hands on.
func (p *page) switchFacts(s appliance.PairStatus, peer bool) []string {
	if !peer {
		return []string{"The TCP sessions of " + s.Peer.Name + " end with FIN; its own page counts them. Their clients connect again and come back to the same servers.", "Requests in flight there are finished first, for at most 5 s."}
	}
	sessions, web := p.openConnections()
	out := []string{"No TCP session is open on this node."}
	if sessions > 0 {
		out[0] = view.Plural(sessions, "open TCP session") + " of this node end with FIN. Their clients connect again and come back to the same servers."
	}
	if web > 0 {
		out = append(out, view.Plural(web, "open connection")+" in HTTP Mode are told to close, by Connection: close or GOAWAY.")
	}
	return append(out, "Requests in flight are finished first, for at most 5 s.")
}

// openConnections counts what is open here: of TCP, and in HTTP Mode.
func (p *page) openConnections() (sessions, web int) {
	running := p.ui.Control.Running().Config.Cluster
	for _, seen := range p.ui.Control.Status().Services {
		switch s := running.Service(seen.ID); {
		case s == nil:
		case s.Protocol == appliance.TCP:
			sessions += seen.Connections
		case s.Protocol == appliance.HTTP:
			web += seen.Connections
		}
	}
	return sessions, web
}

// switchWarning says why the node that shall take over may not serve as well.
func switchWarning(s appliance.PairStatus, peer bool) string {
	var out []string
	to := s.Self
	if peer {
		to = s.Peer
		if !view.Heard(s) {
			out = append(out, to.Name+" is not heard now: the switch will be refused.")
		}
	}
	if !to.Healthy {
		out = append(out, to.Name+" says that it is not well.")
	}
	if !s.Settings.InSync {
		out = append(out, "The settings are not in sync: "+s.Settings.Sentence+".")
	}
	if !s.Table.InSync {
		out = append(out, "The persistence table is not in sync: "+s.Table.Sentence+".")
	}
	return strings.ReplaceAll(strings.Join(out, " "), "..", ".")
}

func makeActive(p *page) error {
	pair, s, err := p.paired()
	if err != nil {
		return p.afterwards(pairPath, err, "")
	}
	ctx, cancel := p.lasting()
	defer cancel()
	if p.FormValue("off") == "true" {
		return p.afterwards(pairPath, pair.ActivateAlone(ctx, p.origin), "%s is Active.", s.Self.Name)
	}
	peer, name := p.FormValue("node") == "peer", s.Self.Name
	if peer {
		name = s.Peer.Name
	}
	return p.afterwards(pairPath, pair.Activate(ctx, p.origin, peer), "%s is Active.", name)
}

func askBreak(p *page) error {
	_, s, err := p.paired()
	if err != nil {
		return err
	}
	if s.Unfinished {
		return p.show(http.StatusOK, view.ConfirmPage(p.frame("Give the pairing up", pairPath), view.Confirm{
			Text: "Give the pairing with " + s.Peer.Name + " up?", Path: pairPath + "/break", Button: "Give the pairing up", Danger: true, Back: pairPath,
			Facts: []string{"This node stays alone, with every service and every address.", "If " + s.Peer.Name + " believes in the pair already, it is told otherwise when it comes; break the pair there."},
		}))
	}
	keeps, leaves := s.Self, s.Peer
	if s.Peer.State == appliance.Active {
		keeps, leaves = s.Peer, s.Self
	}
	v := view.Confirm{
		Text: "Break the clustered pair?", Path: pairPath + "/break", Button: "Break Clustered Pair", Danger: true, Back: pairPath,
		Facts: []string{
			keeps.Name + " keeps every service and every floating address; its connections stay open.",
			leaves.Name + " gives its services up, so that no address ever has two owners; its history keeps them. It is alone then.",
			"The shared keys are destroyed on both. Local Configuration stays as it is on each.",
			"To be paired again, the two need the password and the comparison of the host key again.",
		},
	}
	if !view.Heard(s) {
		v.Warning = s.Peer.Name + " is not heard now. Only this node leaves the pair; the other learns it when it comes back. Keep it switched off if it may still hold the addresses."
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Break Clustered Pair", pairPath), v))
}

func breakPair(p *page) error {
	pair, s, err := p.paired()
	if err != nil {
		return p.afterwards(pairPath, err, "")
	}
	ctx, cancel := p.lasting()
	defer cancel()
	p.ui.pairing.begin(s.Peer.Name, p.ui.Now())
	broken, err := pair.Break(ctx, p.origin, p.ui.reportPairing)
	p.ui.pairing.end()
	return p.afterwards(pairPath, err, "%s", broken.Sentence())
}

func askDrill(p *page) error {
	_, s, err := p.paired()
	if err != nil {
		return err
	}
	peer := s.Self.State == appliance.Active
	v := view.Confirm{
		Text: "Run a failover drill?", Path: pairPath + "/drill", Button: "Run the drill", Back: pairPath,
		Facts:   append([]string{"The floating addresses go to the other node and come back, and both outages are measured."}, p.switchFacts(s, peer)...),
		Warning: switchWarning(s, peer),
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Failover drill", pairPath), v))
}

func drillPair(p *page) error {
	pair, _, err := p.paired()
	if err != nil {
		return p.afterwards(pairPath, err, "")
	}
	ctx, cancel := p.lasting()
	defer cancel()
	d, err := pair.Drill(ctx, p.origin)
	if err == nil {
		p.ui.pairing.drilled(d, p.ui.Now())
	}
	return p.afterwards(pairPath, err, "The drill is done: %s", d.Sentence)
}

// askPrimary says what becomes of a pair whose Primary is gone for good.
func askPrimary(p *page) error {
	_, s, err := p.paired()
	if err != nil {
		return err
	}
	v := view.Confirm{
		Text: "Make this node a Primary?", Path: pairPath + "/primary", Button: "Make Primary", Danger: true, Back: pairPath,
		Facts: []string{
			"The pair with " + s.Peer.Name + " ends: this node is alone then, and keeps every service and every floating address.",
			"It can be the Primary of a new pair, made with Add new node.",
		},
		Warning: "Only for a Primary that is gone for good. If " + s.Peer.Name + " may come back with the addresses, keep it switched off.",
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Make Primary", pairPath), v))
}

// dismissEnd takes back what is said of a pair that the other node broke.
func dismissEnd(p *page) error {
	if p.ui.Pair == nil {
		return noPair()
	}
	return p.afterwards(pairPath, p.ui.Pair.Dismiss(p.ctx(), p.origin), "Dismissed. The timeline of the pair keeps it.")
}

func makePrimary(p *page) error {
	pair, _, err := p.paired()
	if err != nil {
		return p.afterwards(pairPath, err, "")
	}
	ctx, cancel := p.lasting()
	defer cancel()
	return p.afterwards(pairPath, pair.MakePrimary(ctx, p.origin), "This node is alone, and can be the Primary of the next pair.")
}
