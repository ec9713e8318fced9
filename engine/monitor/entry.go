package monitor

import (
	"context"
	"fmt"
	"slices"
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

// entry is all about one server; the monitor's mutex guards it, but for id, job and prepared, which never change.
type entry struct {
	id       string
	job      job
	prepared prepared

	streak   streak
	since    time.Time // of the last change of health
	last     outcome   // of the last probe that counted
	badSince time.Time // first of the bad probes in a row
	probes   []appliance.Probe
	changes  []appliance.HealthChange

	next    time.Time
	shift   time.Duration // of the second probe, once
	index   int           // in the queue, or outside
	cancel  context.CancelFunc
	waiters []chan appliance.Probe
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
	e.probes = keep(e.probes, p)
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
	e.changes = keep(e.changes, appliance.HealthChange{At: at, Health: h, Sentence: sentence})
}

// keep appends x and drops the oldest beyond appliance.KeptProbes.
func keep[T any](list []T, x T) []T {
	if len(list) >= appliance.KeptProbes {
		list = slices.Delete(list, 0, len(list)-appliance.KeptProbes+1)
	}
	return append(list, x)
}

// plan sets the next probe an interval after the last one began, at once when that is past.
func (e *entry) plan(began, now time.Time) {
	e.next = began.Add(e.job.interval + e.shift)
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
	e.streak.health, e.since, e.probes, e.changes = h.Health, h.Since, h.Probes, h.Changes
	e.last = outcome{good: h.Health == appliance.Up, what: strings.TrimSuffix(h.Sentence, ".")}
}

// report returns what is known, as a copy.
func (e *entry) report(now time.Time) appliance.ServerHealth {
	return appliance.ServerHealth{
		Health: e.streak.health, Since: e.since, Sentence: e.sentence(now), Next: e.next,
		Probes: slices.Clone(e.probes), Changes: slices.Clone(e.changes),
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
