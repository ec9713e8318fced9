package appliance

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure an Error is; ui maps kinds to HTTP status codes and exit codes, nobody else does.
type Kind string

// The kinds of failure.
const (
	Invalid     Kind = "invalid"     // the input breaks a rule; Field says where
	NotFound    Kind = "not_found"   // the named object does not exist
	Conflict    Kind = "conflict"    // something else holds what is asked for, such as a port
	Stale       Kind = "stale"       // the object changed since it was read
	Denied      Kind = "denied"      // the operator or the process lacks the right
	Unsupported Kind = "unsupported" // this version or this kernel cannot do it
	Unavailable Kind = "unavailable" // it could work later: full disk, lost peer, busy database
	Internal    Kind = "internal"    // a defect
)

// Error is the one error type that crosses package doors. Only Kind must be set; the others may be empty.
type Error struct {
	Kind    Kind   // never empty
	Op      string // the operation, a bare verb phrase: "bind listener"
	Subject string // id of the object concerned
	Field   string // path of the field in the API's words: "ports", "real_servers[1].address"
	Message string // one sentence for the operator; when empty, Err's text serves
	Hint    string // what the operator can do next
	Err     error  // the cause, kept for the log
}

// Error returns the operation and the message in one line.
func (e *Error) Error() string {
	text := e.Text()
	if e.Op == "" {
		return text
	}
	return e.Op + ": " + text
}

// Text returns the sentence for the operator, without operation and hint.
func (e *Error) Text() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Err != nil:
		return e.Err.Error()
	}
	return string(e.Kind)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is every error of one validation; it is never returned empty.
type Errors []*Error

// Error joins the messages, one per field.
func (list Errors) Error() string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.Error()
		if e.Field != "" {
			parts[i] = e.Field + ": " + parts[i]
		}
	}
	return strings.Join(parts, "; ")
}

// Unwrap lets errors.As and errors.Is see each of them.
func (list Errors) Unwrap() []error {
	all := make([]error, len(list))
	for i, e := range list {
		all[i] = e
	}
	return all
}

// KindOf returns the kind of the first *Error in err's tree, Internal when there is none, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ErrorsOf flattens err into a list that pages and the API can show; an error that is not ours becomes one of kind Internal.
func ErrorsOf(err error) Errors {
	if err == nil {
		return nil
	}
	var list Errors
	if errors.As(err, &list) {
		return list
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}
	}
	return Errors{{Kind: Internal, Err: err}}
}

// Refuse returns an Error of kind Invalid at a field.
func Refuse(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}
