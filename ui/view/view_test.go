package view

import (
	"strings"
	"testing"
	"time"
)

func TestNumbersAsPeopleReadThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 8 * time.Millisecond: "8 ms", 59 * time.Second: "59 s", 41*time.Minute + 3*time.Second: "41 min", 3*time.Hour + 12*time.Minute: "3 h 12 min", 12 * time.Hour: "12 h", 25 * time.Hour: "1 day 1 h", 30 * 24 * time.Hour: "30 days",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
	for v, want := range map[float64]string{0: "0 bit/s", 999: "999 bit/s", 1000: "1.0 kbit/s", 4.12e8: "412 Mbit/s", 9.9996e5: "1.0 Mbit/s", 2e13: "20 Tbit/s"} {
		if n, unit := Bits(v); n+" "+unit != want {
			t.Errorf("%v: %s %s", v, n, unit)
		}
	}
	for n, want := range map[int]string{0: "0", 9999: "9999", 12480: "12\u202f480", 1234567: "1\u202f234\u202f567"} {
		if got := Number(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	if Plural(1, "connection") != "1 connection" || Plural(2, "connection") != "2 connections" {
		t.Error("plural")
	}
}

func TestChartsBeginAtTheRightAndStayInside(t *testing.T) {
	young := NewChart([]float64{1, 2}, 360, 240, 36, 1, "")
	if !strings.HasPrefix(young.Line, "M239.3 ") || !strings.HasSuffix(young.Line, "L240.0 1.0") {
		t.Errorf("young %q", young.Line)
	}
	many := make([]float64, 1000)
	for i := range many {
		many[i] = float64(i)
	}
	full := NewChart(many, 360, 240, 36, 1, "")
	if !strings.HasPrefix(full.Line, "M0.0 ") || strings.Count(full.Line, "L") != 239 {
		t.Errorf("full: %d points, %.20q", strings.Count(full.Line, "L")+1, full.Line)
	}
	if c := NewChart([]float64{5}, 10, 100, 10, 1, ""); c.Line != "" {
		t.Errorf("one value draws %q", c.Line)
	}
	if c := NewChart([]float64{0, 0, 0}, 3, 100, 10, 0, ""); strings.Contains(c.Line, "NaN") {
		t.Errorf("nothing draws %q", c.Line)
	}
}

func TestSharesFillTheBar(t *testing.T) {
	bar := Shares(240, Part{"up", 500}, Part{"down", 1}, Part{"drain", 0}, Part{"degraded", 3})
	if len(bar) != 3 || bar[0].X != 0 || bar[1].W < 2 || bar[2].X+bar[2].W != 240 {
		t.Errorf("%+v", bar)
	}
	if Shares(240) != nil {
		t.Error("a bar of nothing")
	}
}
