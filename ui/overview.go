package ui

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// choice is what the overview shows, and how.
type choice struct {
	show, sort, query string
	descending        bool
	from              int // rows skipped
}

const rowsOnPage = 100

func readChoice(q url.Values) choice {
	c := choice{show: q.Get("show"), sort: q.Get("sort"), query: strings.TrimSpace(q.Get("q")), descending: q.Get("dir") == "desc"}
	if !slices.Contains([]string{"layer4", "layer7", "problems"}, c.show) {
		c.show = ""
	}
	if !slices.Contains([]string{"state", "label", "ip", "ports", "conns", "protocol"}, c.sort) {
		c.sort, c.descending = "", false
	}
	if len(c.query) > 200 {
		c.query = c.query[:200]
	}
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n > 0 && n <= appliance.MaxServices {
		c.from = n / rowsOnPage * rowsOnPage
	}
	return c
}

func (c choice) values() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"show": c.show, "sort": c.sort, "q": c.query} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if c.descending {
		q.Set("dir", "desc")
	}
	if c.from > 0 {
		q.Set("from", strconv.Itoa(c.from))
	}
	return q
}

func (c choice) path() string {
	if q := c.values().Encode(); q != "" {
		return "/lbadmin/?" + q
	}
	return "/lbadmin/"
}

func overview(p *page) error {
	c := readChoice(p.QueryParams())
	if p.exporting() {
		return p.export(p.overviewList(c))
	}
	o := p.overview(c)
	topic := c.values()
	topic.Set("on", "overview")
	f := p.liveFrame("System Overview", "/lbadmin/", topic, p.overviewParts(o))
	if o.Total == 0 && p.may(appliance.Administrator) && !welcomed(p) {
		f.Said = append(f.Said, view.Message{
			Kind: "information", Text: "Run the Setup Wizard?", Hint: "It creates the virtual services of an imaging system, or an empty one, and checks the servers when you ask it to.",
			Action: "Accept", Path: "/lbadmin/wizard", Dismiss: "/lbadmin/welcome",
		})
	}
	return p.show(http.StatusOK, view.OverviewPage(f, o))
}

// listed is a service as the overview knows it: configured, and observed when it runs.
type listed struct {
	config appliance.VirtualService
	seen   appliance.ServiceStatus
	runs   bool
}

func (l *listed) problem() bool {
	return l.runs && l.seen.Health != appliance.ServiceUp && l.seen.Health != appliance.ServiceUnknown
}

// services returns what runs, then what is only saved.
func (p *page) services() []listed {
	running, saved, status := p.ui.Control.Running(), p.ui.Control.Saved(), p.ui.Control.Status()
	list := make([]listed, 0, len(running.Config.Cluster.VirtualServices))
	for _, s := range running.Config.Cluster.VirtualServices {
		seen, _ := status.Service(s.ID)
		list = append(list, listed{s, seen, true})
	}
	for _, s := range saved.Config.Cluster.VirtualServices {
		if running.Config.Cluster.Service(s.ID) == nil {
			list = append(list, listed{s, appliance.ServiceStatus{}, false})
		}
	}
	return list
}

func (p *page) overview(c choice) view.Overview {
	all := p.services()
	o := view.Overview{Strip: p.strip(all), Total: len(all), Act: p.may(appliance.OperatorRole), Edit: p.may(appliance.Administrator), Filter: c.query}
	o.Tabs, o.Heads = tabs(c, all), heads(c)
	kept := c
	kept.query, kept.from = "", 0
	for _, name := range slices.Sorted(maps.Keys(kept.values())) {
		o.Hidden = append(o.Hidden, struct{ Name, Value string }{name, kept.values().Get(name)})
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(l listed) bool { return !c.holds(&l) })
	slices.SortStableFunc(chosen, c.compare)
	o.Matching = len(chosen)
	chosen = chosen[min(c.from, len(chosen)):]
	chosen = chosen[:min(rowsOnPage, len(chosen))]
	o.Earlier, o.Later = c.pages(len(chosen), o.Matching)
	o.First = c.from + 1
	saved := p.ui.Control.Saved().Config.Cluster
	for i := range chosen {
		o.Rows = append(o.Rows, p.serviceRow(&chosen[i], saved.Service(chosen[i].config.ID), len(all) <= 8))
	}
	return o
}

