package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// tell tells how a server was chosen.
func (w *account) tell(f *Finding) {
	w.tellRoute(f)
	w.tellMemory(f)
	w.tellCandidates(f)
	w.tellChoice(f)
	w.tellSent(f)
}

// tellRoute tells where a rule leads.
func (w *account) tellRoute(f *Finding) {
	if w.query.Rule == 0 {
		return
	}
	r := w.Program.Routes()[w.query.Rule-1]
	switch {
	case r.Pool != "":
		w.good("rules", "By the rule a server of the pool of %s is chosen.", w.Name(r.Pool))
	case f.Choice.Reason == wire.ByRule:
		w.good("rules", "The rule leads to %s.", w.Name(r.Server))
	default:
		why := "it is gone"
		if i := seatOf(f, r.Server); i >= 0 {
			why = w.state(f, i)
		}
		w.note("rules", "The rule leads to %s, which cannot serve (%s): the others do.", w.Name(r.Server), why)
	}
}

// tellMemory tells what is known of a returning client.
func (w *account) tellMemory(f *Finding) {
	p, m := &f.Config.Persistence, &f.Memory
	if p.Kind == appliance.PersistNone || f.Choice.Reason == wire.ByRule {
		return
	}
	say := func(format string, args ...any) { w.good("persistence", format, args...) }
	if p.Kind.Sealed() {
		switch brought := len(w.query.Cookie) > 0; {
		case !brought:
			say("The client brings no cookie %s.", p.CookieName)
		case !m.Sealed:
			w.note("persistence", "The cookie %s of the client does not count: it is forged, of another service, for a server that is gone, or too old.", p.CookieName)
		}
	}
	switch {
	case m.Named == "" && m.Key != "":
		say("There is no entry for %s.", m.Key)
	case m.Named == "" && !p.Kind.Sealed():
		say("The client shows nothing by which it could be recognised.")
	case m.Named == "":
	default:
		w.tellReturn(f)
	}
}

// tellReturn tells of the server that a client had before.
func (w *account) tellReturn(f *Finding) {
	m := &f.Memory
	by := "The cookie leads to " + w.Name(m.Named)
	if !m.Sealed {
		by = fmt.Sprintf("The entry for %s leads to %s, since %s and for %s more", m.Key, w.Name(m.Named), spell(m.Age), spell(m.Remaining))
		if m.Key == "" {
			by = "The client's route leads to " + w.Name(m.Named)
		}
	}
	i := seatOf(f, m.Named)
	switch {
	case f.Choice.Reason == wire.ByPersistence:
		w.good("persistence", "%s, which serves it again.", by)
	case i < 0:
		w.note("persistence", "%s, which is gone.", by)
	case m.Returns && f.Waits:
		w.note("persistence", "%s, which has as many connections as it may: the client waits for it.", by)
	case m.Returns:
		w.note("persistence", "%s, which has as many connections as it may: another one serves this time.", by)
	default:
		w.note("persistence", "%s, which cannot serve (%s): another one is chosen.", by, w.state(f, i))
	}
}

func spell(d time.Duration) string {
	if d < time.Second {
		return "a moment"
	}
	return d.Round(time.Second).String()
}

func seatOf(f *Finding, id string) int {
	return slices.IndexFunc(f.Config.RealServers, func(r appliance.RealServer) bool { return r.ID == id })
}

// state says how a server is, for a client that comes now.
func (w *account) state(f *Finding, i int) string {
	r, s := &f.Config.RealServers[i], &f.Seats[i]
	switch {
	case r.State == appliance.Halt:
		return "halted by an operator"
	case r.State == appliance.Drain:
		return "drained by an operator: only clients that return are served"
	case !s.Found && s.Health.Sentence != "":
		return "it has no address: " + strings.TrimSuffix(s.Health.Sentence, ".")
	case !s.Found:
		return "its name has no address"
	case s.Held:
		return "kept back by its agent: " + strings.TrimSuffix(s.Agent, ".")
	case s.Down && f.Desperate:
		return fmt.Sprintf("down, but used again because fewer than %d servers are healthy", f.Config.MinimumServers)
	case s.Down && s.Health.Sentence != "":
		return "down: " + strings.TrimSuffix(s.Health.Sentence, ".")
	case s.Down:
		return "down"
	case s.Full:
		return fmt.Sprintf("it has as many connections as it may, %d", r.MaxConnections)
	case r.Weight == 0:
		return "weight 0: only clients that return are served"
	case s.Advised:
		return fmt.Sprintf("takes new clients with %d %% of its weight: %s", s.Percent, strings.TrimSuffix(s.Agent, "."))
	case s.Percent < 100:
		return fmt.Sprintf("it came a moment ago: %d %% of its weight count", s.Percent)
	}
	return "takes new clients"
}

