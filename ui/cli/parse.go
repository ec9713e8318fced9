package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/schema"
)

// option is one flag of a command.
type option struct {
	Name  string
	Value string // what stands for the value in the help; empty: a switch
	Help  string
	path  string // of a field flag: the field that it sets
}

func common() []option {
	return []option{
		{Name: "json", Help: "Answer in JSON, as the REST interface does."},
		{Name: "data", Value: "DIR", Help: "The data folder of the appliance."},
		{Name: "help", Help: "Show this text."},
	}
}

func changing() []option {
	return []option{
		{Name: "why", Value: "TEXT", Help: "The reason; it stands in the history."},
		{Name: "dry-run", Help: "Save nothing; show what would change."},
		{Name: "apply", Help: "Apply at once, with everything that was saved before."},
	}
}

func whyOption() option {
	return option{Name: "why", Value: "TEXT", Help: "The reason; it stands in the history."}
}

// typeOf returns the type behind an object of the catalogue.
func typeOf(object string) reflect.Type {
	switch object {
	case "virtual_service":
		return reflect.TypeFor[appliance.VirtualService]()
	case "real_server":
		return reflect.TypeFor[appliance.RealServer]()
	case "settings":
		return reflect.TypeFor[appliance.Settings]()
	case "heartbeat":
		return reflect.TypeFor[appliance.Heartbeat]()
	case "local":
		return reflect.TypeFor[appliance.Local]()
	}
	return nil
}

// fieldFlags are the flags for the fields of an object: check.interval is --check-interval, check.kind is --check.
func fieldFlags(object string) []option {
	if object == "" {
		return nil
	}
	var out []option
	s := schema.Of(typeOf(object))
	for _, f := range appliance.Fields() {
		at, found := s.At(f.Path)
		if f.Object != object || !found || at.Form == schema.List && !ofTexts(at) {
			continue
		}
		help := f.Help
		if at.Choices != nil {
			help += " (" + strings.Join(at.Choices, ", ") + ")"
		}
		name := strings.NewReplacer(".", "-", "_", "-").Replace(strings.TrimSuffix(f.Path, ".kind"))
		o := option{Name: name, Value: placeholder(at), Help: help, path: f.Path}
		out = append(out, o)
	}
	return append(out, option{Name: "field", Value: "PATH=VALUE", Help: "Any field by its path; an empty value restores the default. May be repeated."})
}

// ofTexts tells whether a list can be written as texts with commas between them.
func ofTexts(s *schema.Schema) bool {
	return s.Form == schema.List && s.Item != nil && s.Item.Form == schema.Text
}

// placeholder is what stands for a value in the help; a switch has none.
func placeholder(s *schema.Schema) string {
	switch {
	case s.Form == schema.Truth:
		return ""
	case s.Form == schema.Whole:
		return "N"
	case s.Choices != nil:
		return "WORD"
	case s.Form == schema.List:
		return "TEXT,TEXT"
	case s.Format != "":
		return strings.ToUpper(s.Format)
	}
	return "TEXT"
}

func (c *command) options() []option {
	out := append(append([]option{}, c.Flags...), fieldFlags(c.Fields)...)
	if c.Changes {
		out = append(out, changing()...)
	}
	return append(out, common()...)
}

// parse reads flags, which may stand anywhere, and positional arguments. "--" ends the flags. A switch may be followed by true or false.
func (s *session) parse(args []string) error {
	s.flags = map[string][]string{}
	known := map[string]option{}
	for _, o := range s.command.options() {
		known[o.Name] = o
	}
	for i := 0; i < len(args); i++ {
		text, isFlag := strings.CutPrefix(args[i], "--")
		switch {
		case args[i] == "-h":
			s.flags["help"] = []string{"true"}
			continue
		case args[i] == "--":
			s.args = append(s.args, args[i+1:]...)
			return nil
		case !isFlag && (args[i] == "-" || !strings.HasPrefix(args[i], "-")):
			s.args = append(s.args, args[i])
			continue
		}
		name, value, hasValue := strings.Cut(text, "=")
		o, exists := known[name]
		if exists && o.Value == "" && !hasValue && i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
			i++
			value, hasValue = args[i], true
		}
		switch {
		case !isFlag || !exists:
			return s.misused("there is no flag %s", args[i])
		case o.Value == "" && !hasValue:
			value = "true"
		case o.Value == "" && value != "true" && value != "false":
			return s.misused("--%s is true or false", name)
		case o.Value != "" && !hasValue:
			if i++; i == len(args) {
				return s.misused("--%s needs a value", name)
			}
			value = args[i]
		}
		if len(s.flags[name]) > 0 && !slices.Contains([]string{"field", "server", "header", "answer"}, name) {
			return s.misused("--%s stands twice", name)
		}
		s.flags[name] = append(s.flags[name], value)
	}
	return nil
}

