package appliance

import (
	"net/netip"
	"slices"
	"strings"
)

// Subject is what a condition looks at.
type Subject string

// The subjects. Sources are known in every mode, TLS names in TCP Mode too; everything else is HTTP Mode's.
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

// In tells whether rules of that mode can look at s.
func (s Subject) In(p Protocol) bool {
	return p == HTTP || s == SubjectSource || s == SubjectTLS && p == TCP
}

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
