// Package agent asks the agents of real servers how much they want to do: small programs of the operators' own, which answer each connection to a port with one line of
// words, as the agent-check of HAProxy's configuration manual has them. What an agent says counts until it says otherwise: of how much of the weight (75%), of whom to
// admit (ready, drain, maint) and of health (up, down, fail, stopped) it changes only what it names. Answers that are none change nothing; after several in a row all
// that an agent has said is forgotten.
package agent

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine is how long the line of an agent may be.
const MaxLine = 1024

// MaxPercent is the most that an agent may ask for.
const MaxPercent = 1000

// maxReason is how many characters of an agent's reason are kept.
const maxReason = 80

// Admission is whom an agent wants its server to get.
type Admission string

// The admissions; the empty one says that the agent has not spoken of it.
const (
	Ready Admission = "ready" // everybody
	Drain Admission = "drain" // only clients that return
	Maint Admission = "maint" // nobody new
)

// Health is what an agent says of its server's health.
type Health string

// The healths; the empty one says that the agent has not spoken of it. Down, Fail and Stopped have the same effect and say why.
const (
	Up      Health = "up"
	Down    Health = "down"
	Fail    Health = "fail"
	Stopped Health = "stopped"
)

// Word is one line of an agent.
type Word struct {
	Percent   int // of the configured weight; Unsaid when the line does not name it
	Admission Admission
	Health    Health
	Reason    string // behind #, printable
}

// Unsaid is the Percent of a line that does not speak of the weight.
const Unsaid = -1

// The errors of Parse.
var (
	errEmpty   = errors.New("its answer was empty")
	errLong    = errors.New("its answer was longer than " + strconv.Itoa(MaxLine) + " bytes")
	errUnknown = errors.New("none of the words of its answer is known")
)

// Parse reads a line without its end: words between spaces, tabs or commas in any order, in upper or lower case, and a reason behind #. Words that are not known are
// passed over; a line without any that is known is an error. Of words that contradict each other the last one counts.
func Parse(line []byte) (Word, error) {
	w := Word{Percent: Unsaid}
	if len(line) > MaxLine {
		return w, errLong
	}
	words, reason, _ := bytes.Cut(line, []byte("#"))
	known, any := false, false
	for _, word := range strings.FieldsFunc(string(words), func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		any = true
		known = w.take(strings.ToLower(word)) || known
	}
	switch {
	case !any:
		return Word{Percent: Unsaid}, errEmpty
	case !known:
		return Word{Percent: Unsaid}, errUnknown
	}
	w.Reason = printable(string(reason))
	return w, nil
}

// take reads one word and tells whether it is known.
func (w *Word) take(word string) bool {
	switch word {
	case string(Ready), string(Drain), string(Maint):
		w.Admission = Admission(word)
		return true
	case string(Up), string(Down), string(Fail), string(Stopped):
		w.Health = Health(word)
		return true
	}
	digits, isPercent := strings.CutSuffix(word, "%")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !isPercent || err != nil || n > MaxPercent {
		return false
	}
	w.Percent = int(n)
	return true
}

// printable returns foreign text on one line, without what cannot be seen, and cut.
func printable(text string) string {
	var out strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(text) {
		if n == maxReason {
			out.WriteRune('…')
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		out.WriteRune(r)
		n++
	}
	return out.String()
}
