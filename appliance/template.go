package appliance

import (
	"slices"
	"strings"
)

// Placeholders returns the names that may stand in braces in a redirect, a new path or the value of a request's header, such as {host}.
func Placeholders() []string {
	return []string{"scheme", "host", "port", "path", "query", "method", "source"}
}

// Piece is a part of a template: literal text, or the name of a placeholder.
type Piece struct {
	Text string
	Name string // empty: Text stands as it is
}

// ParseTemplate splits a text at its placeholders. A brace that begins none of them stands for itself.
func ParseTemplate(text string) []Piece {
	var out []Piece
	literal := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '{' {
			continue
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			break
		}
		if name := text[i+1 : i+end]; slices.Contains(Placeholders(), name) {
			if literal < i {
				out = append(out, Piece{Text: text[literal:i]})
			}
			out = append(out, Piece{Name: name})
			i += end
			literal = i + 1
		}
	}
	if literal < len(text) {
		out = append(out, Piece{Text: text[literal:]})
	}
	return out
}
