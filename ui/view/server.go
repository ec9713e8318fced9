package view

import (
	"strings"
	"time"

	"evenkeel/appliance"
)

// Server is the page of one real server.
type Server struct {
	Row         ServerRow
	Service     string // label
	Runs        bool
	Check       string // how it is checked
	Sentence    string // why it is up or down
	Healthy     appliance.Health
	Since, Next time.Time
	Connections int
	Total       uint64
	In, Out     uint64
	Oldest      time.Time
	Entries     int
	Agent       string // what its agent says; empty: it is not asked
	Resolved    string // where its host name leads; empty: nowhere, or it has none
	Others      int    // services that have a server of this label
	Probes      []appliance.Probe
	Changes     []appliance.HealthChange
	Test        *Test
	Limit       Limit
}

// Limit is the form for a drain with a time limit, as typed, and what is wrong with it.
type Limit struct{ Typed, Wrong string }

func (l Limit) value() string {
	if l.Typed == "" && l.Wrong == "" {
		return "30 m"
	}
	return l.Typed
}

// Test is a probe that was asked for, with each of its steps.
type Test struct {
	Probe      appliance.Probe
	Transcript []string
}

// Label is one label on all services.
type Label struct {
	Label       string
	Rows        []ServerRow
	Services    []string // labels, beside Rows
	Connections int
	Entries     int
	Safe        int // rows on which nothing is left
	Act         bool
	Limit       Limit
}

// Confirm asks before something that cannot be taken back.
type Confirm struct {
	Text, Warning                string
	Facts                        []string
	Path, Button                 string
	Danger                       bool
	Back, From                   string
	Base                         string // hash of the object as it was read
	Alternative, AlternativePath string
	Hidden                       []Hidden
}

// Hidden is what a form sends along.
type Hidden struct{ Name, Value string }

// Review shows what is saved and not yet running.
type Review struct {
	Box     *CommitBox // nil: nothing is pending
	Changes []Change
}

// Change is one change of a plan and what it does to live connections.
type Change struct {
	appliance.Change
	Effect string // empty: not said
	Ends   bool
}

func (c Change) object() string {
	switch c.Object {
	case "virtual_service":
		return "Virtual service"
	case "real_server":
		return "Real server of " + c.Of
	case "rule":
		return "Rule of " + c.Of
	case "script":
		return "Health check script"
	case "settings":
		return "Settings"
	case "local":
		return "Local Configuration"
	case "heartbeat":
		return "Cluster Configuration"
	}
	return c.Object
}

func actionTag(a appliance.Action) string {
	switch a {
	case appliance.Added:
		return "good"
	case appliance.Removed:
		return "bad"
	}
	return "blue"
}

func verdictClass(s Server) string { return "s-" + s.Row.State.Key }

func good(p appliance.Probe) State {
	if p.Good {
		return State{"up", "Good"}
	}
	return State{"down", "Bad"}
}

func healthState(h appliance.Health) State {
	switch h {
	case appliance.Up:
		return State{"up", "Up"}
	case appliance.Down:
		return State{"down", "Down"}
	}
	return State{"unknown", "Not known"}
}

// transcript writes one step a line, without the margins of whoever wrote them.
func transcript(steps []string) string {
	lines := make([]string, len(steps))
	for i, s := range steps {
		lines[i] = strings.TrimSpace(s)
	}
	return strings.Join(lines, "\n")
}

func labelPath(label string) string { return "/lbadmin/servers?label=" + queryEscape(label) }

func answered(p appliance.Probe) State {
	if p.Good {
		return State{"up", "Answers"}
	}
	return State{"down", "No answer:"}
}

// inUse says on how many services something is left.
func (l Label) inUse() string {
	n, verb := len(l.Rows)-l.Safe, "use"
	if n == 1 {
		verb = "uses"
	}
	return Number(n) + " of " + Plural(len(l.Rows), "service") + " still " + verb + " it"
}
