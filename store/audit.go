package store

import (
	"context"
	"database/sql"

	"evenkeel/appliance"
)

// Audit writes one entry of its own; entries about a revision are written with Append.
func (s *Store) Audit(ctx context.Context, e appliance.AuditEntry) error {
	return s.write(ctx, "write audit entry", func(ctx context.Context, tx *sql.Tx) error {
		if e.At.IsZero() {
			e.At = s.now()
		}
		return addAudit(ctx, tx, e)
	})
}

func addAudit(ctx context.Context, tx *sql.Tx, e appliance.AuditEntry) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO audit (at, operator, source, via, why, action, subject, outcome, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		nanos(e.At), e.Origin.Operator, source(e.Origin), e.Origin.Via, e.Origin.Why, e.Action, e.Subject, e.Outcome, e.Detail)
	return err
}

// AuditEntries returns the entries below that id (0: all), newest first, at most limit and at most 1000.
func (s *Store) AuditEntries(ctx context.Context, before int64, limit int) ([]appliance.AuditEntry, error) {
	return list(ctx, s.reader, "list audit entries", func(rows *sql.Rows) (appliance.AuditEntry, error) {
		var e appliance.AuditEntry
		var at int64
		var from string
		err := rows.Scan(&e.ID, &at, &e.Origin.Operator, &from, &e.Origin.Via, &e.Origin.Why, &e.Action, &e.Subject, &e.Outcome, &e.Detail)
		e.At, e.Origin.From = moment(at), address(from)
		return e, err
	}, `SELECT id, at, operator, source, via, why, action, subject, outcome, detail FROM audit
		WHERE ? <= 0 OR id < ? ORDER BY id DESC LIMIT ?`, before, before, min(max(limit, 0), maxPageRows))
}
