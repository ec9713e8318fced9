package agent

import (
	"fmt"
	"strings"
	"time"
)

// State is what an agent has said so far, all in all. The zero value is that of one that has not been heard.
type State struct {
	Word             // what counts, when At is not zero
	At     time.Time // of the last answer that counted; zero: nothing counts
	Missed int       // answers in a row that were none
	Why    string    // why the last answer was none, as the end of a sentence; empty: it was one
	Port   uint16    // that the agent is asked on
}

// heard returns the state behind one more line.
func (s State) heard(w Word, at time.Time) State {
	if s.At.IsZero() {
		s.Word = Word{Percent: Unsaid}
	}
	if w.Percent != Unsaid {
		s.Percent = w.Percent
	}
	if w.Admission != "" {
		s.Admission = w.Admission
	}
	if w.Health != "" {
		s.Health = w.Health
	}
	s.Reason, s.At, s.Missed, s.Why = w.Reason, at, 0, ""
	return s
}

// missed returns the state behind an answer that was none; the misses-th in a row has everything forgotten.
func (s State) missed(why string, misses int) State {
	s.Missed, s.Why = s.Missed+1, why
	if s.Missed >= misses {
		s.Word, s.At = Word{Percent: Unsaid}, time.Time{}
	}
	return s
}

// Share is how much of the weight counts, in percent.
func (s State) Share() int {
	if s.At.IsZero() || s.Percent == Unsaid {
		return 100
	}
	return s.Percent
}

// Drains tells whether only clients that return are to be served: by the word, or because nothing of the weight counts.
func (s State) Drains() bool { return !s.At.IsZero() && (s.Admission == Drain || s.Percent == 0) }

// Closed tells whether nobody new is to be served.
func (s State) Closed() bool { return !s.At.IsZero() && s.Admission == Maint }

// IsDown tells whether the agent says that its server does not work.
func (s State) IsDown() bool {
	return !s.At.IsZero() && (s.Health == Down || s.Health == Fail || s.Health == Stopped)
}

// sameEffect tells whether it makes no difference to clients which of two states holds.
func (s State) sameEffect(o State) bool {
	return s.Share() == o.Share() && s.Drains() == o.Drains() && s.Closed() == o.Closed() && s.IsDown() == o.IsDown()
}

// Sentence says for people what the agent has said.
func (s State) Sentence() string {
	switch {
	case s.At.IsZero() && s.Missed == 0:
		return fmt.Sprintf("The agent on port %d has not been asked yet.", s.Port)
	case s.At.IsZero():
		return fmt.Sprintf("The agent on port %d is not heard: %s. Nothing that it may have said counts.", s.Port, s.Why)
	}
	text := "The agent says " + s.said()
	if s.Reason != "" {
		text += " (" + s.Reason + ")"
	}
	if s.Missed > 0 {
		return fmt.Sprintf("%s; that still counts although it was not heard since: %s.", text, s.Why)
	}
	return text + "."
}

// said is all that counts, in the agent's own words.
func (s State) said() string {
	var words []string
	if s.Percent != Unsaid {
		words = append(words, fmt.Sprintf("%d%%", s.Percent))
	}
	if s.Admission != "" {
		words = append(words, string(s.Admission))
	}
	if s.Health != "" {
		words = append(words, string(s.Health))
	}
	return strings.Join(words, " ")
}
