package store

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/netip"
	"strconv"
	"time"

	"evenkeel/appliance"
)

const (
	maxContent  = 256 << 20 // bytes of one revision's JSON
	maxPageRows = 1000      // of one list
)

const revisionColumns = "number, line, at, operator, source, via, why, summary, revision.hash, outcome, reason, applied_at"

// Latest returns the newest revision of the line with its content. The error is of kind not_found while there is none.
func (s *Store) Latest(ctx context.Context, line appliance.Line) (appliance.Revision, []byte, error) {
	return s.one(ctx, "line = ? ORDER BY number DESC LIMIT 1", line)
}

// LatestApplied returns the newest revision of the line that runs or ran. The error is of kind not_found while there is none.
func (s *Store) LatestApplied(ctx context.Context, line appliance.Line) (appliance.Revision, []byte, error) {
	return s.one(ctx, "line = ? AND outcome = 'applied' ORDER BY number DESC LIMIT 1", line)
}

// Get returns one revision with its content. The error is of kind not_found when there is none of that number.
func (s *Store) Get(ctx context.Context, line appliance.Line, number int64) (appliance.Revision, []byte, error) {
	return s.one(ctx, "line = ? AND number = ?", line, number)
}

func (s *Store) one(ctx context.Context, where string, args ...any) (appliance.Revision, []byte, error) {
	return s.contentOf(ctx, "SELECT "+revisionColumns+", body FROM revision JOIN content USING (hash) WHERE "+where, args...)
}

func (s *Store) contentOf(ctx context.Context, query string, args ...any) (appliance.Revision, []byte, error) {
	const op = "read revision"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	row := s.reader.QueryRowContext(ctx, query, args...)
	var body []byte
	r, err := scanRevision(row, &body)
	if err == sql.ErrNoRows {
		return appliance.Revision{}, nil, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "There is no such revision."}
	}
	if err != nil {
		return appliance.Revision{}, nil, fault(op, err)
	}
	content, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body)), maxContent))
	if err != nil || appliance.Hash(json.RawMessage(content)) != r.Hash {
		return r, nil, &appliance.Error{
			Kind: appliance.Internal, Op: op, Subject: strconv.FormatInt(r.Number, 10), Err: err,
			Message: "The content of revision " + strconv.FormatInt(r.Number, 10) + " is damaged.", Hint: "Go back to another revision.",
		}
	}
	return r, content, nil
}

// List returns the revisions of the line below that number (0: all), newest first, at most limit and at most 1000.
func (s *Store) List(ctx context.Context, line appliance.Line, before int64, limit int) ([]appliance.Revision, error) {
	const op = "list revisions"
	return list(ctx, s.reader, op, func(rows *sql.Rows) (appliance.Revision, error) { return scanRevision(rows) },
		"SELECT "+revisionColumns+" FROM revision WHERE line = ? AND (? <= 0 OR number < ?) ORDER BY number DESC LIMIT ?",
		line, before, before, min(max(limit, 0), maxPageRows))
}

// Append writes the revisions in order, together with the audit entries, in one transaction: all of it is durable, or nothing happened.
func (s *Store) Append(ctx context.Context, revisions []appliance.NewRevision, audit ...appliance.AuditEntry) ([]appliance.Revision, error) {
	var out []appliance.Revision
	err := s.write(ctx, "write revision", func(ctx context.Context, tx *sql.Tx) error {
		for _, n := range revisions {
			r, err := appendOne(ctx, tx, n)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		for _, e := range audit {
			if err := addAudit(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func appendOne(ctx context.Context, tx *sql.Tx, n appliance.NewRevision) (appliance.Revision, error) {
	r := appliance.Revision{Line: n.Line, At: n.At.UTC(), Origin: n.Origin, Summary: n.Summary, Hash: appliance.Hash(json.RawMessage(n.Content)), Outcome: n.Outcome}
	if r.Outcome == appliance.Applied {
		r.AppliedAt = r.At
	}
	if len(n.Content) > maxContent {
		return r, &appliance.Error{Kind: appliance.Invalid, Message: "The configuration is too large."}
	}
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) + 1 FROM revision WHERE line = ?", n.Line).Scan(&r.Number); err != nil {
		return r, err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO content (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING", r.Hash, deflate(n.Content)); err != nil {
		return r, err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO revision (number, line, at, operator, source, via, why, summary, hash, outcome, reason, applied_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?)`,
		r.Number, r.Line, nanos(r.At), r.Origin.Operator, source(r.Origin), r.Origin.Via, r.Origin.Why, r.Summary, r.Hash, r.Outcome, nanos(r.AppliedAt))
	return r, err
}

func deflate(content []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		panic("store: flate refuses its own level: " + err.Error())
	}
	_, _ = w.Write(content) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// Mark records what became of a revision. The error is of kind not_found when there is none of that number.
func (s *Store) Mark(ctx context.Context, line appliance.Line, number int64, outcome appliance.Outcome, reason string, at time.Time) error {
	const op = "mark revision"
	return s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
		applied := int64(0)
		if outcome == appliance.Applied {
			applied = nanos(at)
		}
		return must(tx.ExecContext(ctx, `UPDATE revision SET outcome = ?, reason = ?, applied_at = CASE ? WHEN 0 THEN applied_at ELSE ? END
			WHERE line = ? AND number = ?`, outcome, reason, applied, applied, line, number))("There is no such revision.")
	})
}

type scanner interface{ Scan(...any) error }

func scanRevision(row scanner, more ...any) (appliance.Revision, error) {
	var r appliance.Revision
	var at, applied int64
	var from string
	err := row.Scan(append([]any{
		&r.Number, &r.Line, &at, &r.Origin.Operator, &from, &r.Origin.Via, &r.Origin.Why, &r.Summary, &r.Hash, &r.Outcome, &r.Reason, &applied,
	}, more...)...)
	r.At, r.AppliedAt, r.Origin.From = moment(at), moment(applied), address(from)
	return r, err
}

func source(o appliance.Origin) string { return addressText(o.From) }

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// address reads what addressText wrote; anything else is no address.
func address(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// list runs a query and collects its rows; the result is empty rather than nil.
func list[T any](ctx context.Context, db *sql.DB, op string, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fault(op, err)
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fault(op, err)
		}
		out = append(out, v)
	}
	return out, fault(op, rows.Err())
}

// must turns the result of a statement into an error of kind not_found, with that sentence, when it touched no row.
func must(r sql.Result, err error) func(sentence string) error {
	return func(sentence string) error {
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return &appliance.Error{Kind: appliance.NotFound, Message: sentence}
	}
}
