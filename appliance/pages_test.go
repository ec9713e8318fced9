package appliance

import (
	"strings"
	"testing"
)

func TestPagesAreTextAndBounded(t *testing.T) {
	for page, want := range map[string]string{
		"":                                     "",
		"<h1>{status} — zurück</h1>":           "",
		strings.Repeat("x", MaxErrorPage):      "",
		strings.Repeat("x", MaxErrorPage+1):    "A page has at most 16 KiB; this one has 17.",
		"\xff":                                 "The page is not text in UTF-8.",
		"a\x00b":                               "The page is not text in UTF-8.",
		strings.Repeat("x", MaxErrorPage+5000): "A page has at most 16 KiB; this one has 21.",
	} {
		v := &validation{}
		v.page("http.error_page", page, MaxErrorPage)
		got := ""
		if len(v.errors) > 0 {
			got = v.errors[0].Message
		}
		if got != want {
			t.Errorf("%.20q: %q", page, got)
		}
	}
}
