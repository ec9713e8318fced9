package problem

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestEveryKindHasOneStatus(t *testing.T) {
	for kind, want := range map[appliance.Kind][2]int{
		"": {200, 200}, appliance.Invalid: {422, 422}, appliance.NotFound: {404, 404}, appliance.Conflict: {409, 409}, appliance.Stale: {412, 409},
		appliance.Denied: {403, 403}, appliance.Unsupported: {422, 422}, appliance.Unavailable: {503, 503}, appliance.Internal: {500, 500}, "other": {500, 500},
	} {
		if got := [2]int{Status(kind), FormStatus(kind)}; got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

func TestOfListsEveryField(t *testing.T) {
	err := fmt.Errorf("commit: %w", appliance.Errors{
		{Kind: appliance.Invalid, Field: "ports", Message: "A port is missing.", Hint: "Write one."},
		{Kind: appliance.Conflict, Field: "label", Message: "Taken."},
	})
	p := Of(err)
	if p.Status != 422 || len(p.Errors) != 2 || p.Errors[0] != (FieldError{"ports", "A port is missing.", "Write one."}) || p.Errors[1].Field != "label" {
		t.Errorf("%+v", p)
	}
	if Of(appliance.Errors{{Kind: appliance.Conflict}, {Kind: appliance.Conflict}}).Status != 409 {
		t.Error("only conflicts are a conflict")
	}
}

func TestInternalErrorsLeakNothing(t *testing.T) {
	for _, err := range []error{
		errors.New("SELECT secret FROM /var/lib/x.db"),
		&appliance.Error{Kind: appliance.Internal, Message: "secret", Err: errors.New("secret")},
		appliance.Errors{{Kind: appliance.Invalid, Message: "fine"}, {Kind: appliance.Internal, Message: "secret"}},
	} {
		w := httptest.NewRecorder()
		if err := Of(err).Write(w); err != nil {
			t.Fatal(err)
		}
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || len(Of(err).Errors) > 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w.Header().Get("Content-Type") != MediaType || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v", w.Header())
		}
	}
}
