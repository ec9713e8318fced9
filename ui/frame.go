package ui

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/signin"
	"evenkeel/ui/view"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// frame returns what surrounds a page that is still but for what stands above it; path is its place in the menu.
func (p *page) frame(title, path string) view.Frame {
	return p.liveFrame(title, path, url.Values{"on": {"frame"}}, nil)
}

// liveFrame is frame for a page with live parts: topic says which, and "at" in it where the page stands if the menu has no place for it; parts holds them as the page shows them.
func (p *page) liveFrame(title, path string, topic url.Values, parts fragments) view.Frame {
	u := p.ui
	running, saved := u.Control.Running(), u.Control.Saved()
	f := view.Frame{
		Title: title, Product: Product, Version: u.Version, Hostname: u.hostname(), Operator: p.operator.Name, Role: p.operator.Role,
		Theme: theme(p), Path: p.Request().URL.RequestURI(), Menu: menu(path, p.may(appliance.Administrator)),
		Running: running.Revision.Number, Saved: saved.Revision.Number, At: u.Now(), Assets: u.addresses(),
	}
	if p.Request().Method != "GET" {
		f.Path = path
	}
	if !topic.Has("at") {
		topic.Set("at", path)
	}
	f.Standing, f.Pair = p.standing(topic), u.pairChip()
	f.Said = u.said.take(signin.SessionID(p.Request()))
	seen := fragments{}
	seen.add(p.frameParts(topic))
	seen.add(parts)
	f.Events = u.live.address(topic, seen)
	return f
}

func (u *UI) addresses() view.Assets {
	return view.Assets{Style: u.assets.Address("app.css"), Script: u.assets.Address("app.js"), Icon: u.assets.Address("icon.svg")}
}

// menu lists the pages; those that only somebody who may change the services can open are left out for everybody else.
func menu(path string, admin bool) []view.MenuGroup {
	type entries = []view.MenuEntry
	cluster := entries{{Name: "Layer 7 – Virtual Services", Path: "/lbadmin/layer7"}, {Name: "SSL Certificates", Path: "/lbadmin/certificates"}, {Name: "Health Check Scripts", Path: "/lbadmin/scripts"}, {Name: "High-Availability", Path: pairPath}, {Name: "Heartbeat", Path: heartbeatPath}, {Name: "Floating IPs", Path: floatingPath}, {Name: "Layer 7 – Advanced", Path: "/lbadmin/advanced"}}
	if admin {
		cluster = append(entries{{Name: "Setup Wizard", Path: "/lbadmin/wizard"}}, cluster...)
	}
	list := []view.MenuGroup{
		{Icon: "overview", Name: "System Overview", Path: "/lbadmin/"},
		{Icon: "local", Name: "Local Configuration", Entries: entries{{Name: "Hostname", Path: "/lbadmin/local"}, {Name: "Traffic log", Path: trafficLogPath}}},
		{Icon: "cluster", Name: "Cluster Configuration", Entries: cluster},
		{Icon: "maintenance", Name: "Maintenance", Entries: entries{{Name: "Passwords", Path: "/lbadmin/passwords"}, {Name: "Fallback Page", Path: fallbackPath}}},
		{Icon: "view", Name: "View Configuration", Entries: entries{{Name: "Running and saved", Path: "/lbadmin/configuration"}, {Name: "History", Path: "/lbadmin/history"}}},
		{Icon: "reports", Name: "Reports", Entries: entries{{Name: "Layer 7 status", Path: layer7StatusPath}, {Name: "Current connections", Path: connectionsPath}, {Name: "Persistence table", Path: persistencePath}, {Name: "Graphs", Path: graphsPath}, {Name: "Availability", Path: availabilityPath}, {Name: "Health changes", Path: healthChangesPath}, {Name: "Explain", Path: explainPath}, {Name: "Audit", Path: "/lbadmin/reports/audit"}}},
		{Icon: "logs", Name: "Logs", Entries: entries{{Name: "Layer 7", Path: logsPath}}},
	}
	for i := range list {
		list[i].On = list[i].Path != "" && list[i].Path == path
		for j := range list[i].Entries {
			list[i].Entries[j].On = list[i].Entries[j].Path == path
		}
	}
	return list
}

