package appliance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Rule is one of a service's rules, which are looked at in the operator's order. All its conditions must hold for what the client sent; then its actions are done, in their
// order. A rule without conditions always holds. The first answer (redirect, deny, a limit that is reached) ends the rules; of several pools or servers the first counts.
type Rule struct {
	ID       string       `json:"id"`    // immutable, given at first commit, unique in the appliance
	Label    string       `json:"label"` // unique in the service
	Disabled bool         `json:"disabled,omitempty"`
	When     []Condition  `json:"when"`
	Then     []RuleAction `json:"then"`
}

// Subject is what a condition looks at.
type Subject string

// The subjects. Sources and TLS names are known in TCP Mode too; everything else is HTTP Mode's.
const (
	SubjectPath   Subject = "path"     // without the query, percent-decoded, without //, /./ and /../: what the servers take it for
	SubjectHost   Subject = "host"     // without its port, in lower case
	SubjectHeader Subject = "header"   // the field called Name; several lines: one of them
	SubjectQuery  Subject = "query"    // the parameter called Name, decoded; without Name the whole query as sent
	SubjectMethod Subject = "method"   // as sent: GET, POST …
	SubjectCookie Subject = "cookie"   // the cookie called Name, as sent
	SubjectSource Subject = "source"   // the client's address; Value lists networks
	SubjectTLS    Subject = "tls_name" // the server name that the client asked for by TLS, in lower case; empty without TLS
)

// Subjects returns every subject, in the order of the pages.
func Subjects() []Subject {
	return []Subject{SubjectPath, SubjectHost, SubjectHeader, SubjectQuery, SubjectMethod, SubjectCookie, SubjectSource, SubjectTLS}
}

// Valid tells whether s is one of the subjects.
func (s Subject) Valid() bool { return slices.Contains(Subjects(), s) }

// String returns the name on the pages.
func (s Subject) String() string {
	switch s {
	case SubjectSource:
		return "source network"
	case SubjectTLS:
		return "TLS server name"
	}
	return string(s)
}

// Named tells whether a condition on s says which one, by name.
func (s Subject) Named() bool { return s == SubjectHeader || s == SubjectCookie }

// listed tells whether the value of a condition on s may be several, separated by commas, of which one must fit.
func (s Subject) listed() bool {
	return s == SubjectHost || s == SubjectMethod || s == SubjectSource || s == SubjectTLS
}

// Comparison says how a condition compares.
type Comparison string

// The comparisons. Networks only know Equal: the address lies in one of them.
const (
	OpEqual    Comparison = "equal"
	OpBegins   Comparison = "begins"
	OpEnds     Comparison = "ends"
	OpContains Comparison = "contains"
	OpRegexp   Comparison = "regexp"
	OpPresent  Comparison = "present" // whatever the value
)

// Comparisons returns every comparison, in the order of the pages.
func Comparisons() []Comparison {
	return []Comparison{OpEqual, OpBegins, OpEnds, OpContains, OpRegexp, OpPresent}
}

// Valid tells whether o is one of the comparisons.
func (o Comparison) Valid() bool { return slices.Contains(Comparisons(), o) }

// String returns the word on the pages.
func (o Comparison) String() string {
	switch o {
	case OpEqual:
		return "is"
	case OpBegins:
		return "begins with"
	case OpEnds:
		return "ends with"
	case OpRegexp:
		return "matches"
	case OpPresent:
		return "is present"
	}
	return string(o)
}

// Condition is one thing that must hold of a request.
type Condition struct {
	Subject    Subject    `json:"subject"`
	Name       string     `json:"name,omitempty"` // of the header, the query's parameter or the cookie
	Not        bool       `json:"not,omitempty"`
	Operator   Comparison `json:"operator"`
	Value      string     `json:"value,omitempty"`       // with hosts, methods, networks and TLS names several, separated by commas: one of them must fit
	IgnoreCase bool       `json:"ignore_case,omitempty"` // hosts, TLS names and names of headers never know case
}

