package rules

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"evenkeel/appliance"
)

// Program is the compiled rules of one service. It is immutable but for the tables of its limits, which all loops share. A nil Program has no rules.
type Program struct {
	routes []Route
	rules  []rule
	limits []*Limiter
}

// Route is where a rule sends requests to: the pool of a service, or one server of the own service. Exactly one is set.
type Route struct{ Pool, Server string } // ids

type rule struct {
	id      string
	number  int // in the service's list, switched off ones counted
	when    []condition
	actions []action
}

type condition struct {
	subject  appliance.Subject
	operator appliance.Comparison
	name     []byte // lower case for a header
	values   [][]byte
	networks []netip.Prefix
	re       *regexp.Regexp
	not      bool
	fold     bool
}

type action struct {
	kind   appliance.RuleActionKind
	status int
	route  int // 1 + index in routes
	value  template
	find   *regexp.Regexp
	edit   *Edit
	limit  *Limiter
}

// Compile returns the program of a service's rules, or nil when none is switched on. The counts of limits that stand unchanged in old, which may be nil, are kept.
// It fails only for rules that Validate refuses.
// Routes that old had keep their numbers, because requests may be under way that were given one.
func Compile(list []appliance.Rule, old *Program) (*Program, error) {
	p := &Program{}
	if old != nil && len(old.routes) < mostRoutes {
		p.routes = slices.Clone(old.routes)
	}
	for i := range list {
		r := &list[i]
		if r.Disabled {
			continue
		}
		c := rule{id: r.ID, number: i}
		for k := range r.When {
			cond, err := compileCondition(&r.When[k])
			if err != nil {
				return nil, fmt.Errorf("compile condition %d of rule %s: %w", k+1, r.Label, err)
			}
			c.when = append(c.when, cond)
		}
		for k := range r.Then {
			a, err := p.compileAction(r.ID, k, &r.Then[k], old)
			if err != nil {
				return nil, fmt.Errorf("compile action %d of rule %s: %w", k+1, r.Label, err)
			}
			c.actions = append(c.actions, a)
		}
		p.rules = append(p.rules, c)
	}
	if len(p.rules) == 0 {
		return nil, nil
	}
	return p, nil
}

// Routes returns where the rules send requests to, in the order of their numbers: Decision.Route is 1 for the first. A nil program has none.
func (p *Program) Routes() []Route {
	if p == nil {
		return nil
	}
	return p.routes
}

// mostRoutes is how many routes a program takes over: more than the rules of a service can have, so that it forgets only what is long gone.
const mostRoutes = 16 * appliance.MaxRules

// Asks tells whether a rule looks at the subject. A nil program asks nothing.
func (p *Program) Asks(s appliance.Subject) bool {
	return p != nil && slices.ContainsFunc(p.rules, func(r rule) bool {
		return slices.ContainsFunc(r.when, func(c condition) bool { return c.subject == s })
	})
}

func compileCondition(c *appliance.Condition) (condition, error) {
	out := condition{subject: c.Subject, operator: c.Operator, name: []byte(c.Name), not: c.Not, fold: c.IgnoreCase}
	if c.Subject == appliance.SubjectHost || c.Subject == appliance.SubjectTLS {
		out.fold = true
	}
	if c.Subject == appliance.SubjectHeader {
		out.name = bytes.ToLower(out.name)
	}
	var err error
	switch {
	case c.Subject == appliance.SubjectSource:
		out.networks, err = c.Networks()
	case c.Operator == appliance.OpRegexp:
		text := c.Value
		if out.re, err = appliance.Expression(text); err == nil && out.fold {
			out.re, err = regexp.Compile("(?i)" + text)
		}
	case c.Operator != appliance.OpPresent:
		for _, v := range c.Values() {
			if out.fold {
				v = strings.ToLower(v)
			}
			out.values = append(out.values, []byte(v))
		}
	}
	return out, err
}

func (p *Program) compileAction(rule string, number int, a *appliance.RuleAction, old *Program) (action, error) {
	out := action{kind: a.Kind, status: a.Status, value: parseTemplate(a.Value)}
	var err error
	if a.Find != "" || a.Kind.Finds() && a.Kind.OnHeader() { // a path may be rewritten as a whole
		if out.find, err = appliance.Expression(a.Find); err != nil {
			return out, err
		}
	}
	switch k := a.Kind; {
	case k == appliance.DoPool:
		out.route = p.route(Route{Pool: a.Pool})
	case k == appliance.DoServer:
		out.route = p.route(Route{Server: a.Server})
	case k == appliance.DoLimit:
		out.limit = NewLimiter(Rate{
			Rule: fmt.Sprintf("%s/%d", rule, number), Requests: a.Requests, Period: a.Period.D(), MaskIPv4: a.MaskIPv4, MaskIPv6: a.MaskIPv6,
		}, old)
		p.limits = append(p.limits, out.limit)
	case k.OnHeader():
		out.edit = &Edit{verb: verbOf(k), name: a.Header, value: out.value, find: out.find, with: []byte(a.Value)}
		if k.OnResponse() { // a response has no placeholders
			out.edit.value = template{{Text: a.Value}}
		}
	}
	return out, nil
}

func (p *Program) route(r Route) int {
	for i, have := range p.routes {
		if have == r {
			return i + 1
		}
	}
	p.routes = append(p.routes, r)
	return len(p.routes)
}
