// Package problem turns errors into answers: the one place where kinds of failure become HTTP status codes, and application/problem+json (RFC 9457).
package problem

import (
	"encoding/json"
	"fmt"
	"net/http"

	"evenkeel/appliance"
)

// MediaType is the Content-Type of a Problem.
const MediaType = "application/problem+json"

// Problem is the body of every answer that is not a success.
type Problem struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail,omitempty"`
	Errors  []FieldError       `json:"errors,omitempty"`
	Current json.RawMessage    `json:"current,omitempty"`
	Changed []appliance.Change `json:"changed,omitempty"`

	HostKey string               `json:"host_key,omitempty"` // of the node that is to be paired, to be confirmed
	Steps   []appliance.PairStep `json:"steps,omitempty"`    // how far making or breaking a pair came
}

// FieldError is one refusal; Field is relative to the object that was sent, and empty when no single field is at fault.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Status returns the HTTP status of a kind as the REST interface answers it; the empty kind is 200.
func Status(k appliance.Kind) int {
	switch k {
	case "":
		return http.StatusOK
	case appliance.Invalid, appliance.Unsupported:
		return http.StatusUnprocessableEntity
	case appliance.NotFound:
		return http.StatusNotFound
	case appliance.Conflict:
		return http.StatusConflict
	case appliance.Stale:
		return http.StatusPreconditionFailed
	case appliance.Denied:
		return http.StatusForbidden
	case appliance.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// FormStatus is Status for a page with a form: what is stale is a conflict there, since a browser sends no If-Match.
func FormStatus(k appliance.Kind) int {
	if k == appliance.Stale {
		return http.StatusConflict
	}
	return Status(k)
}

// KindOf returns the kind that decides the status of err: the common one, else Internal when one is, else Invalid.
func KindOf(err error) appliance.Kind {
	var common appliance.Kind
	for i, e := range appliance.ErrorsOf(err) {
		switch {
		case e.Kind == appliance.Internal:
			return appliance.Internal
		case i == 0:
			common = e.Kind
		case e.Kind != common:
			common = appliance.Invalid
		}
	}
	return common
}

// Title names a kind in a few words.
func Title(k appliance.Kind) string {
	switch k {
	case appliance.Invalid:
		return "This was not accepted"
	case appliance.NotFound:
		return "There is no such object"
	case appliance.Conflict:
		return "Something else holds this"
	case appliance.Stale:
		return "Someone else changed this meanwhile"
	case appliance.Denied:
		return "Not allowed"
	case appliance.Unsupported:
		return "This version cannot do that"
	case appliance.Unavailable:
		return "Not possible at the moment"
	}
	return "A defect of the appliance"
}

// internalDetail stands for every text of an internal error: those are for the log.
const internalDetail = "Something failed inside the appliance. Its log says what; nothing was changed by halves."

// Of returns the answer to err, which must not be nil. Internal errors lose their texts.
func Of(err error) Problem {
	kind := KindOf(err)
	p := Problem{Type: "urn:evenkeel:" + string(kind), Title: Title(kind), Status: Status(kind)}
	if kind == appliance.Internal {
		p.Detail = internalDetail
		return p
	}
	list := appliance.ErrorsOf(err)
	p.Detail = list[0].Text()
	if len(list) > 1 {
		p.Detail = fmt.Sprintf("%s (and %d more)", p.Detail, len(list)-1)
	}
	for _, e := range list {
		p.Errors = append(p.Errors, FieldError{Field: e.Field, Message: e.Text(), Hint: e.Hint})
	}
	return p
}

// Write sends the answer. Headers that were set before stay.
func (p Problem) Write(w http.ResponseWriter) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write problem: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(p.Status)
	_, err = w.Write(append(body, '\n'))
	return err
}
