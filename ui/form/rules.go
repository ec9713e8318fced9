package form

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// RuleRow is one rule as typed.
type RuleRow struct {
	ID, Label string
	Off       bool
	When      []ConditionRow
	Then      []ActionRow
}

// ConditionRow is one condition as typed; How is a comparison, behind "not " when it must not hold.
type ConditionRow struct {
	Subject, Name, How, Value string
	IgnoreCase                bool
}

// ActionRow is one action as typed, with the fields of every kind.
type ActionRow struct {
	Do, Pool, Server, Header, Find, Value, Status, Requests, Period string
}

// Bounds of what is read.
const (
	mostRules = appliance.MaxRules + 1
	mostParts = 17
)

// BlankRule is an empty rule of a service in that mode, with a condition and an action to fill in.
func BlankRule(mode string) RuleRow {
	return RuleRow{When: []ConditionRow{BlankCondition(mode)}, Then: []ActionRow{BlankAction()}}
}

// BlankCondition is an empty condition of a service in that mode.
func BlankCondition(mode string) ConditionRow {
	if appliance.Protocol(mode) != appliance.HTTP {
		return ConditionRow{Subject: string(appliance.SubjectSource), How: string(appliance.OpEqual)}
	}
	return ConditionRow{Subject: string(appliance.SubjectPath), How: string(appliance.OpBegins)}
}

// BlankAction is an empty action.
func BlankAction() ActionRow { return ActionRow{Do: string(appliance.DoPool)} }

// RuleName is the name of a field of the i-th rule.
func RuleName(i int, field string) string { return fmt.Sprintf("rules[%d].%s", i, field) }

// PartName is the name of a field of the k-th condition ("when") or action ("then") of the i-th rule.
func PartName(i int, list string, k int, field string) string {
	return fmt.Sprintf("rules[%d].%s[%d].%s", i, list, k, field)
}

// Subjects returns the choices of what a condition looks at.
func Subjects() []Option { return options(appliance.Subjects()...) }

// Hows returns the choices of how a condition compares.
func Hows() []Option {
	var out []Option
	for _, c := range appliance.Comparisons() {
		out = append(out, Option{string(c), c.String()})
	}
	for _, c := range appliance.Comparisons() {
		out = append(out, Option{"not " + string(c), "not: " + c.String()})
	}
	return out
}

// Deeds returns the choices of what a rule does.
func Deeds() []Option { return options(appliance.RuleActionKinds()...) }

func ruleRows(list []appliance.Rule) []RuleRow {
	out := make([]RuleRow, 0, len(list))
	for _, r := range list {
		row := RuleRow{ID: r.ID, Label: r.Label, Off: r.Disabled}
		for _, c := range r.When {
			how := string(c.Operator)
			if c.Not {
				how = "not " + how
			}
			row.When = append(row.When, ConditionRow{string(c.Subject), c.Name, how, c.Value, c.IgnoreCase})
		}
		for _, a := range r.Then {
			act := ActionRow{Do: string(a.Kind), Pool: a.Pool, Server: a.Server, Header: a.Header, Find: a.Find, Value: a.Value, Status: unlessZero(a.Status), Requests: unlessZero(a.Requests)}
			if a.Period != 0 {
				act.Period = Spaced(a.Period)
			}
			row.Then = append(row.Then, act)
		}
		out = append(out, row)
	}
	return out
}

func unlessZero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// readRules reads the rules that a browser sent.
func readRules(in url.Values) []RuleRow {
	var out []RuleRow
	for i := range mostRules {
		if !in.Has(RuleName(i, "label")) {
			break
		}
		row := RuleRow{ID: one(in, RuleName(i, "id"), longestText), Label: one(in, RuleName(i, "label"), longestText), Off: in.Get(RuleName(i, "off")) == "true"}
		for k := range mostParts {
			if !in.Has(PartName(i, "when", k, "subject")) {
				break
			}
			cell := func(name string) string { return one(in, PartName(i, "when", k, name), longestText) }
			row.When = append(row.When, ConditionRow{cell("subject"), cell("name"), cell("operator"), cell("value"), cell("ignore_case") == "true"})
		}
		for k := range mostParts {
			if !in.Has(PartName(i, "then", k, "do")) {
				break
			}
			cell := func(name string) string { return one(in, PartName(i, "then", k, name), longestText) }
			row.Then = append(row.Then, ActionRow{
				Do: cell("do"), Pool: cell("pool"), Server: cell("server"), Header: cell("header"), Find: cell("find"), Value: cell("value"), Status: cell("status"),
				Requests: cell("requests"), Period: cell("period"),
			})
		}
		out = append(out, row)
	}
	return out
}

