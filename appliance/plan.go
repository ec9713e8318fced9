package appliance

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Action says what happens to an object.
type Action string

// The actions of a plan.
const (
	Added   Action = "added"
	Removed Action = "removed"
	Changed Action = "changed"
)

// Effect says what a change does to live connections.
type Effect string

// The effects, from harmless on.
const (
	Keeps  Effect = "keeps"  // every connection stays
	Drains Effect = "drains" // the server gets no new clients; open connections finish
	Ends   Effect = "ends"   // open connections of the object end (FIN)
)

// FieldChange is one field before and after, as shown; From is empty for what was added, To for what was removed.
type FieldChange struct {
	Field string `json:"field"` // path in the API's words
	Name  string `json:"name"`  // as on the pages
	From  string `json:"from"`
	To    string `json:"to"`
}

// Change is one object's difference.
type Change struct {
	Object  string        `json:"object"` // "virtual_service", "real_server", "rule", "script", "settings", "heartbeat", "local"
	ID      string        `json:"id"`
	Label   string        `json:"label"`
	Service string        `json:"virtual_service,omitempty"` // id of the service that holds it, with real_server and rule
	Of      string        `json:"of,omitempty"`              // label of that service
	Action  Action        `json:"action"`
	Fields  []FieldChange `json:"fields,omitempty"`
	Effect  Effect        `json:"effect"`
}

// Plan is the difference between two configurations, in their order. The zero value says that nothing differs.
type Plan struct {
	Changes []Change `json:"changes"`
}

// Empty tells whether nothing differs.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// Count is how many changes an operator would count: a service that is added is one, with its servers.
func (p Plan) Count() int { return len(p.told()) }

// told leaves out the servers of services that are added: they go without saying.
func (p Plan) told() []Change {
	whole := map[string]bool{}
	var out []Change
	for _, c := range p.Changes {
		if whole[c.Service] {
			continue
		}
		whole[c.ID] = c.Object == "virtual_service" && c.Action == Added
		out = append(out, c)
	}
	return out
}

// Summary is the plan in one line: "HL7: weight of Corepoint2 100 → 50 · DMWL: interval 4s → 2s".
func (p Plan) Summary() string {
	told := p.told()
	parts := make([]string, 0, len(told))
	for _, c := range told {
		parts = append(parts, c.Sentence())
	}
	if len(parts) > 5 {
		parts = append(parts[:4], fmt.Sprintf("%d more changes", len(parts)-4))
	}
	return strings.Join(parts, " · ")
}

