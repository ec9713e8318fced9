package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"evenkeel/appliance"
)

// inert replaces what a terminal would obey: texts may come from servers and clients.
func inert(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		if r == '\t' {
			return ' '
		}
		return '?'
	}, text)
}

// table writes rows in aligned columns, two spaces apart; the last column may be as long as it likes. Columns that are numbers stand at the right.
func (s *session) table(head []string, rows [][]string) {
	all := append([][]string{head}, rows...)
	width := make([]int, len(head))
	for _, row := range all {
		for i := range row {
			row[i] = strings.ReplaceAll(inert(row[i]), "\n", " ")
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if numeric(rows, i) {
				line.WriteString(gap + cell + "  ")
				continue
			}
			line.WriteString(cell + gap + "  ")
		}
		s.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func numeric(rows [][]string, column int) bool {
	some := false
	for _, row := range rows {
		if strings.Trim(row[column], "0123456789") != "" {
			return false
		}
		some = some || row[column] != ""
	}
	return some
}

// json writes an answer as the interface gave it, indented.
func (s *session) json(body []byte) error {
	if err := json.Indent(&s.out, bytes.TrimSpace(body), "", "  "); err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "read answer", Err: err}
	}
	s.out.WriteByte('\n')
	return nil
}

// get reads an object of the interface.
func get[T any](s *session, path string, query ...string) (T, answer, error) {
	var v T
	a, err := s.client.do(s.ctx, "GET", path, pairs(query...), nil, "")
	if err != nil {
		return v, a, err
	}
	return v, a, understand(a, &v)
}

func understand(a answer, into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "read answer", Err: err}
	}
	return nil
}
