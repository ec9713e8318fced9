// Package schema reads JSON strictly against Go types and describes those types: the one reader behind the REST interface, its OpenAPI
// description and the field flags of the command line. It is pure; every refusal names its field in the API's words.
package schema

import (
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"evenkeel/appliance"
)

// Form is the shape of a JSON value.
type Form string

// The forms.
const (
	Object   Form = "object"
	List     Form = "array"
	Text     Form = "string"
	Whole    Form = "integer"
	Fraction Form = "number" // of what is answered; nothing that is configured is one
	Truth    Form = "boolean"
	Free     Form = "" // anything
)

// Schema describes one type. Form is how the value is written by the appliance; Also lists further forms that are read.
type Schema struct {
	Type    reflect.Type
	Form    Form
	Also    []Form
	Format  string     // of a text, as JSON Schema names it
	Choices []string   // of a text that is one of a few words
	Fields  []Property // of an object, in the order of the type
	Item    *Schema    // of a list
	Min     int64      // of a whole number
	Max     int64
	trial   bool // the type's own reader decides
}

// Property is one field of an object.
type Property struct {
	Name     string
	Optional bool // left out when it is empty
	Schema   *Schema
}

// Of returns the description of t. Types must not be recursive.
func Of(t reflect.Type) *Schema {
	if t.Kind() == reflect.Pointer {
		return Of(t.Elem())
	}
	if s, special := own(t); special {
		return s
	}
	s := &Schema{Type: t}
	switch t.Kind() {
	case reflect.String:
		s.Form, s.Choices = Text, choices(t)
	case reflect.Bool:
		s.Form = Truth
	case reflect.Int, reflect.Int64:
		s.Form, s.Min, s.Max = Whole, math.MinInt64, math.MaxInt64
	case reflect.Float64:
		s.Form = Fraction
	case reflect.Uint64:
		s.Form, s.Max = Whole, math.MaxInt64
	case reflect.Uint16:
		s.Form, s.Max = Whole, math.MaxUint16
	case reflect.Slice:
		s.Form, s.Item = List, Of(t.Elem())
	case reflect.Struct:
		s.Form, s.Fields = Object, fields(t)
	default:
		panic("schema: type without a description: " + t.String())
	}
	return s
}

// own describes the types that read and write themselves.
func own(t reflect.Type) (*Schema, bool) {
	s := &Schema{Type: t, Form: Text, trial: true}
	switch reflect.Zero(t).Interface().(type) {
	case netip.Addr:
		s.Format = "ip"
	case netip.AddrPort:
		s.Format = "ip-port"
	case netip.Prefix:
		s.Format = "cidr"
	case appliance.Source:
		s.Format = "ip or transparent"
	case time.Time:
		s.Format = "date-time"
	case appliance.Duration:
		s.Format, s.Also = "duration", []Form{Whole}
	case appliance.Ports:
		s.Format, s.Also = "ports", []Form{Whole, List}
	case appliance.Networks:
		s = &Schema{Type: t, Form: List, trial: true, Item: &Schema{Type: t.Elem(), Form: Text, Format: "address or network"}}
	case appliance.Monitor, appliance.Persistence:
		s = &Schema{Type: t, Form: Object, Also: []Form{Text}, Fields: fields(t)}
	case json.RawMessage:
		s = &Schema{Type: t, Form: Free}
	case map[string]uint64:
		s = &Schema{Type: t, Form: Object, trial: true}
	default:
		return nil, false
	}
	return s, true
}

func fields(t reflect.Type) []Property {
	var out []Property
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			out = append(out, fields(f.Type)...)
		case !f.IsExported() || tag == "-" || tag == "":
		default:
			out = append(out, Property{Name: tag, Optional: strings.Contains(options, "omit"), Schema: Of(f.Type)})
		}
	}
	return out
}

// choices lists the words of the string types that have a few; Validate decides what is accepted.
func choices(t reflect.Type) []string {
	switch reflect.Zero(t).Interface().(type) {
	case appliance.Role:
		return words(appliance.Administrator, appliance.OperatorRole, appliance.Viewer)
	case appliance.Protocol:
		return words(appliance.HTTP, appliance.TCP, appliance.UDP)
	case appliance.Scheduler:
		return words(appliance.Schedulers()...)
	case appliance.ModeOfUse:
		return words(appliance.LoadBalanced, appliance.Failover)
	case appliance.State:
		return words(appliance.Online, appliance.Drain, appliance.Halt)
	case appliance.MonitorKind:
		return words(appliance.MonitorKinds()...)
	case appliance.PersistenceKind:
		return words(appliance.PersistenceKinds()...)
	case appliance.FallbackKind:
		return words(appliance.FallbackPage, appliance.FallbackNone, appliance.FallbackServer)
	case appliance.ForwardedFor:
		return words(appliance.ForwardedAppend, appliance.ForwardedReplace, appliance.ForwardedOff)
	case appliance.Subject:
		return words(appliance.Subjects()...)
	case appliance.Comparison:
		return words(appliance.Comparisons()...)
	case appliance.RuleActionKind:
		return words(appliance.RuleActionKinds()...)
	case appliance.Reuse:
		return words(appliance.ReuseSafe, appliance.ReuseNever, appliance.ReuseAlways)
	case appliance.KeepAlive:
		return words(appliance.KeepAliveBoth, appliance.KeepAliveClient, appliance.KeepAliveNone)
	}
	return protocolChoices(t)
}

