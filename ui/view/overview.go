package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// Overview is the System Overview.
type Overview struct {
	Strip  Strip
	Tabs   []Tab
	Heads  []Head
	Filter string
	Hidden []struct{ Name, Value string } // what the filter's form must keep
	Rows   []ServiceRow
	Total  int // services before filtering
	// Of the services that match, Rows begins with the First; Earlier and Later lead to the others.
	Matching, First int
	Earlier, Later  string
	Act             bool
	Edit            bool
}

// Tab is one choice of the filter.
type Tab struct {
	Name, Path string
	Count      int
	On         bool
}

// Head is one column's heading; Path sorts by it.
type Head struct {
	Name, Class, Path string
	Sorted            string // "ascending", "descending" or ""
}

// Strip is the row of figures with the graphs of the last hour.
type Strip struct {
	Throughput, ThroughputUnit string
	ThroughputNote             string
	ThroughputChart            Chart
	Connections                string
	ConnectionsNote            string
	ConnectionsChart           Chart
	Machine                    bool // the figures of the machine are known
	CPU, Memory, Disk          string
	CPUChart                   Chart
	Services                   []Tally
	Bar                        []Share
}

// Tally counts the services in one state.
type Tally struct {
	State State
	Count int
}

// ServiceRow is one service with its real servers.
type ServiceRow struct {
	ID, Label          string
	State              State
	Sentence           string
	Address, Ports     string
	Connections        string
	Protocol           string
	Method, Mode       string
	Chart              Chart
	Open               bool
	SavedOnly          bool
	Servers            []ServerRow
	ServerCount, Ready int
	Redirects          bool // every request is sent to HTTPS, and no server is asked
}

// Tick is one check of the strip of the last checks: of class up or down.
type Tick struct{ Class string }

// ServerRow is one real server of one service.
type ServerRow struct {
	Service, ID, Label string
	State              State
	Address, Port      string
	Connections        string
	Weight             int
	Note               string    // beside the numbers, or why it is down
	NoteAt             time.Time // of the check that the note is about
	Until              time.Time // a drain with a time limit ends then; zero: none
	Said               string    // the whole sentence of the last check
	Why                bool      // the note says why it does not serve
	Safe               bool      // drained, and nothing is left
	Ticks              []Tick
	Path               string
	CanDrain, CanHalt  bool
	CanOnline          bool
	Act                bool
	Stored             string // what is saved and differs from what runs: "50 when applied"
}

func (r ServiceRow) key(part string) string { return "vs-" + r.ID + "-" + part }
func (r ServerRow) key(part string) string  { return "rs-" + r.ID + "-" + part }

func (r ServerRow) weight() string { return strconv.Itoa(r.Weight) }

func stripBox() string { return "0 0 70 12" }

const ticksShown = 12

// tickPath draws the ticks of one class; those that are still missing are of class none.
func tickPath(list []Tick, class string) string {
	var b strings.Builder
	for i := range ticksShown {
		at := i - (ticksShown - len(list))
		if at < 0 && class == "none" || at >= 0 && list[at].Class == class {
			fmt.Fprintf(&b, "M%d 0h4v12h-4z", i*6)
		}
	}
	return b.String()
}

func sortWord(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func lower(s string) string { return strings.ToLower(s) }

func serverCount(r ServiceRow) string {
	switch {
	case r.Redirects:
		return "redirects to HTTPS"
	case r.ServerCount == 0:
		return "no servers"
	case r.SavedOnly:
		return Plural(r.ServerCount, "server")
	case r.Ready == r.ServerCount:
		return Plural(r.ServerCount, "server")
	}
	return fmt.Sprintf("%d of %d serve", r.Ready, r.ServerCount)
}

func tickWords(list []Tick) string {
	good := 0
	for _, t := range list {
		if t.Class == "up" {
			good++
		}
	}
	return fmt.Sprintf("%d of the last %s good", good, Plural(len(list), "check"))
}

// Cells are the live cells of a service's rows, by their data-live name.
func (r ServiceRow) Cells() map[string]templ.Component {
	out := map[string]templ.Component{r.key("state"): StateMark(r.State), r.key("servers"): said(serverCount(r))}
	if !r.SavedOnly {
		out[r.key("conns")], out[r.key("chart")] = said(r.Connections), Spark(r.Chart)
	}
	for _, s := range r.Servers {
		out[s.key("state")], out[s.key("conns")] = StateMark(s.State), said(s.Connections)
		out[s.key("note")], out[s.key("weight")] = serverNote(s), weightCell(s)
		out[s.key("ticks")], out[s.key("acts")] = TickStrip(s.Ticks), serverActions(s)
	}
	return out
}

// Shape names everything that the live cells do not show: when it changes, the table must be drawn anew.
func (o Overview) Shape() string {
	var b strings.Builder
	for _, r := range o.Rows {
		fmt.Fprintf(&b, "%q %q %q %q %q %v\n", r.ID, r.Label, r.Address, r.Ports, r.Protocol, r.SavedOnly)
		for _, s := range r.Servers {
			fmt.Fprintf(&b, "\t%q %q %q %q %v\n", s.ID, s.Label, s.Address, s.Port, s.Act)
		}
	}
	return b.String()
}