// standing is what stands above every page until its cause is gone: the Commit box, except where it is the page itself, and the alerts.
func (p *page) standing(topic url.Values) view.Standing {
	s := view.Standing{Passive: p.passive(topic.Get("at"))}
	if topic.Get("on") != "review" {
		s.Commit = p.commitBox()
	}
	for _, a := range p.ui.Control.Alerts() {
		m := view.Message{Kind: string(a.Severity), Text: a.Sentence, Hint: a.Hint}
		if a.Code == appliance.CodePairEnded && p.may(appliance.Administrator) {
			m.Dismiss = pairPath + "/dismiss"
		}
		s.Alerts = append(s.Alerts, m)
	}
	return s
}

func (p *page) commitBox() *view.CommitBox {
	u := p.ui
	plan, saved := u.Control.Pending(), u.Control.Saved()
	if plan.Empty() {
		return nil
	}
	may, elsewhere := p.holds(appliance.Administrator), false
	if u.Control.Writable() != nil { // only its own part is applied here
		if own := ownPart(plan); own.Empty() {
			may, elsewhere = false, true
		} else {
			plan = own
		}
	}
	status := u.Control.Status()
	newest := saved.Revision
	if saved.LocalRevision.At.After(newest.At) {
		newest = saved.LocalRevision
	}
	box := &view.CommitBox{Count: plan.Count(), Summary: plan.Summary(), By: newest.Origin.Operator, At: newest.At, May: may}
	if box.Effect, box.Ends = effectOf(plan, status); elsewhere {
		box.Effect, box.Ends = "Applied on the Active node.", false
	}
	if newest.Outcome == appliance.Failed {
		box.Failed = strings.TrimSuffix(newest.Reason, ".") + "."
	}
	return box
}

// ownPart is what a plan changes of this node alone.
func ownPart(plan appliance.Plan) appliance.Plan {
	return appliance.Plan{Changes: slices.DeleteFunc(slices.Clone(plan.Changes), func(c appliance.Change) bool { return c.Object != "local" })}
}

// effectOf says in numbers what applying a plan does to the connections that are open now.
func effectOf(plan appliance.Plan, status appliance.Status) (string, bool) {
	total, ends, drains := 0, 0, 0
	for i := range status.Services {
		total += status.Services[i].Connections
	}
	var ended []string
	whole := map[string]bool{}
	for _, c := range plan.Changes {
		if c.Object == "virtual_service" && c.Effect == appliance.Ends {
			whole[c.ID] = true
			ends += concerned(c, status)
			ended = append(ended, c.Label)
		}
	}
	for _, c := range plan.Changes {
		if c.Object != "real_server" || whole[c.Service] {
			continue
		}
		switch c.Effect {
		case appliance.Ends:
			ends += concerned(c, status)
			ended = append(ended, c.Of+" on "+c.Label)
		case appliance.Drains:
			drains += concerned(c, status)
		}
	}
	return effectSentence(total, ends, drains, ended), ends > 0
}

// concerned returns how many open connections belong to the object of a change.
func concerned(c appliance.Change, status appliance.Status) int {
	if c.Object == "virtual_service" {
		s, _ := status.Service(c.ID)
		return s.Connections
	}
	s, _ := status.Service(c.Service)
	r, _ := s.Server(c.ID)
	return r.Connections
}

func effectSentence(total, ends, drains int, ended []string) string {
	slices.Sort(ended)
	list := strings.Join(slices.Compact(ended), ", ")
	switch {
	case ends > 0 && ends < total:
		return fmt.Sprintf("Applying ends %s (%s); the other %s stay.", view.Plural(ends, "connection"), list, view.Number(total-ends))
	case ends > 0:
		return fmt.Sprintf("Applying ends %s (%s).", view.Plural(ends, "connection"), list)
	case len(ended) > 0 && total == 0:
		return fmt.Sprintf("Applying ends the connections of %s; none is open now.", list)
	case len(ended) > 0:
		return fmt.Sprintf("Applying ends the connections of %s; none is open now. %s", list, keeps(total))
	case drains > 0:
		return fmt.Sprintf("%s %s on servers that get no new clients.", keeps(total), belong(drains))
	}
	return keeps(total)
}

func keeps(total int) string {
	switch total {
	case 0:
		return "No connection is open now."
	case 1:
		return "Applying keeps the one open connection."
	}
	return fmt.Sprintf("Applying keeps all %s connections.", view.Number(total))
}

func belong(n int) string {
	if n == 1 {
		return "1 of them is"
	}
	return view.Number(n) + " of them are"
}
