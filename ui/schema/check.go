package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// Decode reads text into the value that into points to: one JSON value, no name twice, no unknown name, every value of its type. It returns a
// *SyntaxError for what is not JSON and appliance.Errors with every wrong field otherwise. The value is untouched unless the error is nil.
func Decode(text []byte, into any) error {
	tree, err := parse(text)
	if err != nil {
		return err
	}
	return fill(tree, into)
}

// Merge reads text as an RFC 7396 merge patch of current, and the result into the value that into points to, as strictly as Decode.
func Merge(current any, text []byte, into any) error {
	patch, err := parse(text)
	if err != nil {
		return err
	}
	c := checker{nulls: true}
	if c.value(Of(reflect.TypeOf(into).Elem()), "", patch); len(c.errors) > 0 {
		return c.errors
	}
	plain, err := json.Marshal(current)
	if err != nil {
		return fmt.Errorf("write current value: %w", err)
	}
	tree, err := parse(plain)
	if err != nil {
		return err
	}
	return fill(merge(tree, patch), into)
}

// merge is the MergePatch function of RFC 7396, section 2.
func merge(value, patch any) any {
	object, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	out, isObject := value.(map[string]any)
	if !isObject {
		out = map[string]any{}
	}
	for name, v := range object {
		if v == nil {
			delete(out, name)
			continue
		}
		out[name] = merge(out[name], v)
	}
	return out
}

func fill(tree, into any) error {
	var c checker
	if c.value(Of(reflect.TypeOf(into).Elem()), "", tree); len(c.errors) > 0 {
		return c.errors
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("write checked value: %w", err)
	}
	fresh := reflect.New(reflect.TypeOf(into).Elem())
	if err := json.Unmarshal(text, fresh.Interface()); err != nil {
		return sentence("", err)
	}
	reflect.ValueOf(into).Elem().Set(fresh.Elem())
	return nil
}

type checker struct {
	nulls  bool // a null is a removal, as in a merge patch
	errors appliance.Errors
}

// maxErrors bounds the answer to a body that is wrong everywhere.
const maxErrors = 100

func (c *checker) refuse(path, hint, format string, args ...any) {
	if len(c.errors) < maxErrors {
		e := appliance.Refuse(path, format, args...)
		e.Hint = hint
		c.errors = append(c.errors, e)
	}
}

func (c *checker) value(s *Schema, path string, v any) {
	if v == nil {
		if !c.nulls {
			c.refuse(path, "Leave the field out to get its default.", "null is no value here.")
		}
		return
	}
	form := formOf(v)
	if !s.Reads(form) {
		c.refuse(path, "", "%s", expectation(s))
		return
	}
	switch {
	case s.trial:
		c.try(s, path, v)
	case form == Object && s.Form == Object:
		c.object(s, path, v.(map[string]any))
	case form == List && s.Form == List:
		inner := checker{} // RFC 7396 replaces lists whole: a null in one is no removal
		for i, item := range v.([]any) {
			inner.value(s.Item, fmt.Sprintf("%s[%d]", path, i), item)
		}
		c.errors = append(c.errors, inner.errors[:min(len(inner.errors), maxErrors-min(len(c.errors), maxErrors))]...)
	case form == Whole && s.Form == Whole:
		if n, err := strconv.ParseInt(string(v.(json.Number)), 10, 64); err != nil || n < s.Min || n > s.Max {
			c.refuse(path, "", "%s", expectation(s))
		}
	}
}

func (c *checker) object(s *Schema, path string, v map[string]any) {
	for _, p := range s.Fields {
		if below, given := v[p.Name]; given {
			c.value(p.Schema, join(path, p.Name), below)
		}
	}
	var unknown []string
	for name := range v {
		if _, known := s.Field(name); !known {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		c.refuse(join(path, name), "The fields here are: "+strings.Join(names(s), ", ")+".", "There is no field of this name.")
	}
}

func names(s *Schema) []string {
	out := make([]string, len(s.Fields))
	for i, p := range s.Fields {
		out[i] = p.Name
	}
	return out
}

// try lets the type's own reader decide.
func (c *checker) try(s *Schema, path string, v any) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(s.Type).Interface())
	}
	var own *appliance.Error
	switch {
	case err == nil:
	case errors.As(err, &own):
		c.refuse(path, own.Hint, "%s", own.Text())
	default:
		c.refuse(path, "", "%s", expectation(s))
	}
}

func formOf(v any) Form {
	switch v.(type) {
	case map[string]any:
		return Object
	case []any:
		return List
	case string:
		return Text
	case bool:
		return Truth
	}
	return Whole
}

// expectation says in a sentence what belongs here.
func expectation(s *Schema) string {
	switch s.Form {
	case Object:
		return "An object belongs here, in { }."
	case List:
		return "A list belongs here, in [ ]."
	case Truth:
		return "true or false belongs here."
	case Fraction:
		return "A number belongs here."
	case Whole:
		if s.Max < 1<<31 {
			return fmt.Sprintf("A whole number from %d to %d belongs here.", s.Min, s.Max)
		}
		return "A whole number belongs here."
	}
	switch s.Format {
	case "ip":
		return "An IP address belongs here, such as \"192.168.0.40\" or \"fd00::40\"."
	case "ip or transparent":
		return "An IP address belongs here, or \"transparent\"."
	case "ip-port":
		return "An address with its port belongs here, such as \"192.168.0.9:80\"."
	case "cidr":
		return "A network belongs here, such as \"192.168.0.0/24\"."
	case "date-time":
		return "A time belongs here, such as \"2026-01-31T12:00:00Z\"."
	case "duration":
		return "A time span belongs here, such as \"4s\", \"30m\" or \"12h\"."
	case "ports":
		return "Ports belong here: \"80\", \"80,443\" or \"800-900\"."
	}
	return "A text belongs here, in quotes."
}

// sentence turns what a reader of package appliance returned into an error at a field.
func sentence(path string, err error) error {
	var own *appliance.Error
	if errors.As(err, &own) {
		return appliance.Errors{appliance.Refuse(join(path, own.Field), "%s", own.Text())}
	}
	return appliance.Errors{{Kind: appliance.Invalid, Field: path, Message: "This is not what belongs here.", Err: err}}
}
