package view

import (
	"net/url"
	"strings"
	"time"

	"evenkeel/appliance"
)

// Frame is what surrounds every page behind the sign-in.
type Frame struct {
	Title    string
	Product  string
	Version  string
	Hostname string
	Operator string
	Role     appliance.Role
	Theme    string // "light", "dark" or "": as the system
	Path     string // of the page, to come back to
	Menu     []MenuGroup
	Query    string // what was searched for
	Standing Standing
	Said     []Message // what has just been done
	Running  int64     // revision numbers
	Saved    int64
	At       time.Time
	Assets   Assets
	Events   string // address of the event stream; empty: the page is still
	Pair     PairChip
	Narrow   bool // the page is text or a form: it keeps a readable width
}

// Assets are the addresses of the embedded files.
type Assets struct{ Style, Script, Icon string }

// Standing is what stands above every page until its cause is gone.
type Standing struct {
	Passive *Passive   // nil: nothing has to be said about the pair
	Commit  *CommitBox // nil: what is saved runs
	Alerts  []Message
}

// MenuGroup is a heading of the menu with its pages.
type MenuGroup struct {
	Icon, Name string
	Path       string // of a group that is a page itself
	On         bool
	Entries    []MenuEntry
}

// MenuEntry is one page.
type MenuEntry struct {
	Name, Path string
	On         bool
}

// CommitBox says what is saved and not yet running.
type CommitBox struct {
	Count   int
	Summary string
	By      string
	At      time.Time
	Effect  string // what applying does to live connections
	Ends    bool   // it ends some
	Failed  string // why the last attempt did not run; empty: none failed
	May     bool   // the operator may apply and discard
}

// Message is one line above the page.
type Message struct {
	Kind    string // "information", "warning", "error", "done"
	Text    string
	Hint    string
	Action  string // a button: its words
	Path    string // where it goes; Post: by POST
	Post    bool
	Dismiss string // where a POST removes it; empty: it cannot be removed by hand
}

// State is shown as shape, word and colour.
type State struct {
	Key  string // up, down, degraded, drain, halt, fallback, unknown, saved
	Word string
}

// ServiceState returns how a service's health is shown.
func ServiceState(h appliance.ServiceHealth) State {
	switch h {
	case appliance.ServiceUp:
		return State{"up", "Up"}
	case appliance.ServiceDegraded:
		return State{"degraded", "Degraded"}
	case appliance.ServiceDrained:
		return State{"drain", "Drained"}
	case appliance.ServiceFallback:
		return State{"fallback", "Fallback"}
	case appliance.ServiceDown:
		return State{"down", "Down"}
	}
	return State{"unknown", "Checking"}
}

// ServerState returns how a real server is shown: what the operator wants first, then what was seen.
func ServerState(s appliance.ServerStatus) State {
	switch {
	case s.State == appliance.Halt:
		return State{"halt", "Halted"}
	case s.State == appliance.Drain && s.Connections > 0:
		return State{"drain", "Draining"}
	case s.State == appliance.Drain:
		return State{"drain", "Drained"}
	case s.Held() && s.Agent.State == appliance.Halt && s.Check.Health != appliance.Down:
		return State{"halt", "Agent: maint"}
	case s.Held() && s.Check.Health != appliance.Down:
		return State{"drain", "Agent: drain"}
	case s.Check.Health == appliance.Up:
		return State{"up", "Up"}
	case s.Check.Health == appliance.Down:
		return State{"down", "Down"}
	}
	return State{"unknown", "Checking"}
}

// exportPath is the address of a page's list as a file; list names it where a page has more than one.
func exportPath(path, list, format string) string {
	path, query, _ := strings.Cut(path, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		q = url.Values{}
	}
	q.Set("export", format)
	if list != "" {
		q.Set("list", list)
	}
	return path + "?" + q.Encode()
}

func messageRole(kind string) string {
	if kind == "error" {
		return "alert"
	}
	return "status"
}

func messageIcon(kind string) string {
	switch kind {
	case "warning", "error", "done":
		return kind
	}
	return "information"
}

func current(on bool) string {
	if on {
		return "page"
	}
	return "false"
}
