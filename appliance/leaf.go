package appliance

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// leaf is a scalar field of an object, or a list as one text.
type leaf struct{ path, text string }

func lookup(list []leaf, path string) (string, bool) {
	for _, l := range list {
		if l.path == path {
			return l.text, true
		}
	}
	return "", false
}

// flatten lists the scalar fields of v's JSON object in the order of the type: nested objects by dotted path, lists as one text. The id is left out.
func flatten(v any) []leaf {
	b, err := json.Marshal(v)
	if err != nil {
		panic("appliance: value without JSON: " + err.Error())
	}
	return flattenObject(b, "")
}

func flattenObject(b []byte, prefix string) []leaf {
	var out []leaf
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return out
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return out
		}
		path := prefix + key.(string)
		switch {
		case path == "id" || string(raw) == "null":
		case raw[0] == '{':
			out = append(out, flattenObject(raw, path+".")...)
		default:
			out = append(out, leaf{path, scalar(raw)})
		}
	}
	return out
}

func scalar(raw json.RawMessage) string {
	if raw[0] == '[' {
		var words []string
		if json.Unmarshal(raw, &words) == nil {
			return strings.Join(words, ", ")
		}
	}
	if raw[0] == '"' {
		if text, err := strconv.Unquote(string(raw)); err == nil {
			return text
		}
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return text
		}
	}
	return string(raw)
}