func protocolChoices(t reflect.Type) []string {
	switch reflect.Zero(t).Interface().(type) {
	case appliance.HTTP2In:
		return words(appliance.HTTP2Off, appliance.HTTP2OverTLS, appliance.HTTP2Always)
	case appliance.ProxyOut:
		return words(appliance.ProxyOutOff, appliance.ProxyOutV1, appliance.ProxyOutV2)
	case appliance.LogMode:
		return words(appliance.LogAll, appliance.LogErrors, appliance.LogOff)
	case appliance.WitnessKind:
		return words(appliance.WitnessGateway, appliance.WitnessAddresses, appliance.WitnessNode, appliance.WitnessNone)
	case appliance.Transport:
		return words(appliance.SyslogUDP, appliance.SyslogTCP, appliance.SyslogTLS)
	}
	return tlsChoices(t)
}

func tlsChoices(t reflect.Type) []string {
	switch reflect.Zero(t).Interface().(type) {
	case appliance.TLSVersion:
		return words(appliance.TLS12, appliance.TLS13)
	case appliance.ClientAuth:
		return words(appliance.ClientAuthNone, appliance.ClientAuthOptional, appliance.ClientAuthRequired)
	case appliance.HTTPSRedirect:
		return words(appliance.HTTPSRedirects()...)
	case appliance.KeyKind:
		return words(appliance.KeyECDSA256, appliance.KeyECDSA384, appliance.KeyRSA2048, appliance.KeyRSA4096)
	}
	return observedChoices(t)
}

func observedChoices(t reflect.Type) []string {
	switch reflect.Zero(t).Interface().(type) {
	case appliance.Health:
		return words(appliance.Up, appliance.Down, appliance.Unknown)
	case appliance.ServiceHealth:
		return words(appliance.ServiceUp, appliance.ServiceDegraded, appliance.ServiceDrained, appliance.ServiceFallback, appliance.ServiceDown,
			appliance.ServiceUnknown)
	case appliance.Severity:
		return words(appliance.Information, appliance.Warning, appliance.Critical)
	case appliance.Outcome:
		return words(appliance.Pending, appliance.Applied, appliance.Failed)
	case appliance.Line:
		return words(appliance.ClusterLine, appliance.LocalLine)
	case appliance.Action:
		return words(appliance.Added, appliance.Removed, appliance.Changed)
	case appliance.Effect:
		return words(appliance.Keeps, appliance.Drains, appliance.Ends)
	case appliance.PairRole:
		return words(appliance.Primary, appliance.Secondary)
	case appliance.Activity:
		return words(appliance.Alone, appliance.Starting, appliance.Passive, appliance.Taking, appliance.Active, appliance.HandingOn, appliance.Cut)
	}
	return nil
}

func words[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// Field returns the field of that name.
func (s *Schema) Field(name string) (Property, bool) {
	for _, p := range s.Fields {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}

// At returns what stands at a dotted path below s, such as "check.http.verify".
func (s *Schema) At(path string) (*Schema, bool) {
	at := s
	for name := range strings.SplitSeq(path, ".") {
		p, found := at.Field(name)
		if !found {
			return nil, false
		}
		at = p.Schema
	}
	return at, true
}

// Paths lists every field of an object that is not an object itself, by dotted path, in the order of the type. Lists of objects are one path.
func (s *Schema) Paths() []string {
	var out []string
	for _, p := range s.Fields {
		if p.Schema.Form != Object {
			out = append(out, p.Name)
			continue
		}
		for _, below := range p.Schema.Paths() {
			out = append(out, p.Name+"."+below)
		}
	}
	return out
}

// Reads tells whether a value of that form is read.
func (s *Schema) Reads(f Form) bool {
	if s.Form == f || s.Form == Free || s.Form == Fraction && f == Whole {
		return true
	}
	for _, also := range s.Also {
		if also == f {
			return true
		}
	}
	return false
}
