// Package form turns what people type into appliance values and back. A form keeps every text as typed, so that a refused page loses nothing; fields carry the API's paths
// as their names, so that an error of Validate finds its field.
package form

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// Kind says how a field is drawn and read.
type Kind string

// The kinds of field.
const (
	Text     Kind = "text"
	Number   Kind = "number"
	Duration Kind = "duration"
	Choice   Kind = "choice"
	Check    Kind = "check"
	Area     Kind = "area"
	Ticks    Kind = "ticks" // any number of the options
)

// Option is one choice.
type Option struct{ Value, Name string }

// Field describes one field of a virtual service.
type Field struct {
	Path    string // in the API's words; also the name in the form
	Kind    Kind
	Options []Option
	fits    func(option string, p appliance.Protocol) bool // nil: every option fits in every mode
	For     string                                         // values of the section's first field with which this one counts, separated by spaces; empty: with all
	Example string                                         // shown in an empty field

	get func(*appliance.VirtualService) string
	set func(*appliance.VirtualService, string) error
}

// Name returns the field's name on the pages.
func (f Field) Name() string { return appliance.FieldName("virtual_service", f.Path) }

// Help returns the catalogue's sentences about the field.
func (f Field) Help() string {
	entry, _ := appliance.FieldOf("virtual_service", f.Path)
	return entry.Help
}

// Values is a form as typed, by path.
type Values map[string]string

// Errors maps the path of a field to what is wrong with it; what concerns no field of the form stands under "".
type Errors map[string][]*appliance.Error

// Of returns the messages of one field, joined.
func (e Errors) Of(path string) string {
	parts := make([]string, 0, 2)
	for _, one := range e[path] {
		parts = append(parts, strings.TrimSpace(one.Text()+" "+one.Hint))
	}
	return strings.Join(parts, " ")
}

// Any tells whether one of the paths has an error; a path that ends with a dot or a bracket stands for all below it.
func (e Errors) Any(paths ...string) bool {
	for have := range e {
		for _, p := range paths {
			if have == p || (strings.HasSuffix(p, ".") || strings.HasSuffix(p, "[")) && strings.HasPrefix(have, p) {
				return true
			}
		}
	}
	return false
}

// Sort assigns errors to fields: prefix is cut off their paths, and what known does not hold goes under "".
func Sort(err error, prefix string, known func(path string) bool) Errors {
	out := Errors{}
	for _, e := range appliance.ErrorsOf(err) {
		path := strings.TrimPrefix(e.Field, prefix)
		if !known(path) {
			path = ""
		}
		out[path] = append(out[path], e)
	}
	return out
}

// limit cuts what nobody types, so that a refused page stays a page.
func limit(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

const (
	longestText = 4 << 10
	longestArea = 300 << 10
)

func one(in url.Values, name string, most int) string { return limit(in.Get(name), most) }

func readNumber(path, text string, set func(int)) error {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return appliance.Refuse(path, "%.40q is not a whole number.", text)
	}
	set(n)
	return nil
}

// readPort reads a port that may be left out.
func readPort(path, text string) (uint16, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, appliance.Refuse(path, "%.20q is not a port; ports are 1 to 65535.", text)
	}
	return uint16(n), nil
}

func readAddress(path, text string) (netip.Addr, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, appliance.Refuse(path, "%.60q is not an IP address.", text)
	}
	return a.Unmap(), nil
}

// Spaced writes a duration as people read it: 4 s, 30 min, 12 h.
func Spaced(d appliance.Duration) string {
	text := d.String()
	i := strings.IndexFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' })
	if i < 0 || strings.ContainsAny(text[i:], "0123456789") {
		return text
	}
	if unit := text[i:]; unit == "m" {
		return text[:i] + " min"
	}
	return text[:i] + " " + text[i:]
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
