package monitor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestRiseAndFall(t *testing.T) {
	for _, c := range []struct {
		probes     string // + good, - bad
		rise, fall int
		healths    string // after each probe: u up, d down
	}{
		{"+", 2, 3, "u"},
		{"-", 2, 3, "d"},
		{"-++", 2, 3, "ddu"},
		{"+---", 2, 3, "uuud"},
		{"+--+--+---", 2, 3, "uuuuuuuuud"},
		{"-+-+-++", 2, 3, "ddddddu"},
		{"---+++", 3, 3, "dddddu"},
		{"+-+-", 1, 1, "udud"},
		{"+-----+", 1, 5, "uuuuudu"},
	} {
		t.Run(c.probes, func(t *testing.T) {
			s := streak{health: appliance.Unknown}
			got := ""
			for _, p := range c.probes {
				s = s.after(p == '+', c.rise, c.fall)
				got += string(s.health[0])
			}
			if got != c.healths {
				t.Errorf("rise %d, fall %d: %s gave %s, not %s", c.rise, c.fall, c.probes, got, c.healths)
			}
		})
	}
}

func TestSentences(t *testing.T) {
	refused := outcome{what: "Connection refused on port 6667", more: "The machine answers, the service does not.", lasting: true}
	expired := bad("The certificate expired on 2024-05-01")
	opened := good("Port 6667 opened in 1 ms")
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		outcomes []outcome
		want     string
	}{
		{nil, "Not yet checked."},
		{[]outcome{opened}, "Port 6667 opened in 1 ms."},
		{[]outcome{refused}, "Connection refused on port 6667. The machine answers, the service does not."},
		{[]outcome{refused, refused}, "Connection refused on port 6667 for 4 s (2 checks). The machine answers, the service does not."},
		{[]outcome{opened, refused}, "Still up after 1 of 3 bad checks. Connection refused on port 6667. The machine answers, the service does not."},
		{[]outcome{expired, expired, expired}, "The certificate expired on 2024-05-01. Down for 8 s (3 checks)."},
		{[]outcome{expired, opened}, "Port 6667 opened in 1 ms. 1 of 2 good checks until it counts as up."},
		{[]outcome{{ours: true, what: "No descriptors"}}, "No descriptors."},
		{[]outcome{opened, {ours: true, what: "No descriptors"}}, "Port 6667 opened in 1 ms."},
	} {
		e := entry{job: job{rise: 2, fall: 3}, streak: streak{health: appliance.Unknown}}
		at := start
		for i, o := range c.outcomes {
			at = start.Add(time.Duration(i) * 4 * time.Second)
			e.record(appliance.Probe{At: at, Good: o.good, Sentence: o.sentence()}, o)
		}
		if got := e.sentence(at); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestStandingSentenceOfTheSketch(t *testing.T) {
	o := outcome{what: "Connection refused on port 6667", more: "The machine answers, the service does not.", lasting: true}
	want := "Connection refused on port 6667 for 3 min (45 checks). The machine answers, the service does not."
	if got := o.standing(3*time.Minute, 45); got != want {
		t.Errorf("got %s", got)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min", time.Hour: "1 h", 47 * time.Hour: "47 h", 72 * time.Hour: "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	e := entry{job: job{rise: 1, fall: 1}, streak: streak{health: appliance.Unknown}}
	for i := range 3 * appliance.KeptProbes {
		o := outcome{good: i%2 == 0, what: fmt.Sprint(i)}
		e.record(appliance.Probe{Sentence: o.what}, o)
	}
	probes, changes := e.probes.all(), e.changes.all()
	if len(probes) != appliance.KeptProbes || len(changes) != appliance.KeptProbes {
		t.Fatalf("%d probes, %d changes are kept", len(probes), len(changes))
	}
	for i := range appliance.KeptProbes {
		if want := fmt.Sprint(2*appliance.KeptProbes + i); probes[i].Sentence != want || changes[i].Sentence != want {
			t.Errorf("%s and %s are in the place of %s", probes[i].Sentence, changes[i].Sentence, want)
		}
	}
	if c := cap(e.probes.list); c > 2*appliance.KeptProbes {
		t.Errorf("the list grew to %d", c)
	}
}

func TestForeignTextIsInert(t *testing.T) {
	for _, text := range []string{
		"<script>alert(1)</script>\r\nSet-Cookie: x", "\x1b[31mred\x07", "\u202eltr\u2066", "nul\x00", "\xff\xfe", strings.Repeat("é", 5000), `"quote" and \`,
	} {
		for _, got := range []string{quoted(text), inert(text)} {
			if strings.ContainsAny(got, "\r\n\x00\x1b\x07\u202e\u2066") {
				t.Errorf("%q became %q", text, got)
			}
			if n := len([]rune(got)); n > 4*maxQuoted+3 {
				t.Errorf("%d characters are left", n)
			}
		}
	}
	if got := quoted(strings.Repeat("é", 5000)); got != `"`+strings.Repeat("é", maxQuoted)+`…"` {
		t.Errorf("cut at the wrong place: %s", got)
	}
}

func TestTheNextProbeKeepsItsPlace(t *testing.T) {
	due := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		late, took, shift, next time.Duration
	}{
		{0, 0, 0, 4 * time.Second},
		{-10 * time.Millisecond, 0, 0, 4 * time.Second},
		{time.Second, time.Millisecond, 0, 4 * time.Second},
		{3 * time.Second, time.Millisecond, 0, 8 * time.Second}, // not a second behind this one
		{time.Hour, time.Millisecond, 0, time.Hour + 4*time.Second},
		{0, 5 * time.Second, 0, 5 * time.Second},
		{0, 0, -time.Second, 3 * time.Second},
	} {
		e := entry{job: job{interval: 4 * time.Second}, next: due, shift: c.shift}
		began := due.Add(c.late)
		if e.plan(began, began.Add(c.took)); e.next.Sub(due) != c.next || e.shift != 0 {
			t.Errorf("%+v: next %s behind", c, e.next.Sub(due))
		}
	}
}
