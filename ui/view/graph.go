package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// Graphs is the page of graphs of one service or one of its servers.
type Graphs struct {
	Service, Server   string // ids
	Services, Servers []form.Option
	Periods           []Tab
	Title             string
	Graphs            []Graph
	Empty             string // why there is nothing to draw
	Availability      string // share of the time up, in words
}

// Graph is one figure over a period, drawn in a box of GraphWidth by GraphHeight.
type Graph struct {
	ID, Name, Top, Now, Peak string
	Line, Fill               string // path data
	From, Middle, To         time.Time
	Description              string
	Rows                     []GraphRow
}

// GraphRow is a line of the table that says the same as the graph.
type GraphRow struct {
	At    time.Time
	Value string
}

// The box of a graph.
const (
	GraphWidth  = 720
	GraphHeight = 140
	graphRows   = 48
)

// Figure is what a graph shows of a point; false: nothing is known.
type Figure func(appliance.Point) (float64, bool)

// NewGraph draws a figure of points, which are stretches of a length, from one time to another. What is not known stays empty. Where several points fall into one
// pixel the highest counts. floor is the least value that the full height stands for.
func NewGraph(id, name string, points []appliance.Point, figure Figure, from, to time.Time, step time.Duration, floor float64, say func(float64) string) Graph {
	g := Graph{ID: id, Name: name, From: from, Middle: from.Add(to.Sub(from) / 2), To: to}
	columns, known := make([]float64, GraphWidth), make([]bool, GraphWidth)
	top, latest, last := floor, -1.0, time.Time{}
	peak := 0.0
	for _, p := range points {
		v, ok := figure(p)
		if !ok || p.At.Before(from) || p.At.After(to) {
			continue
		}
		first := column(p.At, from, to)
		for x := first; x <= min(column(p.At.Add(step), from, to), GraphWidth-1); x++ {
			columns[x], known[x] = max(columns[x], v), true
		}
		top, peak, latest, last = max(top, v), max(peak, v), v, p.At
	}
	g.Line, g.Fill = trace(columns, known, top)
	g.Top, g.Peak = say(top), say(peak)
	if latest >= 0 && to.Sub(last) <= 3*step {
		g.Now = say(latest)
	}
	g.Rows = rowsOf(columns, known, from, to, say)
	g.Description = fmt.Sprintf("%s: highest %s, latest %s.", name, g.Peak, orUnknown(g.Now))
	if g.Line == "" {
		g.Description = name + ": nothing is known of this time."
	}
	return g
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

func column(at, from, to time.Time) int {
	return int(float64(at.Sub(from)) / float64(to.Sub(from)) * (GraphWidth - 1))
}

// trace draws the line, with gaps where nothing is known, and the area under it.
func trace(columns []float64, known []bool, top float64) (line, fill string) {
	var l, f strings.Builder
	for x := 0; x < len(columns); x++ {
		if !known[x] {
			continue
		}
		start := x
		fmt.Fprintf(&f, "M%d %d", start, GraphHeight)
		for ; x < len(columns) && known[x]; x++ {
			y := 1 + (1-columns[x]/top)*(GraphHeight-2)
			fmt.Fprintf(&l, "%c%d %.1f", "ML"[min(x-start, 1)], x, y)
			fmt.Fprintf(&f, "L%d %.1f", x, y)
		}
		fmt.Fprintf(&f, "L%d %dZ", x-1, GraphHeight)
	}
	return l.String(), f.String()
}

// rowsOf says the graph in numbers: the highest of each of some stretches.
func rowsOf(columns []float64, known []bool, from, to time.Time, say func(float64) string) []GraphRow {
	var out []GraphRow
	const each = GraphWidth / graphRows
	for i := range graphRows {
		v, any := 0.0, false
		for x := i * each; x < (i+1)*each; x++ {
			if known[x] {
				v, any = max(v, columns[x]), true
			}
		}
		if any {
			out = append(out, GraphRow{from.Add(to.Sub(from) / graphRows * time.Duration(i)), say(v)})
		}
	}
	return out
}

func (g Graph) box() string { return fmt.Sprintf("0 0 %d %d", GraphWidth, GraphHeight) }

// SayBits writes a rate of bits.
func SayBits(v float64) string { n, unit := Bits(v); return n + " " + unit }

// SayCount writes a number of things, with a place where it is small.
func SayCount(v float64) string {
	if v < 10 && v != float64(int(v)) {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return Number(int64(v + 0.5))
}

// SayRate writes how many things happen in a second.
func SayRate(v float64) string { return SayCount(v) + "/s" }

// SayTime writes a latency, which is given in seconds.
func SayTime(v float64) string {
	if v < 1 {
		return strconv.FormatFloat(v*1000, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}
