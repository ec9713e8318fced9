package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"evenkeel/appliance"
)

const revisionAside = "number, 'cluster', at, operator, source, via, why, summary, aside.hash, outcome, reason, applied_at"

// Forks returns what was set aside because the other node of a pair never had it, newest first; of at most 1000 revisions.
func (s *Store) Forks(ctx context.Context) ([]appliance.Fork, error) {
	rows, err := list(ctx, s.reader, "list what was set aside", func(rows *sql.Rows) (appliance.Fork, error) {
		var f appliance.Fork
		var since int64
		r, err := scanRevision(rows, &since, &f.Kept, &f.Seen)
		f.Since, f.ID, f.First, f.Last, f.Revisions = moment(since), strconv.FormatInt(since, 10), r.Number, r.Number, []appliance.Revision{r}
		return f, err
	}, "SELECT "+revisionAside+", since, kept, seen FROM aside ORDER BY since DESC, number DESC LIMIT ?", maxPageRows)
	if err != nil {
		return nil, err
	}
	out := []appliance.Fork{}
	for _, row := range rows {
		if n := len(out); n > 0 && out[n-1].ID == row.ID {
			out[n-1].First, out[n-1].Revisions = row.First, append(out[n-1].Revisions, row.Revisions...)
			continue
		}
		out = append(out, row)
	}
	for i := range out {
		slices.Reverse(out[i].Revisions)
	}
	return out, nil
}

// ForkContent returns the newest revision of a fork, with its content. The error is of kind not_found when there is none.
func (s *Store) ForkContent(ctx context.Context, id string) (appliance.Revision, []byte, error) {
	since, err := forkID(id)
	if err != nil {
		return appliance.Revision{}, nil, err
	}
	return s.contentOf(ctx, "SELECT "+revisionAside+", body FROM aside JOIN content USING (hash) WHERE since = ? ORDER BY number DESC LIMIT 1", since)
}

// SeeFork notes that an administrator has seen a fork. The error is of kind not_found when there is none.
func (s *Store) SeeFork(ctx context.Context, id string, audit appliance.AuditEntry) error {
	return s.changeFork(ctx, "keep what was set aside", "UPDATE aside SET seen = 1 WHERE since = ?", id, audit)
}

// DiscardFork removes a fork with the contents that nothing else has. The error is of kind not_found when there is none.
func (s *Store) DiscardFork(ctx context.Context, id string, audit appliance.AuditEntry) error {
	return s.changeFork(ctx, "discard what was set aside", "DELETE FROM aside WHERE since = ?", id, audit)
}

func (s *Store) changeFork(ctx context.Context, op, statement, id string, audit appliance.AuditEntry) error {
	since, err := forkID(id)
	if err != nil {
		return err
	}
	return s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
		if err := must(tx.ExecContext(ctx, statement, since))(noFork); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM content WHERE hash NOT IN (SELECT hash FROM revision UNION SELECT hash FROM aside)"); err != nil {
			return err
		}
		return addAudit(ctx, tx, audit)
	})
}

const noFork = "Nothing of that number was set aside here."

func forkID(id string) (int64, error) {
	since, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(since, 10) != id || since <= time.Unix(0, 0).UnixNano() {
		return 0, &appliance.Error{Kind: appliance.NotFound, Op: "read what was set aside", Message: noFork}
	}
	return since, nil
}
