package explain

import (
	"fmt"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/rules"
)

// tellRules tells of each rule whether it held, and what it did. status is the answer that the rules gave, or 0.
func (w *account) tellRules(t *rules.Trace, status int) {
	var did []string
	for i := range w.Service.Rules {
		r := &w.Service.Rules[i]
		out := appliance.RuleTrial{Number: i + 1, Label: r.Label}
		trial := trialOf(t, i)
		switch {
		case r.Disabled:
			out.Sentence = "It is switched off."
		case trial == nil:
			out.Sentence = "It was not looked at: an earlier rule had answered."
		default:
			last := trial == &t.Trials[len(t.Trials)-1]
			w.tellRule(&out, r, trial, last && status != 0)
		}
		if out.Held {
			did = append(did, fmt.Sprintf("%d (%s)", i+1, r.Label))
		}
		w.out.Rules = append(w.out.Rules, out)
	}
	switch {
	case len(w.Service.Rules) == 0:
	case len(did) == 0 && len(w.Service.Rules) == 1:
		w.good("rules", "The rule does not hold.")
	case len(did) == 0:
		w.good("rules", "None of the %d rules holds.", len(w.Service.Rules))
	case len(did) == 1:
		w.good("rules", "Rule %s holds.", did[0])
	default:
		w.good("rules", "The rules %s hold.", strings.Join(did, ", "))
	}
}

func trialOf(t *rules.Trace, number int) *rules.Trial {
	for i := range t.Trials {
		if t.Trials[i].Number == number {
			return &t.Trials[i]
		}
	}
	return nil
}

func (w *account) tellRule(out *appliance.RuleTrial, r *appliance.Rule, t *rules.Trial, answered bool) {
	failing := -1
	for i, c := range t.Conditions {
		out.Conditions = append(out.Conditions, appliance.ConditionTrial{Condition: r.When[i].String(), Holds: c.Holds, Saw: c.Saw})
		if !c.Holds && failing < 0 {
			failing = i
		}
	}
	out.Held = t.Held && !t.TooLong
	switch {
	case t.TooLong:
		out.Sentence = "An expression would have to look at more than 4096 bytes: the request is refused with 431."
	case !t.Held && failing >= 0:
		out.Sentence = "It does not hold: " + r.When[failing].String() + ", but " + saw(t.Conditions[failing].Saw) + "."
	default:
		out.Sentence = w.deeds(r, t, answered)
	}
}

func saw(list []string) string {
	switch len(list) {
	case 0:
		return "there is none"
	case 1:
		if list[0] == "" {
			return "it is empty"
		}
		return "it is " + list[0]
	}
	return "they are " + strings.Join(list, " and ")
}

// deeds tells what a rule that holds did.
func (w *account) deeds(r *appliance.Rule, t *rules.Trial, answered bool) string {
	var parts []string
	for i := range r.Then {
		text := r.Then[i].Sentence(w.Name)
		switch limit := r.Then[i].Kind == appliance.DoLimit; {
		case i >= len(t.Done):
			text += " (not come to)"
		case !t.Done[i]:
			text += " (passed over: an earlier rule has chosen)"
		case limit && answered && i == len(t.Done)-1:
			text += " (reached)"
		case limit:
			text += " (not reached)"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "It holds, and does nothing."
	}
	return "It holds: " + strings.Join(parts, ", ") + "."
}
