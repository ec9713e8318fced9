package ui

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
)

// list is what a page lists, as it leaves the appliance in a file: every row has a cell for each column.
type list struct {
	name    string // of the file
	columns []string
	rows    [][]any
}

func (l *list) add(cells ...any) { l.rows = append(l.rows, cells) }

const mostExported = 100_000

// exporting tells whether a page is asked for its list as a file instead of itself: by the same route, so with the same rights.
func (p *page) exporting() bool { return p.QueryParam("export") != "" }

// export sends a list as a file, in the format that the address names.
func (p *page) export(l list) error {
	format := p.QueryParam("export")
	write, media := l.csv, "text/csv; charset=utf-8; header=present"
	switch format {
	case "csv":
	case "json":
		write, media = l.json, "application/json"
	default:
		return &appliance.Error{Kind: appliance.NotFound, Message: "A list can be exported as JSON or CSV."}
	}
	text, err := write()
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write " + l.name, Err: err}
	}
	name := "evenkeel-" + l.name + "-" + p.ui.Now().UTC().Format(time.DateOnly) + "." + format
	p.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return p.Blob(http.StatusOK, media, text)
}

// json writes an object a row, with the columns in order.
func (l *list) json() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("[")
	for i, row := range l.rows {
		b.WriteString(strings.Repeat(",", min(i, 1)) + "\n  {")
		for k, cell := range row {
			if at, ok := cell.(time.Time); ok && at.IsZero() {
				cell = nil
			}
			text, err := json.Marshal(cell)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "%s%q: %s", strings.Repeat(", ", min(k, 1)), l.columns[k], text)
		}
		b.WriteString("}")
	}
	b.WriteString("\n]\n")
	return b.Bytes(), nil
}

// csv writes RFC 4180. No cell is a formula to the program that opens it.
func (l *list) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	lines := make([][]string, 1, len(l.rows)+1)
	lines[0] = l.columns
	for _, row := range l.rows {
		line := make([]string, len(row))
		for k, cell := range row {
			line[k] = inert(cell)
		}
		lines = append(lines, line)
	}
	err := w.WriteAll(lines)
	return b.Bytes(), err
}

func inert(cell any) string {
	switch v := cell.(type) {
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case string:
		if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
			return "'" + v
		}
		return v
	}
	return fmt.Sprint(cell)
}

// overviewList has the services that match and all their servers.
func (p *page) overviewList(c choice) list {
	l := list{name: "overview", columns: []string{"object", "virtual_service", "real_server", "address", "ports", "protocol", "state", "health", "sentence", "connections", "weight", "drain_until", "persistence_entries"}}
	all := slices.DeleteFunc(p.services(), func(s listed) bool { return !c.holds(&s) })
	slices.SortStableFunc(all, c.compare)
	for i := range all {
		s, seen := &all[i].config, &all[i].seen
		state := "running"
		if !all[i].runs {
			state = "saved"
		}
		address, ports := s.Place()
		l.add("virtual_service", s.Label, "", address, ports, string(s.Protocol), state, string(seen.Health), seen.Sentence, seen.Connections, "", time.Time{}, "")
		for k := range s.RealServers {
			r := &s.RealServers[k]
			now, ok := seen.Server(r.ID)
			if !ok {
				now = appliance.ServerStatus{State: r.State, Weight: r.Weight}
			}
			l.add("real_server", s.Label, r.Label, string(r.Address), portOf(s, r), string(s.Protocol), string(now.State), string(now.Check.Health), now.Check.Sentence, now.Connections, now.Weight, r.DrainUntil, now.PersistenceEntries)
		}
	}
	return l
}

// historyList has every revision below one, newest first.
func (p *page) historyList(before int64) (list, error) {
	l := list{name: "history", columns: []string{"revision", "line", "saved", "applied", "outcome", "operator", "via", "from", "why", "summary", "reason"}}
	for len(l.rows) < mostExported {
		some, err := p.ui.Control.Revisions(p.ctx(), before, mostListed)
		if err != nil || len(some) == 0 {
			return l, err
		}
		for _, r := range some {
			l.add(r.Number, string(r.Line), r.At, r.AppliedAt, string(r.Outcome), r.Origin.Operator, r.Origin.Via, addressOf(r.Origin), r.Origin.Why, r.Summary, r.Reason)
		}
		if before = some[len(some)-1].Number; before <= 1 {
			break
		}
	}
	return l, nil
}

// auditList has every entry below one, newest first.
func (p *page) auditList(before int64) (list, error) {
	l := list{name: "audit", columns: []string{"id", "at", "operator", "via", "from", "why", "action", "subject", "outcome", "detail"}}
	for len(l.rows) < mostExported {
		some, err := p.ui.Store.AuditEntries(p.ctx(), before, 1000)
		if err != nil || len(some) == 0 {
			return l, err
		}
		for _, e := range some {
			l.add(e.ID, e.At, e.Origin.Operator, e.Origin.Via, addressOf(e.Origin), e.Origin.Why, e.Action, e.Subject, e.Outcome, e.Detail)
		}
		if before = some[len(some)-1].ID; before <= 1 {
			break
		}
	}
	return l, nil
}

func addressOf(o appliance.Origin) string {
	if !o.From.IsValid() {
		return ""
	}
	return o.From.String()
}