// PressRule does what a button of the rules' editor says: rule-add, rule-up-1, rule-remove-1, when-add-1, when-remove-1-0 and so on. False: it is none of those.
func (f *Service) PressRule(button string) bool {
	part := strings.Split(button, "-")
	if len(part) < 2 || part[0] != "rule" && part[0] != "when" && part[0] != "then" {
		return false
	}
	at := []int{-1, -1}
	for i := range min(len(part)-2, 2) {
		if n, err := strconv.Atoi(part[i+2]); err == nil {
			at[i] = n
		}
	}
	if part[0] == "rule" && part[1] == "add" {
		if len(f.Rules) < mostRules-1 {
			f.Rules = append(f.Rules, BlankRule(f.Values["protocol"]))
		}
		return true
	}
	i, k := at[0], at[1]
	if i < 0 || i >= len(f.Rules) {
		return true
	}
	switch r := &f.Rules[i]; part[0] + " " + part[1] {
	case "rule remove":
		f.Rules = slices.Delete(f.Rules, i, i+1)
	case "rule up":
		if i > 0 {
			f.Rules[i-1], f.Rules[i] = f.Rules[i], f.Rules[i-1]
		}
	case "when add":
		r.When = append(r.When, BlankCondition(f.Values["protocol"]))
	case "then add":
		r.Then = append(r.Then, BlankAction())
	case "when remove":
		r.When = without(r.When, k)
	case "then remove":
		r.Then = without(r.Then, k)
	}
	return true
}

func without[T any](list []T, k int) []T {
	if k < 0 || k >= len(list) {
		return list
	}
	return slices.Delete(list, k, k+1)
}

// rulesInto writes the typed rules over those of s, which are matched by id, and returns what cannot be read.
func (f Service) rulesInto(s *appliance.VirtualService) appliance.Errors {
	var errs appliance.Errors
	var out []appliance.Rule
	for i, row := range f.Rules {
		r := appliance.Rule{ID: row.ID, Label: strings.TrimSpace(row.Label), Disabled: row.Off, When: []appliance.Condition{}, Then: []appliance.RuleAction{}}
		at := slices.IndexFunc(s.Rules, func(o appliance.Rule) bool { return o.ID == row.ID })
		if at < 0 {
			r.ID = ""
		}
		if r.Label == "" {
			r.Label = fmt.Sprintf("Rule %d", i+1)
		}
		for _, c := range row.When {
			how, not := strings.CutPrefix(c.How, "not ")
			r.When = append(r.When, appliance.Condition{
				Subject: appliance.Subject(c.Subject), Name: c.Name, Not: not, Operator: appliance.Comparison(how), Value: c.Value, IgnoreCase: c.IgnoreCase,
			})
		}
		for k, a := range row.Then {
			act := appliance.RuleAction{Kind: appliance.RuleActionKind(a.Do), Pool: a.Pool, Server: a.Server, Header: a.Header, Find: a.Find, Value: a.Value}
			if at >= 0 && k < len(s.Rules[at].Then) && s.Rules[at].Then[k].Kind == act.Kind {
				act.MaskIPv4, act.MaskIPv6 = s.Rules[at].Then[k].MaskIPv4, s.Rules[at].Then[k].MaskIPv6
			}
			errs = append(errs, a.numbers(&act, i, k)...)
			r.Then = append(r.Then, act)
		}
		out = append(out, r)
	}
	s.Rules = out
	return errs
}

// numbers reads those of the action's fields that are numbers, if its kind has them.
func (a ActionRow) numbers(act *appliance.RuleAction, i, k int) appliance.Errors {
	var errs appliance.Errors
	number := func(name, text string, to *int) {
		if text = strings.TrimSpace(text); text != "" {
			if err := readNumber(PartName(i, "then", k, name), text, func(n int) { *to = n }); err != nil {
				errs = append(errs, appliance.ErrorsOf(err)...)
			}
		}
	}
	switch act.Kind {
	case appliance.DoRedirect, appliance.DoDeny:
		number("status", a.Status, &act.Status)
	case appliance.DoLimit:
		number("requests", a.Requests, &act.Requests)
		d, err := appliance.ParseDuration(a.Period)
		if err != nil {
			errs = append(errs, appliance.Refuse(PartName(i, "then", k, "period"), "%s", appliance.ErrorsOf(err)[0].Text()))
		}
		act.Period = d
	}
	return errs
}

// knownRule tells whether the rules' editor has a place for an error.
func knownRule(path string) bool {
	_, rest, ok := strings.Cut(path, "].")
	if !ok {
		return false
	}
	list, field, part := strings.Cut(rest, "].")
	if !part {
		return slices.Contains([]string{"label", "when", "then"}, rest)
	}
	known := []string{"do", "pool", "server", "header", "find", "value", "status", "requests", "period"}
	if strings.HasPrefix(list, "when[") {
		known = []string{"subject", "name", "operator", "value"}
	}
	return slices.Contains(known, field)
}

func sayRules(s *vs) string {
	switch n := len(s.Rules); n {
	case 0:
		return "none: every request is served alike"
	case 1:
		return s.Rules[0].Label
	default:
		return count(n, "rule") + ": " + s.Rules[0].Label + " …"
	}
}

// CopyRules makes the rules those of a service that is yet to be: servers are named by label.
func (f *Service) CopyRules() {
	byID := map[string]string{}
	for _, r := range f.Rows {
		byID[r.ID] = r.Label
	}
	for i := range f.Rules {
		f.Rules[i].ID = ""
		for k := range f.Rules[i].Then {
			a := &f.Rules[i].Then[k]
			if label, known := byID[a.Server]; known {
				a.Server = label
			}
		}
	}
}
