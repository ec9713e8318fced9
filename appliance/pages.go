package appliance

import (
	"strings"
	"unicode/utf8"
)

// Bounds of pages that the operator writes.
const (
	MaxErrorPage    = 16 << 10
	MaxFallbackPage = 64 << 10
	maxCacheSize    = 1024 // MiB
)

// What stands for the answer at hand in HTTPOptions.ErrorPage.
const (
	ErrorPageStatus = "{status}" // such as 503
	ErrorPageReason = "{reason}" // such as Service Unavailable
)

// page refuses what is no text or too large for one; an empty page is none of the operator's own.
func (v *validation) page(field, text string, limit int) {
	switch {
	case len(text) > limit:
		v.refuse(field, "A page has at most %d KiB; this one has %d.", limit>>10, (len(text)+1023)>>10)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		v.refuse(field, "The page is not text in UTF-8.")
	}
}