// flag returns the value of a flag, or "".
func (s *session) flag(name string) string {
	if list := s.flags[name]; len(list) > 0 {
		return list[0]
	}
	return ""
}

// flagged tells whether a flag is given; a switch that is false is not.
func (s *session) flagged(name string) bool {
	return len(s.flags[name]) > 0 && (s.flag(name) != "false" || s.optionNamed(name).Value != "")
}

func (s *session) optionNamed(name string) option {
	for _, o := range s.command.options() {
		if o.Name == name {
			return o
		}
	}
	return option{}
}

// pairs makes a query of names and values; empty values are left out.
func pairs(list ...string) url.Values {
	out := url.Values{}
	for i := 0; i < len(list); i += 2 {
		if list[i+1] != "" {
			out.Set(list[i], list[i+1])
		}
	}
	return out
}

// committing is the query of every change.
func (s *session) committing() url.Values {
	out := pairs("why", s.flag("why"))
	for name, flag := range map[string]string{"dry_run": "dry-run", "apply": "apply"} {
		if s.flagged(flag) {
			out.Set(name, "true")
		}
	}
	return out
}

// fields is what the field flags ask for, as a merge patch.
func (s *session) fields() (map[string]any, error) {
	patch := map[string]any{}
	about := schema.Of(typeOf(s.command.Fields))
	for _, o := range fieldFlags(s.command.Fields) {
		if o.path == "" || len(s.flags[o.Name]) == 0 {
			continue
		}
		if err := s.put(patch, about, o.path, s.flag(o.Name), "--"+o.Name); err != nil {
			return nil, err
		}
	}
	for _, text := range s.flags["field"] {
		path, value, hasValue := strings.Cut(text, "=")
		if !hasValue {
			return nil, s.misused("--field is written PATH=VALUE, such as --field persistence.kind=source_ip")
		}
		if err := s.put(patch, about, path, value, "--field "+path); err != nil {
			return nil, err
		}
	}
	return patch, nil
}

// put sets the value at a path of a merge patch, as the type of the field wants it.
func (s *session) put(patch map[string]any, about *schema.Schema, path, text, flag string) error {
	at, found := about.At(path)
	if !found || path == "id" || at.Form == schema.List && !ofTexts(at) || at.Form == schema.Object {
		return s.misused("%s: there is no such field to set; known are %s", flag, strings.Join(settable(s.command.Fields), ", "))
	}
	var value any = text
	switch {
	case text == "":
		value = nil
	case at.Form == schema.Whole:
		if strings.Trim(text, "-0123456789") != "" {
			return s.misused("%s is a number", flag)
		}
		value = json.Number(text)
	case at.Form == schema.Truth:
		if text != "true" && text != "false" {
			return s.misused("%s is true or false", flag)
		}
		value = text == "true"
	case at.Form == schema.List:
		list := strings.Split(text, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		value = list
	}
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner, isObject := patch[name].(map[string]any)
		if !isObject {
			inner = map[string]any{}
			patch[name] = inner
		}
		patch = inner
	}
	last := names[len(names)-1]
	if _, twice := patch[last]; twice {
		return s.misused("%s is set twice", path)
	}
	patch[last] = value
	return nil
}

func settable(object string) []string {
	var out []string
	for _, f := range fieldFlags(object) {
		if f.path != "" {
			out = append(out, f.path)
		}
	}
	return out
}

// number reads an argument that is a positive number.
func (s *session) number(text, what string) (string, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return "", s.misused("%s is a number, not %q", what, text)
	}
	return text, nil
}

// quoted is how a person writes a word on the command line.
func quoted(text string) string {
	if strings.ContainsAny(text, " ") {
		return fmt.Sprintf("%q", text)
	}
	return text
}
