package view

import (
	"fmt"
	"strings"
)

// Chart is a small line, drawn as SVG paths in a box of Width by Height.
type Chart struct {
	Width, Height int
	Line, Fill    string // path data; Fill is the area under Line
	Label         string // for those who cannot see it
}

// NewChart draws the values from left to right; slots is how many the whole width stands for, so that a young series begins at the right. floor is the least value that the
// full height stands for: a quiet series looks quiet.
func NewChart(values []float64, slots, width, height int, floor float64, label string) Chart {
	c := Chart{Width: width, Height: height, Label: label}
	if len(values) > slots {
		values = values[len(values)-slots:]
	}
	if len(values) < 2 {
		return c
	}
	values = thin(values, width)
	top := floor
	for _, v := range values {
		top = max(top, v)
	}
	if top == 0 {
		top = 1
	}
	step := float64(width) / float64(max(slots-1, 1))
	if len(values) == width { // thinned: the whole width
		step = float64(width) / float64(len(values)-1)
	}
	var b strings.Builder
	start := float64(width) - step*float64(len(values)-1)
	for i, v := range values {
		y := 1 + (1-v/top)*float64(height-2)
		fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], start+step*float64(i), y)
	}
	c.Line = b.String()
	c.Fill = fmt.Sprintf("%sL%d %dL%.1f %dZ", c.Line, width, height, start, height)
	return c
}

// thin averages so that at most one point per pixel remains.
func thin(values []float64, width int) []float64 {
	if len(values) <= width {
		return values
	}
	out := make([]float64, width)
	for i := range out {
		lo, hi := i*len(values)/width, (i+1)*len(values)/width
		sum := 0.0
		for _, v := range values[lo:hi] {
			sum += v
		}
		out[i] = sum / float64(hi-lo)
	}
	return out
}

func (c Chart) box() string { return fmt.Sprintf("0 0 %d %d", c.Width, c.Height) }

// Share is a part of a bar.
type Share struct {
	Class string
	X, W  int
}

// Part is a count that gets its share of a bar.
type Part struct {
	Class string
	N     int
}

// Shares divides a bar of the given width among counts; nothing that exists is thinner than two pixels.
func Shares(width int, parts ...Part) []Share {
	total, shown := 0, 0
	for _, p := range parts {
		total += p.N
		if p.N > 0 {
			shown++
		}
	}
	if total == 0 {
		return nil
	}
	const gap = 3
	room := width - gap*(shown-1)
	var out []Share
	x := 0
	for _, p := range parts {
		if p.N == 0 {
			continue
		}
		w := max(2, room*p.N/total)
		out = append(out, Share{p.Class, x, w})
		x += w + gap
	}
	if n := len(out); n > 0 {
		out[n-1].W = width - out[n-1].X
	}
	return out
}
