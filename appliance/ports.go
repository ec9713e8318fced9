package appliance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxPorts is how many ports one virtual service may listen on.
const MaxPorts = 1024

// PortRange is First to Last, both included, 1 to 65535.
type PortRange struct{ First, Last uint16 }

// Ports is a sorted list of ranges that neither overlap nor touch. The zero value holds no port.
type Ports []PortRange

// ParsePorts reads one port, a list, or ranges: "80", "80,443", "800-900". The result is canonical. The error is of kind Invalid.
func ParsePorts(text string) (Ports, error) {
	var list Ports
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		first, last, isRange := strings.Cut(part, "-")
		lo, err := parsePort(first)
		if err != nil {
			return nil, err
		}
		hi := lo
		if isRange {
			if hi, err = parsePort(last); err != nil {
				return nil, err
			}
		}
		if hi < lo {
			return nil, Refuse("ports", "The range %s runs backwards; write %d-%d.", part, hi, lo)
		}
		list = append(list, PortRange{lo, hi})
	}
	list = list.canonical()
	if n := list.Count(); n > MaxPorts {
		return nil, Refuse("ports", "These are %d ports; one service may listen on %d.", n, MaxPorts)
	}
	return list, nil
}

func parsePort(text string) (uint16, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, Refuse("ports", "A port is missing; write one, a list or ranges: 80 or 80,443 or 800-900.")
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || text[0] == '+' {
		return 0, Refuse("ports", "%.20q is not a port; write one, a list or ranges: 80 or 80,443 or 800-900.", text)
	}
	if n < 1 || n > 65535 {
		return 0, Refuse("ports", "Port %d does not exist; ports are 1 to 65535.", n)
	}
	return uint16(n), nil
}

func (p Ports) canonical() Ports {
	list := slices.Clone(p)
	slices.SortFunc(list, func(a, b PortRange) int {
		if a.First != b.First {
			return int(a.First) - int(b.First)
		}
		return int(a.Last) - int(b.Last)
	})
	var out Ports
	for _, r := range list {
		if n := len(out); n > 0 && int(r.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Count returns how many ports these are.
func (p Ports) Count() int {
	n := 0
	for _, r := range p {
		n += int(r.Last) - int(r.First) + 1
	}
	return n
}

// All returns every port in ascending order.
func (p Ports) All() []uint16 {
	out := make([]uint16, 0, p.Count())
	for _, r := range p {
		for port := int(r.First); port <= int(r.Last); port++ {
			out = append(out, uint16(port))
		}
	}
	return out
}

// Contains tells whether port is among them.
func (p Ports) Contains(port uint16) bool {
	return slices.ContainsFunc(p, func(r PortRange) bool { return r.First <= port && port <= r.Last })
}

// Overlap returns the lowest port that both hold.
func (p Ports) Overlap(q Ports) (port uint16, found bool) {
	for _, a := range p {
		for _, b := range q {
			if lo := max(a.First, b.First); lo <= min(a.Last, b.Last) {
				return lo, true
			}
		}
	}
	return 0, false
}

// String writes the list as ParsePorts reads it: "80,443,800-900".
func (p Ports) String() string {
	parts := make([]string, len(p))
	for i, r := range p {
		parts[i] = strconv.Itoa(int(r.First))
		if r.Last != r.First {
			parts[i] += "-" + strconv.Itoa(int(r.Last))
		}
	}
	return strings.Join(parts, ",")
}

// MarshalJSON writes the string form.
func (p Ports) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads the string form, one number, or a list of numbers and strings.
func (p *Ports) UnmarshalJSON(b []byte) error {
	var raw any
	if err := json.Unmarshal(b, &raw); err != nil {
		return fmt.Errorf("read ports: %w", err)
	}
	list, isList := raw.([]any)
	if !isList {
		list = []any{raw}
	}
	parts := make([]string, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case string:
			parts[i] = v
		case float64:
			parts[i] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			return Refuse("ports", "Ports are written as \"80\", \"80,443\" or \"800-900\".")
		}
	}
	parsed, err := ParsePorts(strings.Join(parts, ","))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
