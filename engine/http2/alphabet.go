package http2

import (
	"unsafe"

	"evenkeel/engine/request"
)

// text is s as bytes that nobody may change.
func text(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// validName tells whether s may be the name of a field: a token in lower case (RFC 9113, 8.2.1).
func validName(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return validToken(s)
}

func validToken(s string) bool { return request.Token(text(s)) }

// validValue tells whether s may be the value of a field: no control byte, and no space around it (RFC 9113, 8.2.1).
func validValue(s string) bool {
	b := text(s)
	return request.Value(b) && len(request.Trim(b)) == len(b)
}

// validTarget tells whether s may be a path with query, or *.
func validTarget(s string) bool {
	b := text(s)
	return len(b) > 0 && (b[0] == '/' || s == "*") && request.TargetLen(b) == len(b)
}
