package rules

import (
	"bytes"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// Trace is how a dry run came to its decision, for people: a Trial for each rule that was looked at, in order.
type Trace struct{ Trials []Trial }

// Trial is what became of one rule.
type Trial struct {
	Number     int    // of the rule, in the service's list
	Held       bool   // all its conditions
	TooLong    bool   // an expression would have to look at too much; the request is refused
	Conditions []Seen // all of them, though the first that does not hold decides
	Done       []bool // for each action that was come to: false when an earlier rule had chosen already
}

// Seen is what one condition looked at.
type Seen struct {
	Holds bool
	Saw   []string // several lines of one header, or cookies of one name; none: there was nothing of that name
}

// Explain is a dry run of which every step is kept.
func (e *Evaluator) Explain(p *Program, r *Request, now int64) (*Decision, Trace) {
	e.trace = &Trace{}
	defer func() { e.trace = nil }()
	if p == nil {
		return &Decision{}, Trace{}
	}
	return e.Run(p, r, now, true), *e.trace
}

// look notes what a rule's conditions see. Those behind the first that does not hold were not asked when it was decided, and must not change that now.
func (t *Trace) look(e *Evaluator, c *rule, held bool) {
	tooLong := e.tooLong
	trial := Trial{Number: c.number, Held: held, TooLong: tooLong, Conditions: make([]Seen, len(c.when))}
	for i := range c.when {
		trial.Conditions[i] = Seen{e.holds(&c.when[i]), e.saw(&c.when[i])}
	}
	e.tooLong = tooLong
	t.Trials = append(t.Trials, trial)
}

// did notes that an action was done; route is where an earlier one led to.
func (t *Trace) did(kind appliance.RuleActionKind, route int) {
	last := &t.Trials[len(t.Trials)-1]
	last.Done = append(last.Done, route == 0 || kind != appliance.DoPool && kind != appliance.DoServer)
}

// saw returns what a condition looks at, as the rules read it.
func (e *Evaluator) saw(c *condition) []string {
	r := e.request
	switch c.subject {
	case appliance.SubjectPath:
		return []string{string(e.decoded())}
	case appliance.SubjectHost:
		return present(r.host())
	case appliance.SubjectMethod:
		return present(r.Method)
	case appliance.SubjectSource:
		return []string{r.Source.Unmap().String()}
	case appliance.SubjectTLS:
		return present([]byte(r.TLSName))
	case appliance.SubjectHeader:
		return e.sawHeader(c.name)
	case appliance.SubjectCookie:
		return e.sawCookie(c.name)
	case appliance.SubjectQuery:
		return e.sawQuery(c.name)
	}
	return nil
}

func present(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return []string{string(b)}
}

func (e *Evaluator) sawHeader(name []byte) (out []string) {
	f := e.request.Fields
	for _, l := range e.lines() {
		if request.SameFold(f[l.name:l.nameEnd], name) {
			out = append(out, string(f[l.value:l.valueEnd]))
		}
	}
	return out
}

func (e *Evaluator) sawCookie(name []byte) (out []string) {
	for _, line := range e.sawHeader([]byte("cookie")) {
		for pair := range bytes.SplitSeq([]byte(line), semicolon) {
			if got, value, ok := bytes.Cut(request.Trim(pair), equals); ok && bytes.Equal(got, name) {
				out = append(out, string(value))
			}
		}
	}
	return out
}

func (e *Evaluator) sawQuery(name []byte) (out []string) {
	_, rest := e.request.split()
	rest = bytes.TrimPrefix(rest, []byte("?"))
	if len(name) == 0 {
		return present(rest)
	}
	for pair := range bytes.SplitSeq(rest, ampersand) {
		got, value, _ := bytes.Cut(pair, equals)
		if bytes.Equal(decodeQuery(nil, got), name) {
			out = append(out, string(decodeQuery(nil, value)))
		}
	}
	return out
}