func (c choice) pages(shown, matching int) (earlier, later string) {
	at := c.from
	if at > 0 {
		c.from = max(0, at-rowsOnPage)
		earlier = c.path()
	}
	if at+shown < matching {
		c.from = at + rowsOnPage
		later = c.path()
	}
	return earlier, later
}

func (c choice) holds(l *listed) bool {
	switch {
	case c.show == "layer4" && l.config.Layer != 4, c.show == "layer7" && l.config.Layer != 7, c.show == "problems" && !l.problem():
		return false
	}
	text := strings.ToLower(searchText(&l.config))
	for word := range strings.FieldsSeq(strings.ToLower(c.query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func searchText(s *appliance.VirtualService) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s", s.Label, s.Address, s.Ports, s.Protocol)
	for _, r := range s.RealServers {
		fmt.Fprintf(&b, " %s %s", r.Label, r.Address)
	}
	return b.String()
}

func (c choice) compare(a, b listed) int {
	n := 0
	switch c.sort {
	case "state":
		n = cmp.Compare(urgency(a), urgency(b))
	case "ip":
		n = a.config.Address.Compare(b.config.Address)
	case "ports":
		n = slices.CompareFunc(a.config.Ports, b.config.Ports, func(x, y appliance.PortRange) int { return cmp.Compare(x.First, y.First) })
	case "conns":
		n = cmp.Compare(a.seen.Connections, b.seen.Connections)
	case "protocol":
		n = cmp.Compare(a.config.Protocol, b.config.Protocol)
	}
	n = cmp.Or(n, cmp.Compare(strings.ToLower(a.config.Label), strings.ToLower(b.config.Label)))
	if c.descending {
		return -n
	}
	return n
}

// urgency puts what needs somebody first.
func urgency(l listed) int {
	order := []appliance.ServiceHealth{
		appliance.ServiceDown, appliance.ServiceFallback, appliance.ServiceDegraded, appliance.ServiceDrained, appliance.ServiceUnknown, appliance.ServiceUp,
	}
	if !l.runs {
		return len(order)
	}
	return slices.Index(order, l.seen.Health)
}

func tabs(c choice, all []listed) []view.Tab {
	counts := map[string]int{"": len(all)}
	for i := range all {
		counts[fmt.Sprintf("layer%d", all[i].config.Layer)]++
		if all[i].problem() {
			counts["problems"]++
		}
	}
	var out []view.Tab
	for _, t := range []struct{ show, name string }{{"", "All"}, {"layer4", "Layer 4"}, {"layer7", "Layer 7"}, {"problems", "Problems"}} {
		to := c
		to.show, to.from = t.show, 0
		out = append(out, view.Tab{Name: t.name, Path: to.path(), Count: counts[t.show], On: c.show == t.show})
	}
	return out
}

func heads(c choice) []view.Head {
	list := []struct{ name, class, sort string }{
		{"State", "c-state", "state"},
		{"VIRTUAL SERVICE", "c-name", "label"},
		{"IP", "c-ip", "ip"},
		{"PORTS", "c-ports", "ports"},
		{"CONNS", "c-conns num", "conns"},
		{"PROTOCOL", "c-proto", "protocol"},
		{"METHOD", "c-method", ""},
		{"MODE", "c-mode", ""},
		{"RECENT", "c-chart", ""},
		{"", "c-acts", ""},
	}
	out := make([]view.Head, len(list))
	for i, h := range list {
		out[i] = view.Head{Name: strings.ToUpper(h.name), Class: h.class}
		if h.sort == "" {
			continue
		}
		to := c
		to.sort, to.descending, to.from = h.sort, h.sort == "conns", 0
		if c.sort == h.sort {
			to.descending = !c.descending
			out[i].Sorted = "ascending"
			if c.descending {
				out[i].Sorted = "descending"
			}
		}
		out[i].Path = to.path()
	}
	return out
}

// strip returns the figures and their graphs.
func (p *page) strip(all []listed) view.Strip {
	f := p.ui.samples.figures()
	open, known := 0, map[string]int{}
	for i := range all {
		open += all[i].seen.Connections
		if all[i].runs {
			known[view.ServiceState(all[i].seen.Health).Key]++
		}
	}
	s := view.Strip{
		Connections: view.Number(open), ConnectionsNote: rate(last(f.opened)),
		ThroughputChart:  view.NewChart(f.throughput, wholeSamples, 240, 36, 1e6, "throughput of the last hour"),
		ConnectionsChart: view.NewChart(f.connections, wholeSamples, 240, 36, 10, "open connections of the last hour"),
		CPUChart:         view.NewChart(f.cpu, wholeSamples, 240, 36, 1, "processor load of the last hour"),
	}
	s.Throughput, s.ThroughputUnit = view.Bits(last(f.throughput))
	if top, unit := view.Bits(highest(f.throughput)); highest(f.throughput) > 0 {
		s.ThroughputNote = "peak " + top + " " + unit
	}
	if f.known {
		s.Machine = true
		s.CPU = strconv.Itoa(int(f.machine.CPU*100 + 0.5))
		s.Memory = usedOf(f.machine.MemoryUsed, f.machine.MemoryTotal)
		s.Disk = "disk " + percent(f.machine.DiskUsed, f.machine.DiskTotal)
	}
	s.Services, s.Bar = tallies(known)
	return s
}

func rate(perSecond float64) string {
	if perSecond > 0 && perSecond < 9.95 {
		return fmt.Sprintf("%.1f/s new", perSecond)
	}
	return fmt.Sprintf("%.0f/s new", perSecond)
}

func highest(list []float64) float64 {
	top := 0.0
	for _, v := range list {
		top = max(top, v)
	}
	return top
}

func usedOf(used, total uint64) string {
	a, b := float64(used)/(1<<30), float64(total)/(1<<30)
	if b >= 10 {
		return fmt.Sprintf("%.0f of %.0f GB", a, b)
	}
	return fmt.Sprintf("%.1f of %.0f GB", a, b)
}

func percent(used, total uint64) string {
	if total == 0 {
		return "?"
	}
	return fmt.Sprintf("%d %%", used*100/total)
}

func tallies(counts map[string]int) ([]view.Tally, []view.Share) {
	var list []view.Tally
	var parts []view.Part
	for _, h := range []appliance.ServiceHealth{
		appliance.ServiceUp, appliance.ServiceDegraded, appliance.ServiceDrained, appliance.ServiceFallback, appliance.ServiceDown, appliance.ServiceUnknown,
	} {
		state := view.ServiceState(h)
		if n := counts[state.Key]; n > 0 {
			list = append(list, view.Tally{State: state, Count: n})
			parts = append(parts, view.Part{Class: state.Key, N: n})
		}
	}
	return list, view.Shares(240, parts...)
}

const wholeOverview = "overview"

// insideOverview tells whether a live element stands inside the table, and so comes anew with it.
func insideOverview(name string) bool {
	return strings.HasPrefix(name, "vs-") || strings.HasPrefix(name, "rs-")
}

// overviewParts are the live elements of the overview: each cell that can change, and the whole table for when its shape does.
func (p *page) overviewParts(o view.Overview) fragments {
	u, ctx := p.ui, p.ctx()
	out := fragments{
		"strip": u.drawn(ctx, view.StripView(o.Strip)), "tabs": u.drawn(ctx, view.Tabs(o.Tabs)),
		wholeOverview: u.keyed(ctx, o.Shape(), view.OverviewTable(o)),
	}
	for i := range o.Rows {
		for name, cell := range o.Rows[i].Cells() {
			out[name] = u.drawn(ctx, cell)
		}
	}
	return out
}

const welcomeCookie = "evenkeel-welcome"

func welcomed(p *page) bool {
	c, err := p.Cookie(welcomeCookie)
	return err == nil && c.Value != ""
}

// dismissWelcome remembers in the browser that the wizard was not wanted; it stays in the menu.
func dismissWelcome(p *page) error {
	p.SetCookie(&http.Cookie{Name: welcomeCookie, Value: "dismissed", Path: "/lbadmin/", MaxAge: int((365 * 24 * time.Hour).Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return p.see("/lbadmin/")
}
