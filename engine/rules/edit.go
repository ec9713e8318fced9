package rules

import (
	"regexp"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// Verb is what an edit does to the lines of its name.
type Verb uint8

// The verbs.
const (
	Set     Verb = iota // the only line is this one
	Add                 // one more line
	Remove              // no line
	Replace             // within the values of the lines that are there
)

func verbOf(k appliance.RuleActionKind) Verb {
	switch k {
	case appliance.DoAddRequest, appliance.DoAddResponse:
		return Add
	case appliance.DoRemoveRequest, appliance.DoRemoveResponse:
		return Remove
	case appliance.DoReplaceRequest, appliance.DoReplaceResponse:
		return Replace
	}
	return Set
}

// Edit is a change of the header fields of one name. It is immutable.
type Edit struct {
	verb  Verb
	name  string
	value template
	find  *regexp.Regexp
	with  []byte
}

// Verb returns what is to be done.
func (e *Edit) Verb() Verb { return e.verb }

// Concerns tells whether a field is the one.
func (e *Edit) Concerns(name []byte) bool {
	if len(name) != len(e.name) {
		return false
	}
	for i, c := range name {
		if fold(c) != fold(e.name[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// AppendLine appends the whole line that Set and Add make; r is nil for a response. A value that could not stand in a header makes no line: nothing can split a message.
func (e *Edit) AppendLine(dst []byte, r *Request) []byte {
	from := len(dst)
	dst = append(append(dst, e.name...), ": "...)
	at := len(dst)
	if dst = e.value.append(dst, r); !request.Value(dst[at:]) {
		return dst[:from]
	}
	return append(dst, "\r\n"...)
}

// AppendValue appends what a request's Set gives as a value, without its name.
func (e *Edit) AppendValue(dst []byte, r *Request) []byte { return e.value.append(dst, r) }

// AppendReplaced appends the line with what the expression matches in value replaced; false: nothing is to be replaced, or the result could not stand in a header.
func (e *Edit) AppendReplaced(dst, value []byte) ([]byte, bool) {
	if len(value) > maxMatched || !e.find.Match(value) {
		return dst, false
	}
	fresh := e.find.ReplaceAll(value, e.with)
	if !request.Value(fresh) {
		return dst, false
	}
	dst = append(append(dst, e.name...), ": "...)
	return append(append(dst, fresh...), "\r\n"...), true
}