func (w *account) tellCandidates(f *Finding) {
	able, spare := 0, 0
	for i := range f.Config.RealServers {
		r, s := &f.Config.RealServers[i], &f.Seats[i]
		c := appliance.Candidate{
			ID: r.ID, Label: r.Label, State: r.State, Health: s.Health.Health, Weight: r.Weight, Connections: s.Open, Limit: r.MaxConnections, Backup: r.Backup,
			Usable: s.Usable && r.Weight > 0, Sentence: upperFirst(w.state(f, i)) + ".",
		}
		if s.Down {
			c.Health = appliance.Down // by what clients saw, if not by the checks
		}
		switch {
		case c.Usable && r.Backup:
			spare++
		case c.Usable:
			able++
		}
		w.out.Candidates = append(w.out.Candidates, c)
	}
	if f.Choice.Reason == wire.ByPersistence || f.Choice.Reason == wire.ByRule {
		return
	}
	n := len(f.Config.RealServers)
	switch {
	case able > 0:
		w.good("servers", "%d of %d real servers of %s take new clients.", able, n, f.Config.Label)
	case spare > 0:
		w.note("servers", "No real server of %s takes new clients but %d of its backups.", f.Config.Label, spare)
	default:
		w.note("servers", "None of the %d real servers of %s takes new clients.", n, f.Config.Label)
	}
	if f.Desperate {
		w.note("servers", "Fewer than %d servers are healthy: all that are online are used again, whatever their checks say.", f.Config.MinimumServers)
	}
}

func upperFirst(s string) string {
	if s != "" && 'a' <= s[0] && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

func (w *account) tellChoice(f *Finding) {
	c := &f.Choice
	switch {
	case f.Waits:
		w.stop("scheduler", "The client waits in the queue of %s for a free place, behind %d others, for up to %s.", f.Config.Label, f.Ahead, f.Config.Limits.QueueTimeout)
		return
	case !f.Served && w.Service.Protocol == appliance.HTTP:
		w.out.Status, w.out.Sent = 503, ""
		w.stop("scheduler", "No server can serve the client, and there is no fallback: it gets 503.")
		return
	case !f.Served:
		w.stop("scheduler", "No server can serve the client, and there is no fallback: it is turned away.")
		return
	case c.Fallback:
		w.out.By, w.out.Reason, w.out.Address = appliance.ByFallback, "fallback", c.Address
		what := "the fallback server"
		if f.Config.Fallback.Kind == appliance.FallbackPage {
			what = "the appliance's own page"
		}
		w.note("scheduler", "No real server can serve the client: %s at %s does.", what, c.Address)
		w.out.Sentence = fmt.Sprintf("%s is served by %s, because no real server can.", w.client.Addr(), what)
		return
	}
	label := w.Name(c.Server.ID)
	w.out.By, w.out.ServerID, w.out.Server, w.out.Address = appliance.ByServer, c.Server.ID, label, c.Address
	why := ""
	switch c.Reason {
	case wire.ByPersistence:
		w.out.Reason, why = "persistence", "it had that server before"
	case wire.ByRule:
		w.out.Reason, why = "rule", "a rule leads there"
	default:
		w.out.Reason = "scheduler"
		why = w.byScheduler(f)
		w.good("scheduler", "%s is chosen: %s.", label, why)
		w.tellTurns(f)
	}
	w.out.Sentence = fmt.Sprintf("%s is served by %s (%s) of %s: %s.", w.client.Addr(), label, c.Address, f.Config.Label, why)
}

// tellTurns says that it may be another server, when each loop takes turns of its own.
func (w *account) tellTurns(f *Finding) {
	var others []string
	for _, id := range w.out.Possible {
		if id != f.ID() {
			others = append(others, w.Name(id))
		}
	}
	if len(others) > 0 {
		w.note("scheduler", "It may as well be %s: each loop of the appliance takes turns by itself, and the kernel decides which of them gets the client.", strings.Join(others, " or "))
	}
}