// Sentence is the change in a few words.
func (c Change) Sentence() string {
	name := c.Label
	if c.Of != "" {
		name = c.Of + ": " + c.Label
	}
	if c.Action != Changed {
		return name + " " + string(c.Action)
	}
	parts := make([]string, 0, len(c.Fields))
	for i, f := range c.Fields {
		if i == 3 && len(c.Fields) > 4 {
			parts = append(parts, fmt.Sprintf("%d more fields", len(c.Fields)-i))
			break
		}
		what := f.Name
		if len(what) > 1 && 'a' <= what[1] && what[1] <= 'z' { // "IP address" and "X-Forwarded-For" stay
			what = strings.ToLower(what[:1]) + what[1:]
		}
		if c.Of != "" {
			what += " of " + c.Label
		}
		parts = append(parts, fmt.Sprintf("%s %s → %s", what, orNone(f.From), orNone(f.To)))
	}
	if c.Of != "" {
		name = c.Of
	}
	return name + ": " + strings.Join(parts, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// Diff returns what must change for a to become b: services and scripts are matched by id, real servers by id within their service.
func Diff(a, b Config) Plan {
	var p Plan
	for _, pair := range match(a.Cluster.VirtualServices, b.Cluster.VirtualServices, func(s *VirtualService) string { return s.ID }) {
		if equal(pair) {
			continue
		}
		p.Changes = append(p.Changes, diffService(pair[0], pair[1])...)
		p.Changes = append(p.Changes, diffRules(&a.Cluster, &b.Cluster, pair)...)
	}
	for _, pair := range match(a.Cluster.Scripts, b.Cluster.Scripts, func(s *Script) string { return s.ID }) {
		if c, differs := diffObject("script", idOf(pair, func(s *Script) (string, string) { return s.ID, s.Label }), pair); differs {
			p.Changes = append(p.Changes, c)
		}
	}
	if c, differs := diffObject("settings", [2]string{"settings", "Settings"}, [2]*Settings{&a.Cluster.Settings, &b.Cluster.Settings}); differs {
		p.Changes = append(p.Changes, c)
	}
	before, after := a.Cluster.Heartbeat.OrDefault(), b.Cluster.Heartbeat.OrDefault()
	if c, differs := diffObject("heartbeat", [2]string{"heartbeat", "Heartbeat"}, [2]*Heartbeat{&before, &after}); differs {
		p.Changes = append(p.Changes, c)
	}
	if c, differs := diffObject("local", [2]string{"local", "Local Configuration"}, [2]*Local{&a.Local, &b.Local}); differs {
		p.Changes = append(p.Changes, c)
	}
	return p
}

// match pairs the elements of two lists by key: b's order, then what only a has. A missing side is nil.
func match[T any](a, b []T, key func(*T) string) [][2]*T {
	before := make(map[string]*T, len(a))
	for i := range a {
		before[key(&a[i])] = &a[i]
	}
	out := make([][2]*T, 0, len(b))
	for i := range b {
		k := key(&b[i])
		out = append(out, [2]*T{before[k], &b[i]})
		delete(before, k)
	}
	for i := range a {
		if before[key(&a[i])] == &a[i] {
			out = append(out, [2]*T{&a[i], nil})
		}
	}
	return out
}

// equal tells quickly that nothing of a pair differs; false says nothing.
func equal[T any](pair [2]*T) bool {
	return pair[0] != nil && pair[1] != nil && reflect.DeepEqual(pair[0], pair[1])
}

func idOf[T any](pair [2]*T, names func(*T) (string, string)) [2]string {
	side := pair[1]
	if side == nil {
		side = pair[0]
	}
	id, label := names(side)
	return [2]string{id, label}
}

func diffService(old, fresh *VirtualService) []Change {
	pair := [2]*VirtualService{old, fresh}
	name := idOf(pair, func(s *VirtualService) (string, string) { return s.ID, s.Label })
	var bare [2]*VirtualService
	for i, s := range pair {
		if s != nil {
			c := *s
			c.RealServers, c.Rules = nil, nil
			bare[i] = &c
		}
	}
	var out []Change
	if c, differs := diffObject("virtual_service", name, bare); differs {
		out = append(out, c)
	}
	if fresh == nil {
		return out
	}
	if old == nil {
		old = &VirtualService{}
	}
	if from, to := checkedPort(old), checkedPort(fresh); from != 0 && to != 0 && from != to && fresh.Ports.Contains(from) && len(out) > 0 {
		f := FieldChange{Field: "check.port", Name: "Port that is checked", From: strconv.Itoa(int(from)), To: strconv.Itoa(int(to))}
		out[0].Fields = append(out[0].Fields, f)
	}
	for _, servers := range match(old.RealServers, fresh.RealServers, func(r *RealServer) string { return r.ID }) {
		if equal(servers) {
			continue
		}
		c, differs := diffObject("real_server", idOf(servers, func(r *RealServer) (string, string) { return r.ID, r.Label }), servers)
		if differs {
			c.Service, c.Of = name[0], name[1]
			out = append(out, c)
		}
	}
	if reordered(old.RealServers, fresh.RealServers, func(r RealServer) string { return r.ID }) {
		labels := func(r RealServer) string { return r.Label }
		out = append(out, orderChange(name, "real_servers", "Order of the real servers", joined(old.RealServers, labels), joined(fresh.RealServers, labels)))
	}
	return out
}

// checkedPort is the port that the checks of a service follow from its list of ports: the first. 0: the service or the check names one.
func checkedPort(s *VirtualService) uint16 {
	if s.Monitor.Port != 0 || len(s.Ports) == 0 || s.Monitor.Kind == MonitorNone {
		return 0
	}
	return s.Ports[0].First
}

// diffObject compares two objects field by field through their JSON, so that no field can be forgotten.
func diffObject[T any](object string, name [2]string, pair [2]*T) (Change, bool) {
	c := Change{Object: object, ID: name[0], Label: name[1], Action: Changed, Effect: Keeps}
	switch {
	case pair[0] == nil:
		c.Action = Added
	case pair[1] == nil:
		c.Action = Removed
		c.Effect = Ends
		if object == "real_server" {
			c.Effect = Drains
		}
		return c, true
	}
	before, after := flatten(pair[0]), flatten(pair[1])
	var usual []leaf
	if c.Action == Added {
		usual = flatten(usualOf(pair[1]))
	}
	for _, leaf := range after {
		if from, _ := lookup(before, leaf.path); from != leaf.text && !isUsual(usual, leaf) {
			c.Fields = append(c.Fields, fieldChange(object, leaf.path, from, leaf.text))
		}
	}
	for _, leaf := range before {
		if _, kept := lookup(after, leaf.path); !kept && leaf.text != "" {
			c.Fields = append(c.Fields, fieldChange(object, leaf.path, leaf.text, ""))
		}
	}
	if c.Action == Changed {
		c.Effect = effectOf(object, c.Fields)
	}
	return c, len(c.Fields) > 0
}

// usualOf returns an object of v's kind with the default of every field, or nil: of what is added only the rest is worth telling.
func usualOf(v any) any {
	switch v := v.(type) {
	case *VirtualService:
		return NewService(v.Protocol)
	case *RealServer:
		return NewRealServer()
	case *spokenRule:
		return spokenRule{}
	}
	return nil
}

func isUsual(usual []leaf, l leaf) bool {
	text, known := lookup(usual, l.path)
	return known && text == l.text && l.path != "protocol"
}

func fieldChange(object, path, from, to string) FieldChange {
	return FieldChange{Field: path, Name: FieldName(object, path), From: legible(path, from), To: legible(path, to)}
}

// legible is the text of a field as people read it: a time, and of each fingerprint what tells it from others.
func legible(path, text string) string {
	switch path {
	case "drain_until":
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return at.UTC().Format("2006-01-02 15:04:05 UTC")
		}
		return text
	case "tls.certificates", "tls.client_ca", "server_tls.ca":
	default:
		return text
	}
	ids := strings.Split(text, ", ")
	for i, id := range ids {
		if len(id) > shortFingerprint {
			ids[i] = id[:shortFingerprint] + "…"
		}
	}
	return strings.Join(ids, ", ")
}

const shortFingerprint = 12

func effectOf(object string, fields []FieldChange) Effect {
	effect := Keeps
	for _, f := range fields {
		switch {
		case object == "virtual_service" && (f.Field == "address" || f.Field == "protocol" || f.Field == "layer"),
			object == "virtual_service" && f.Field == "ports" && losesPorts(f.From, f.To):
			return Ends
		case object == "real_server" && f.Field == "state" && f.To == string(Halt):
			return Ends
		case object == "real_server" && (f.Field == "state" && f.To == string(Drain) || f.Field == "address" || f.Field == "port"):
			effect = Drains
		}
	}
	return effect
}

// losesPorts tells whether a port of from is not in to.
func losesPorts(from, to string) bool {
	before, err := ParsePorts(from)
	if err != nil {
		return false
	}
	after, err := ParsePorts(to)
	return err != nil || slices.ContainsFunc(before.All(), func(port uint16) bool { return !after.Contains(port) })
}