// Values returns what the subject is compared with: one text, or several of those that may be listed.
func (c Condition) Values() []string {
	if !c.Subject.listed() || c.Operator == OpRegexp {
		return []string{c.Value}
	}
	var out []string
	for part := range strings.SplitSeq(c.Value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// Networks returns the networks of a condition on the source; an address stands for itself.
func (c Condition) Networks() ([]netip.Prefix, error) {
	parts := c.Values()
	out := make([]netip.Prefix, 0, len(parts))
	for _, part := range parts {
		if a, err := netip.ParseAddr(part); err == nil && a.Zone() == "" {
			a = a.Unmap()
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil || p.Addr().Is4In6() {
			return nil, Refuse("value", "%.60q is not a network, such as 10.0.0.0/8 or 192.168.0.40.", part)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// String returns the condition in a few words: "path begins with /api".
func (c Condition) String() string {
	var b strings.Builder
	b.WriteString(c.Subject.String())
	if c.Name != "" {
		b.WriteString(" " + c.Name)
	}
	if c.Not {
		b.WriteString(" not:")
	}
	if c.Subject == SubjectSource && c.Operator == OpEqual {
		b.WriteString(" in")
	} else {
		b.WriteString(" " + c.Operator.String())
	}
	if c.Operator != OpPresent {
		b.WriteString(" " + c.Value)
	}
	return b.String()
}

// RuleActionKind is what an action does.
type RuleActionKind string

// The kinds of action.
const (
	DoPool            RuleActionKind = "use_pool"
	DoServer          RuleActionKind = "use_server"
	DoRedirect        RuleActionKind = "redirect"
	DoRewrite         RuleActionKind = "rewrite_path"
	DoDeny            RuleActionKind = "deny"
	DoLimit           RuleActionKind = "rate_limit"
	DoSetRequest      RuleActionKind = "set_request_header"      // the only line of that name
	DoAddRequest      RuleActionKind = "add_request_header"      // one more line
	DoRemoveRequest   RuleActionKind = "remove_request_header"   // every line of that name
	DoReplaceRequest  RuleActionKind = "replace_request_header"  // what Find matches in its values
	DoSetResponse     RuleActionKind = "set_response_header"     // as with requests
	DoAddResponse     RuleActionKind = "add_response_header"     //
	DoRemoveResponse  RuleActionKind = "remove_response_header"  //
	DoReplaceResponse RuleActionKind = "replace_response_header" //
)

// RuleActionKinds returns every kind, in the order of the pages.
func RuleActionKinds() []RuleActionKind {
	return []RuleActionKind{
		DoPool, DoServer, DoRedirect, DoRewrite, DoDeny, DoLimit, DoSetRequest, DoAddRequest, DoRemoveRequest, DoReplaceRequest,
		DoSetResponse, DoAddResponse, DoRemoveResponse, DoReplaceResponse,
	}
}

// Valid tells whether k is one of the kinds.
func (k RuleActionKind) Valid() bool { return slices.Contains(RuleActionKinds(), k) }

// String returns the name on the pages.
func (k RuleActionKind) String() string {
	switch k {
	case DoPool:
		return "use the pool of"
	case DoServer:
		return "use the server"
	case DoRedirect:
		return "redirect to"
	case DoRewrite:
		return "rewrite the path"
	case DoLimit:
		return "limit the rate"
	}
	verb, rest, edits := strings.Cut(string(k), "_")
	if !edits {
		return string(k)
	}
	side, _, _ := strings.Cut(rest, "_")
	if verb == "replace" {
		return "replace in " + side + " header"
	}
	return verb + " " + side + " header"
}

// OnHeader tells whether k edits a header.
func (k RuleActionKind) OnHeader() bool { return strings.HasSuffix(string(k), "_header") }

// OnResponse tells whether k edits a header of the response.
func (k RuleActionKind) OnResponse() bool { return strings.HasSuffix(string(k), "_response_header") }

// Finds tells whether k replaces what Find matches.
func (k RuleActionKind) Finds() bool {
	return k == DoRewrite || k == DoReplaceRequest || k == DoReplaceResponse
}

// RuleAction is one thing that a rule does. Only the fields of its kind count; Normalize empties the others.
type RuleAction struct {
	Kind     RuleActionKind `json:"do"`
	Pool     string         `json:"pool,omitempty"`     // id of the virtual service whose pool serves
	Server   string         `json:"server,omitempty"`   // id of a real server of this service
	Header   string         `json:"header,omitempty"`   // name of the field
	Find     string         `json:"find,omitempty"`     // regular expression; what it matches is replaced
	Value    string         `json:"value,omitempty"`    // of the header, or the new path, or where to redirect; may hold placeholders such as {host} and {path}
	Status   int            `json:"status,omitempty"`   // of a redirect or a refusal
	Requests int            `json:"requests,omitempty"` // of one source within Period
	Period   Duration       `json:"period,omitempty"`
	MaskIPv4 int            `json:"mask_ipv4,omitempty"` // bits that tell one source from another
	MaskIPv6 int            `json:"mask_ipv6,omitempty"`
}

// canonical empties what does not count and fills in what is usual.
func (a RuleAction) canonical() RuleAction {
	out := RuleAction{Kind: a.Kind}
	switch k := a.Kind; {
	case k == DoPool:
		out.Pool = a.Pool
	case k == DoServer:
		out.Server = a.Server
	case k == DoRedirect:
		out.Value, out.Status = strings.TrimSpace(a.Value), orElse(a.Status, 302)
	case k == DoDeny:
		out.Status = orElse(a.Status, 403)
	case k == DoLimit:
		out.Requests, out.Period = a.Requests, a.Period
		out.MaskIPv4, out.MaskIPv6 = orElse(a.MaskIPv4, 32), orElse(a.MaskIPv6, 64)
	case k == DoRewrite:
		out.Find, out.Value = a.Find, strings.TrimSpace(a.Value)
	case k.OnHeader():
		out.Header, out.Value = strings.TrimSpace(a.Header), strings.TrimSpace(a.Value)
		if k.Finds() {
			out.Find = a.Find
		}
		if k == DoRemoveRequest || k == DoRemoveResponse {
			out.Value = ""
		}
	default:
		return a
	}
	return out
}

func orElse(n, usual int) int {
	if n == 0 {
		return usual
	}
	return n
}

// Sentence returns the action in a few words; name tells the label of an id, nil: ids stand for themselves.
func (a RuleAction) Sentence(name func(id string) string) string {
	if name == nil {
		name = func(id string) string { return id }
	}
	switch k := a.Kind; {
	case k == DoPool:
		return k.String() + " " + name(a.Pool)
	case k == DoServer:
		return k.String() + " " + name(a.Server)
	case k == DoRedirect:
		return fmt.Sprintf("%s %s (%d)", k, a.Value, a.Status)
	case k == DoDeny:
		return fmt.Sprintf("deny (%d)", a.Status)
	case k == DoLimit:
		return fmt.Sprintf("limit the rate to %d in %s from one source", a.Requests, a.Period)
	case k == DoRewrite && a.Find == "":
		return "rewrite the path to " + a.Value
	case k.Finds() && k.OnHeader():
		return fmt.Sprintf("%s %s: %s → %s", k, a.Header, a.Find, a.Value)
	case k.Finds():
		return fmt.Sprintf("rewrite the path: %s → %s", a.Find, a.Value)
	case a.Value == "":
		return k.String() + " " + a.Header
	case k.OnHeader():
		return fmt.Sprintf("%s %s: %s", k, a.Header, a.Value)
	}
	return string(a.Kind)
}

// Conditions returns the rule's conditions in a few words.
func (r Rule) Conditions() string {
	if len(r.When) == 0 {
		return "always"
	}
	parts := make([]string, len(r.When))
	for i, c := range r.When {
		parts[i] = c.String()
	}
	return strings.Join(parts, " and ")
}

// Actions returns what the rule does in a few words; name as in RuleAction.Sentence.
func (r Rule) Actions(name func(id string) string) string {
	parts := make([]string, len(r.Then))
	for i, a := range r.Then {
		parts[i] = a.Sentence(name)
	}
	return strings.Join(parts, ", ")
}

func cloneRules(list []Rule) []Rule {
	list = slices.Clone(list)
	for i := range list {
		list[i].When, list[i].Then = slices.Clone(list[i].When), slices.Clone(list[i].Then)
	}
	return list
}

func (r *Rule) normalize() {
	r.Label = strings.TrimSpace(r.Label)
	if r.When == nil {
		r.When = []Condition{}
	}
	if r.Then == nil {
		r.Then = []RuleAction{}
	}
	for i := range r.When {
		c := &r.When[i]
		c.Name = strings.TrimSpace(c.Name)
		if c.Operator == "" {
			c.Operator = OpEqual
		}
		if c.Operator == OpPresent {
			c.Value = ""
		}
		if c.Subject.listed() && c.Operator != OpRegexp {
			c.Value = strings.Join(c.Values(), ", ")
		}
		if c.Subject != SubjectQuery && !c.Subject.Named() {
			c.Name = ""
		}
	}
	for i := range r.Then {
		r.Then[i] = r.Then[i].canonical()
	}
}

// NameRules turns the labels that rules were written with into ids: a program that adds a service cannot know the ids of its servers yet.
func (c *Cluster) NameRules() {
	byLabel := make(map[string]string, len(c.VirtualServices))
	for i := range c.VirtualServices {
		byLabel[c.VirtualServices[i].Label] = c.VirtualServices[i].ID
	}
	for i := range c.VirtualServices {
		s := &c.VirtualServices[i]
		for r := range s.Rules {
			for k := range s.Rules[r].Then {
				a := &s.Rules[r].Then[k]
				if id := byLabel[a.Pool]; a.Kind == DoPool && id != "" && c.Service(a.Pool) == nil {
					a.Pool = id
				}
				if a.Kind == DoServer && s.Server(a.Server) == nil {
					a.Server = s.serverLabelled(a.Server)
				}
			}
		}
	}
}

// serverLabelled returns the id of the server with that label, or what was given.
func (s *VirtualService) serverLabelled(label string) string {
	for i := range s.RealServers {
		if s.RealServers[i].Label == label && s.RealServers[i].ID != "" {
			return s.RealServers[i].ID
		}
	}
	return label
}

// NameOf returns the label of the service or real server with that id, or the id.
func (c *Cluster) NameOf(id string) string {
	for i := range c.VirtualServices {
		s := &c.VirtualServices[i]
		if s.ID == id {
			return s.Label
		}
		if r := s.Server(id); r != nil {
			return r.Label
		}
	}
	return id
}
