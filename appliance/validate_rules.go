package appliance

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
)

// Bounds of rules. A loop runs every expression against what a client sends, so they are small.
const (
	MaxRules      = 200 // of one service
	maxParts      = 16  // conditions, and actions, of one rule
	maxRuleText   = 1024
	maxExpression = 512
	maxProgram    = 1000 // instructions of a compiled expression
	maxPerPeriod  = 1_000_000
)

// Expression compiles a regular expression of a rule (RE2, as Go reads it), within the bounds of what may run against what clients send.
func Expression(text string) (*regexp.Regexp, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("it is longer than %d bytes", maxExpression)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		return nil, errors.New(wrong.Code.String())
	} else if err != nil {
		return nil, err
	}
	if weight(parsed, 1) > maxProgram {
		return nil, errors.New("it is too large: repetitions multiply")
	}
	return regexp.Compile(text)
}

// weight is about how many instructions an expression compiles to.
func weight(e *syntax.Regexp, times int) int {
	if times > maxProgram {
		return times
	}
	n := times * max(1, len(e.Rune)/2)
	if e.Op == syntax.OpRepeat {
		times *= max(e.Min, e.Max, 1)
	}
	for _, sub := range e.Sub {
		n += weight(sub, times)
		if n > maxProgram {
			return n
		}
	}
	return n
}

func (v *validation) rules(s *VirtualService, ids map[string]bool) {
	if len(s.Rules) > MaxRules {
		v.refuse("rules", "There are %d rules; one service holds %d.", len(s.Rules), MaxRules)
		return
	}
	outer, id := v.prefix, v.id
	labels := map[string]bool{}
	for i := range s.Rules {
		r := &s.Rules[i]
		v.prefix, v.id = fmt.Sprintf("%srules[%d].", outer, i), r.ID
		if v.label(r.Label) && labels[strings.ToLower(r.Label)] {
			v.refuse("label", "There is already a rule named %s in this service.", r.Label).Kind = Conflict
		}
		labels[strings.ToLower(r.Label)] = true
		v.uniqueID(ids, r.ID)
		v.rule(s, r)
	}
	v.prefix, v.id = outer, id
}

func (v *validation) rule(s *VirtualService, r *Rule) {
	if len(r.When) > maxParts {
		v.refuse("when", "A rule has at most %d conditions.", maxParts)
		return
	}
	switch {
	case len(r.Then) == 0:
		v.refuse("then", "A rule needs an action.")
		return
	case len(r.Then) > maxParts:
		v.refuse("then", "A rule has at most %d actions.", maxParts)
		return
	}
	outer := v.prefix
	for i := range r.When {
		v.prefix = fmt.Sprintf("%swhen[%d].", outer, i)
		v.condition(s, &r.When[i])
	}
	for i := range r.Then {
		v.prefix = fmt.Sprintf("%sthen[%d].", outer, i)
		v.action(s, &r.Then[i])
	}
	v.prefix = outer
}

func (v *validation) condition(s *VirtualService, c *Condition) {
	listed(v, "subject", c.Subject, Subjects())
	listed(v, "operator", c.Operator, Comparisons())
	switch {
	case c.Subject.Valid() && !c.Subject.In(s.Protocol):
		v.refuse("subject", "%s knows nothing of the %s; that needs HTTP Mode.", s.Protocol, c.Subject)
	case c.Subject.Named() && !validToken.MatchString(c.Name):
		v.refuse("name", "Write the name of the %s: letters, digits and signs such as - and _, no space.", c.Subject)
	case c.Subject == SubjectQuery && (len(c.Name) > 128 || !visible(c.Name)):
		v.refuse("name", "This is no name of a parameter.")
	case c.Subject == SubjectSource:
		v.networks(c)
	case c.Operator != OpPresent:
		v.compared(c)
	}
}

func (v *validation) networks(c *Condition) {
	if c.Operator != OpEqual {
		v.refuse("operator", "An address lies in a network or not: choose \"%s\".", OpEqual)
		return
	}
	if list, err := c.Networks(); err != nil {
		v.refuse("value", "%s", ErrorsOf(err)[0].Text())
	} else if len(list) == 0 || len(list) > 256 {
		v.refuse("value", "Write 1 to 256 networks, such as 10.0.0.0/8, separated by commas.")
	}
}

func (v *validation) compared(c *Condition) {
	switch {
	case len(c.Value) > maxRuleText:
		v.refuse("value", "This is longer than %d bytes.", maxRuleText)
	case !oneLine(c.Value):
		v.refuse("value", "This has a control byte, which no request can have.")
	case c.Operator == OpRegexp:
		if _, err := Expression(c.Value); err != nil || c.Value == "" {
			v.badExpression("value", err)
		}
	case len(c.Values()) == 0, c.Value == "" && c.Operator != OpEqual:
		v.refuse("value", "Write what the %s is compared with.", c.Subject)
	case c.Subject == SubjectPath && (c.Operator == OpEqual || c.Operator == OpBegins) && !strings.HasPrefix(c.Value, "/"):
		v.refuse("value", "A path begins with /.")
	case c.Subject == SubjectPath && strings.Contains(c.Value, "?"):
		v.refuse("value", "A path ends before the ?; add a condition on the query.")
	case c.Subject == SubjectHost && strings.ContainsAny(c.Value, ":/"):
		v.refuse("value", "Write the host without scheme, port and path, such as www.example.org.")
	}
}

func (v *validation) badExpression(field string, err error) {
	if err == nil {
		err = errors.New("it is empty")
	}
	v.refuse(field, "This is not a regular expression that can be used: %v.", err)
}

