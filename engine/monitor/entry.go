package monitor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"evenkeel/appliance"
)

// streak is the rise and fall machine: a health, and how many probes in a row were good or bad.
type streak struct {
	health    appliance.Health
	good, bad int
}

// after returns the streak after one more probe. The first verdict is the first probe's alone; then it takes rise good or fall bad ones in a row.
func (s streak) after(good bool, rise, fall int) streak {
	if good {
		s.good, s.bad = s.good+1, 0
	} else {
		s.good, s.bad = 0, s.bad+1
	}
	switch {
	case s.good >= rise, s.health == appliance.Unknown && good:
		s.health = appliance.Up
	case s.bad >= fall, s.health == appliance.Unknown:
		s.health = appliance.Down
	}
	return s
}

// entry is all about one server; the monitor's mutex guards it, but for id, job, prepared and literal, which never change.
type entry struct {
	next     time.Time
	beat     int64         // of the queue
	index    int           // in that beat, or outside
	detached bool          // it was replaced or is gone
	shift    time.Duration // of the second probe, once

	literal netip.AddrPort // of a server that is given by its address
	streak  streak
	last    outcome // of the last probe that counted
	probes  recent[appliance.Probe]

	openedSentence string        // of a port that opened
	openedIn       time.Duration // in that time, rounded
	since          time.Time     // of the last change of health
	badSince       time.Time     // first of the bad probes in a row
	changes        recent[appliance.HealthChange]
	cancel         context.CancelFunc
	waiters        []chan appliance.Probe

	id       string
	job      job
	prepared prepared
}

// newEntry returns what is known of a server that has not been probed.
func newEntry(id string, j job) *entry {
	e := &entry{id: id, job: j, prepared: prepare(j), index: outside, streak: streak{health: appliance.Unknown}}
	if a, err := netip.ParseAddr(j.host); err == nil {
		e.literal = netip.AddrPortFrom(a.Unmap(), j.port)
	}
	return e
}

// opened is the outcome of a connection that opened. Most take as long as the last one, so the sentence is kept.
func (e *entry) opened(took time.Duration) outcome {
	if in := rounded(took); e.openedSentence == "" || in != e.openedIn {
		e.openedIn, e.openedSentence = in, good("Port %d opened in %s", e.job.port, brief(took)).sentence()
	}
	return outcome{good: true, what: strings.TrimSuffix(e.openedSentence, ".")}
}

// record counts a probe and tells whether the health changed. A probe that this appliance itself could not make proves nothing about the server.
func (e *entry) record(p appliance.Probe, o outcome) bool {
	if o.ours {
		if e.streak.health == appliance.Unknown {
			e.last = o
		}
		return false
	}
	if !o.good && e.streak.bad == 0 {
		e.badSince = p.At
	}
	e.last = o
	e.probes.add(p)
	before := e.streak.health
	e.streak = e.streak.after(o.good, e.job.rise, e.job.fall)
	if e.streak.health == before {
		return false
	}
	e.change(e.streak.health, p.At.Add(p.Took), p.Sentence)
	return true
}

func (e *entry) change(h appliance.Health, at time.Time, sentence string) {
	e.since = at
	e.changes.add(appliance.HealthChange{At: at, Health: h, Sentence: sentence})
}

// plan sets the next probe an interval after the one that began was due, so that servers stay as far apart as they were even if one of them had to wait. One that
// waited for more than half an interval leaves out what it missed. When the next probe is past, because this one took so long, it is due at once.
func (e *entry) plan(began, now time.Time) {
	missed := max(0, began.Sub(e.next)+e.job.interval/2) / e.job.interval
	e.next = e.next.Add((missed+1)*e.job.interval + e.shift)
	e.shift = 0
	if e.next.Before(now) {
		e.next = now
	}
}

// recall makes e what an earlier process knew of the server.
func (e *entry) recall(h appliance.ServerHealth) {
	if h.Health != appliance.Up && h.Health != appliance.Down {
		return
	}
	e.streak.health, e.since, e.probes, e.changes = h.Health, h.Since, recentOf(h.Probes), recentOf(h.Changes)
	e.last = outcome{good: h.Health == appliance.Up, what: strings.TrimSuffix(h.Sentence, ".")}
}

// report returns what is known, as a copy.
func (e *entry) report(now time.Time) appliance.ServerHealth {
	return appliance.ServerHealth{
		Health: e.streak.health, Since: e.since, Sentence: e.sentence(now), Next: e.next,
		Probes: e.probes.all(), Changes: e.changes.all(),
	}
}

// sentence says why the server is what it is.
func (e *entry) sentence(now time.Time) string {
	switch s := e.streak; {
	case s.health == appliance.Unknown && e.last.what == "":
		return "Not yet checked."
	case s.health == appliance.Up && s.bad > 0:
		return fmt.Sprintf("Still up after %d of %d bad checks. %s", s.bad, e.job.fall, e.last.sentence())
	case s.health == appliance.Down && s.good > 0:
		return fmt.Sprintf("%s %d of %d good checks until it counts as up.", e.last.sentence(), s.good, e.job.rise)
	case s.health == appliance.Down && s.bad > 1:
		return e.last.standing(now.Sub(e.badSince), s.bad)
	}
	return e.last.sentence()
}
