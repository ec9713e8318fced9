package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"evenkeel/appliance"
)

// SyntaxError says that a text is not one well-formed JSON value in which every name stands once. Field may be empty.
type SyntaxError struct{ Problem *appliance.Error }

// Error returns the sentence.
func (e *SyntaxError) Error() string { return e.Problem.Error() }

// Unwrap returns the sentence as an error of kind Invalid.
func (e *SyntaxError) Unwrap() error { return e.Problem }

func malformed(field, format string, args ...any) *SyntaxError {
	return &SyntaxError{appliance.Refuse(field, format, args...)}
}

// maxDepth bounds nesting; a configuration needs six levels.
const maxDepth = 16

// parse reads exactly one JSON value: objects are map[string]any, lists []any, numbers json.Number.
func parse(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, malformed("", "The text is not valid UTF-8.")
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, malformed("", "The body is empty; it must be JSON.")
	}
	p := &parser{d: json.NewDecoder(bytes.NewReader(text))}
	p.d.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("", "There is something behind the end of the JSON value.")
	}
	return v, nil
}

type parser struct{ d *json.Decoder }

func (p *parser) token(path string) (json.Token, error) {
	t, err := p.d.Token()
	if err == nil {
		return t, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, malformed(path, "The JSON ends too early.")
	}
	return nil, malformed(path, "This is not JSON, at byte %d.", p.d.InputOffset())
}

func (p *parser) value(path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed(path, "The JSON is nested more than %d deep.", maxDepth)
	}
	t, err := p.token(path)
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return p.object(path, depth)
		}
		return p.list(path, depth)
	case string:
		if strings.ContainsRune(t, utf8.RuneError) {
			return nil, malformed(path, "The text has a character that Unicode does not know.")
		}
	}
	return t, nil
}

func (p *parser) object(path string, depth int) (any, error) {
	out := map[string]any{}
	for p.d.More() {
		t, err := p.token(path)
		if err != nil {
			return nil, err
		}
		name, isText := t.(string)
		if !isText {
			return nil, malformed(path, "This is not JSON, at byte %d.", p.d.InputOffset())
		}
		at := join(path, name)
		if _, twice := out[name]; twice {
			return nil, malformed(at, "The field %.60q stands twice.", name)
		}
		if out[name], err = p.value(at, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := p.token(path)
	return out, err
}

func (p *parser) list(path string, depth int) (any, error) {
	out := []any{}
	for p.d.More() {
		v, err := p.value(fmt.Sprintf("%s[%d]", path, len(out)), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := p.token(path)
	return out, err
}

// join appends a name to a path; a name that a client made up is shortened, since it comes back in the answer.
func join(path, name string) string {
	if len(name) > 60 {
		name = strings.ToValidUTF8(name[:60], "") + "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