// oneLine tells whether a text can stand in a header: no control byte, and no character that hides or reorders others.
func oneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
	})
}

func (v *validation) action(s *VirtualService, a *RuleAction) {
	if a.Kind.Valid() && !a.Kind.In(s.Protocol) {
		what := "deny, use a pool, use a server or limit the rate"
		if s.Protocol == UDP {
			what = "deny, use a pool or use a server"
		}
		v.refuse("do", "In %s a rule can %s.", s.Protocol, what)
		return
	}
	if (len(a.Value) > maxRuleText || !oneLine(a.Value)) && a.Kind.Valid() {
		v.refuse("value", "This text is one line of at most %d bytes, without control bytes.", maxRuleText)
		return
	}
	switch k := a.Kind; {
	case k == DoPool:
		v.usesPool(s, a)
	case k == DoServer:
		if s.Server(a.Server) == nil {
			v.refuse("server", "Choose a real server of this service.")
		}
	case k == DoRedirect:
		v.redirect(a)
	case k == DoDeny:
		if a.Status < 400 || a.Status > 599 {
			v.refuse("status", "A refusal has a status from 400 to 599; 403 is usual.")
		}
	case k == DoLimit:
		v.between("requests", a.Requests, 1, maxPerPeriod)
		v.lasts("period", a.Period, time.Second, 24*time.Hour)
		v.between("mask_ipv4", a.MaskIPv4, 1, 32)
		v.between("mask_ipv6", a.MaskIPv6, 1, 128)
	case k == DoRewrite:
		v.rewrite(a)
	case k.OnHeader():
		v.header(a)
	default:
		listed(v, "do", k, RuleActionKinds())
	}
}

// usesPool refuses a pool that does not exist, or whose traffic is of another kind.
func (v *validation) usesPool(s *VirtualService, a *RuleAction) {
	switch o := v.config.Cluster.Service(a.Pool); {
	case a.Pool == "":
		v.refuse("pool", "Choose a virtual service whose real servers are to serve.")
	case o == nil:
		v.refuse("pool", "This rule leads to a virtual service that does not exist.").Hint = "If it is to be removed, let the rule lead elsewhere first."
	case o.ID == s.ID:
		v.refuse("pool", "This is the service itself; choose another one.")
	case o.Protocol != s.Protocol:
		v.refuse("pool", "%s is in %s, this service in %s.", o.Label, o.Protocol, s.Protocol)
	case o.Persistence.Kind != PersistNone && o.Persistence.Kind != PersistSourceIP:
		v.refuse("pool", "%s keeps its clients by %s, which only clients of its own can bring back; choose none or source IP there.", o.Label, o.Persistence.Kind)
	}
}

func (v *validation) redirect(a *RuleAction) {
	if !slices.Contains([]int{301, 302, 303, 307, 308}, a.Status) {
		v.refuse("status", "A redirect has the status 301, 302, 303, 307 or 308.")
	}
	to := a.Value
	scheme := strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "{scheme}://")
	switch {
	case !visible(to):
		v.refuse("value", "An address has no space and no sign beyond ASCII; write those as %%20 and the like.")
	case !scheme && !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "{path}"):
		v.refuse("value", "Write where to: https://www.example.org{path}{query}, or a path that begins with /.")
	case strings.HasPrefix(to, "//"), strings.HasSuffix(to, "://"):
		v.refuse("value", "The host is missing.")
	}
}

func (v *validation) rewrite(a *RuleAction) {
	if a.Find != "" {
		if _, err := Expression(a.Find); err != nil {
			v.badExpression("find", err)
		}
	}
	switch {
	case !visible(a.Value) || strings.Contains(a.Value, "#"):
		v.refuse("value", "A path has no space, no # and no sign beyond ASCII; write those as %%20 and the like.")
	case a.Find == "" && !strings.HasPrefix(a.Value, "/") && !strings.HasPrefix(a.Value, "{path}"):
		v.refuse("value", "A path begins with /.")
	}
}

func (v *validation) header(a *RuleAction) {
	name := strings.ReplaceAll(strings.ToLower(a.Header), "_", "-")
	switch {
	case !validToken.MatchString(a.Header):
		v.refuse("header", "Write the name of a header: letters, digits and signs such as - and _, no space.")
	case slices.Contains(framingHeaders(), name):
		v.refuse("header", "%s says where a message ends or belongs to one connection; the appliance writes it itself.", a.Header)
	case name == "host" && a.Kind != DoSetRequest:
		v.refuse("header", "Every request has exactly one Host; it can only be set.")
	case name == "host" && strings.ContainsAny(a.Value, " /@\\?#,"):
		v.refuse("value", "This is not a host name.")
	}
	if a.Value == "" && (a.Kind == DoSetRequest || a.Kind == DoAddRequest || a.Kind == DoSetResponse || a.Kind == DoAddResponse) {
		v.refuse("value", "Write the header's value; to take the header away choose remove.")
	}
	if a.Kind.Finds() {
		if _, err := Expression(a.Find); err != nil || a.Find == "" {
			v.badExpression("find", err)
		}
	}
}

// framingHeaders frame a message or concern one connection only (RFC 9110, 7.6.1; RFC 9112, 6): no rule sets, removes or copies them.
func framingHeaders() []string {
	return []string{
		"content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer", "upgrade",
		"expect", "http2-settings", "sec-websocket-key", "sec-websocket-version", "sec-websocket-accept",
	}
}
