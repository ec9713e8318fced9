package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"evenkeel/appliance"
)

// sharedSecrets are those that both nodes of a pair have.
func sharedSecrets() []string { return []string{"cookie_key", "ticket_keys"} }

// Belongings returns what both nodes of a pair have in common beside the configuration, with its keys.
func (s *Store) Belongings(ctx context.Context) (b appliance.Belongings, err error) {
	if b.Certificates, err = s.Certificates(ctx); err != nil {
		return b, err
	}
	if b.Requests, err = s.SigningRequests(ctx); err != nil {
		return b, err
	}
	if b.Authorities, err = s.Authorities(ctx); err != nil {
		return b, err
	}
	b.Operators, err = list(ctx, s.reader, "list users", func(rows *sql.Rows) (appliance.OperatorRecord, error) {
		var r appliance.OperatorRecord
		var created, changed int64
		err := rows.Scan(&r.Name, &r.Role, &r.PasswordHash, &created, &changed)
		r.Created, r.Changed = moment(created), moment(changed)
		return r, err
	}, "SELECT name, role, password_hash, created, changed FROM operator ORDER BY name")
	if err != nil {
		return b, err
	}
	b.Secrets = map[string][]byte{}
	for _, name := range sharedSecrets() {
		value, err := s.Secret(ctx, name, nil)
		if appliance.KindOf(err) == appliance.NotFound {
			continue
		}
		if err != nil {
			return b, err
		}
		b.Secrets[name] = value
	}
	return b, nil
}

// LastSequence returns the last sequence that was taken from that source; 0: none was.
func (s *Store) LastSequence(ctx context.Context, source string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := lastSequence(ctx, s.reader, source)
	return n, fault("read sequence", err)
}

func lastSequence(ctx context.Context, q querier, source string) (uint64, error) {
	var n int64
	err := q.QueryRowContext(ctx, "SELECT sequence FROM received WHERE source = ?", source).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return uint64(n), err
}

// TakeShared takes over what the other node of a pair gives, in one transaction: the revisions with their numbers, all belongings, the sequence and the audit entries. It
// returns the numbers of the revisions that only this node had; they are kept aside. Kinds: stale for a sequence that is not above the last one of the source or a common revision
// that is not here, conflict when no administrator would be left, invalid for an operator that cannot be.
func (s *Store) TakeShared(ctx context.Context, source string, sequence uint64, given appliance.Shared, audit ...appliance.AuditEntry) ([]int64, error) {
	var aside []int64
	err := s.write(ctx, "take over settings", func(ctx context.Context, tx *sql.Tx) error {
		before, err := nextSequence(ctx, tx, source, sequence)
		if err != nil {
			return err
		}
		if aside, err = s.takeLine(ctx, tx, given, before == 0); err != nil {
			return err
		}
		if err := s.takeBelongings(ctx, tx, given.Belongings); err != nil {
			return err
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
	return aside, nil
}

func nextSequence(ctx context.Context, tx *sql.Tx, source string, sequence uint64) (last uint64, err error) {
	if last, err = lastSequence(ctx, tx, source); err != nil {
		return last, err
	}
	if sequence <= last || sequence > 1<<62 {
		return last, &appliance.Error{Kind: appliance.Stale, Message: "These settings are old: newer ones were taken over already."}
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO received (source, sequence) VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET sequence = excluded.sequence", source, int64(sequence))
	return last, err
}

// takeLine replaces everything behind the common revision. What the first settings of a pair replace is no fork that anybody must see.
func (s *Store) takeLine(ctx context.Context, tx *sql.Tx, given appliance.Shared, first bool) ([]int64, error) {
	if c := given.Common; c.Number > 0 {
		var hash string
		err := tx.QueryRowContext(ctx, "SELECT hash FROM revision WHERE line = 'cluster' AND number = ?", c.Number).Scan(&hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		if hash != c.Hash {
			return nil, &appliance.Error{Kind: appliance.Stale, Message: "The revision that the settings build on is not here."}
		}
	}
	ours, err := newer(ctx, tx, given.Common.Number)
	if err != nil {
		return nil, err
	}
	aside, now := []int64{}, nanos(s.now())
	for _, r := range ours {
		if slices.ContainsFunc(given.Revisions, func(g appliance.SharedRevision) bool {
			return g.Revision.Number == r.Number && g.Revision.Hash == r.Hash
		}) {
			continue
		}
		aside = append(aside, r.Number)
		if _, err := tx.ExecContext(ctx, `INSERT INTO aside (since, kept, seen, number, at, operator, source, via, why, summary, hash, outcome, reason, applied_at)
			SELECT ?, ?, ?, number, at, operator, source, via, why, summary, hash, outcome, reason, applied_at
			FROM revision WHERE line = 'cluster' AND number = ?`, now, given.From, first, r.Number); err != nil {
			return nil, err
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM revision WHERE line = 'cluster' AND number > ?", given.Common.Number); err != nil {
		return nil, err
	}
	for _, g := range given.Revisions {
		if err := insertRevision(ctx, tx, g.Revision, g.Content); err != nil {
			return nil, err
		}
	}
	return aside, nil
}

func newer(ctx context.Context, tx *sql.Tx, than int64) ([]appliance.RevisionID, error) {
	rows, err := tx.QueryContext(ctx, "SELECT number, hash FROM revision WHERE line = 'cluster' AND number > ? ORDER BY number", than)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []appliance.RevisionID
	for rows.Next() {
		var id appliance.RevisionID
		if err := rows.Scan(&id.Number, &id.Hash); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

func insertRevision(ctx context.Context, tx *sql.Tx, r appliance.Revision, content []byte) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO content (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING", r.Hash, deflate(content)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO revision (number, line, at, operator, source, via, why, summary, hash, outcome, reason, applied_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Number, r.Line, nanos(r.At), r.Origin.Operator, source(r.Origin), r.Origin.Via, r.Origin.Why, r.Summary, r.Hash, r.Outcome, r.Reason, nanos(r.AppliedAt))
	return err
}

func (s *Store) takeBelongings(ctx context.Context, tx *sql.Tx, b appliance.Belongings) error {
	for _, take := range []func(context.Context, *sql.Tx, appliance.Belongings) error{s.takeCertificates, s.takeAuthorities, takeRequests, s.takeOperators} {
		if err := take(ctx, tx, b); err != nil {
			return err
		}
	}
	for _, name := range sharedSecrets() {
		if _, err := tx.ExecContext(ctx, "DELETE FROM secret WHERE name = ?", name); err != nil {
			return err
		}
		value, ok := b.Secrets[name]
		if !ok {
			continue
		}
		if err := s.addSecret(ctx, tx, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) takeCertificates(ctx context.Context, tx *sql.Tx, b appliance.Belongings) error {
	if err := s.clearTable(ctx, tx, "certificate", len(b.Certificates), func(i int) string { return b.Certificates[i].ID }); err != nil {
		return err
	}
	for _, r := range b.Certificates {
		if _, err := tx.ExecContext(ctx, "INSERT INTO certificate (id, version, label, chain, key, created, hidden) VALUES (?, ?, ?, ?, ?, ?, ?)",
			r.ID, max(r.Version, 1), r.Label, blob(r.Chain), blob(r.Key), nanos(r.Created), nanos(r.Hidden)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) takeAuthorities(ctx context.Context, tx *sql.Tx, b appliance.Belongings) error {
	if err := s.clearTable(ctx, tx, "authority", len(b.Authorities), func(i int) string { return b.Authorities[i].ID }); err != nil {
		return err
	}
	for _, r := range b.Authorities {
		if _, err := tx.ExecContext(ctx, "INSERT INTO authority (id, version, label, bundle, revoked, created, hidden) VALUES (?, ?, ?, ?, ?, ?, ?)",
			r.ID, max(r.Version, 1), r.Label, blob(r.Bundle), blob(r.Revoked), nanos(r.Created), nanos(r.Hidden)); err != nil {
			return err
		}
	}
	return nil
}

// blob is what a column that must not be NULL gets.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// clearTable makes room for n rows that are given: rows that are not among them go, or are hidden while a revision names them.
func (s *Store) clearTable(ctx context.Context, tx *sql.Tx, table string, n int, id func(int) string) error {
	given := map[string]bool{}
	for i := range n {
		given[id(i)] = true
	}
	ids, err := idsOf(ctx, tx, table)
	if err != nil {
		return err
	}
	for _, have := range ids {
		if given[have] {
			_, err = tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = ?", have)
		} else {
			err = s.hideOrDelete(ctx, tx, table, have)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) hideOrDelete(ctx context.Context, tx *sql.Tx, table, id string) error {
	named, err := namedByRevision(ctx, tx, id)
	if err != nil {
		return err
	}
	if named {
		_, err = tx.ExecContext(ctx, "UPDATE "+table+" SET version = version + 1, hidden = ? WHERE id = ? AND hidden = 0", nanos(s.now()), id)
	} else {
		_, err = tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = ?", id)
	}
	return err
}

func idsOf(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM "+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

func takeRequests(ctx context.Context, tx *sql.Tx, b appliance.Belongings) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM signing_request"); err != nil {
		return err
	}
	for _, r := range b.Requests {
		if _, err := tx.ExecContext(ctx, "INSERT INTO signing_request (id, label, request, key, created) VALUES (?, ?, ?, ?, ?)",
			r.ID, r.Label, blob(r.Request), blob(r.Key), nanos(r.Created)); err != nil {
			return err
		}
	}
	return nil
}

// takeOperators makes the users the same. Who has another password or role than before, or is gone, is signed out, and can be told why.
func (s *Store) takeOperators(ctx context.Context, tx *sql.Tx, b appliance.Belongings) error {
	given := map[string]bool{}
	for _, r := range b.Operators {
		if err := validOperator(r.Name, r.Role, r.PasswordHash); err != nil {
			return err
		}
		given[r.Name] = true
		var hash string
		var role appliance.Role
		err := tx.QueryRowContext(ctx, "SELECT password_hash, role FROM operator WHERE name = ?", r.Name).Scan(&hash, &role)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if hash != r.PasswordHash || role != r.Role {
			if err := replaceSessions(ctx, tx, "operator = ?", r.Name); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO operator (name, role, password_hash, created, changed) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash, created = excluded.created, changed = excluded.changed`,
			r.Name, r.Role, r.PasswordHash, nanos(r.Created), nanos(r.Changed))
		if err != nil {
			return err
		}
	}
	names, err := json.Marshal(append([]string{}, keysOf(given)...))
	if err != nil {
		return err
	}
	if err := replaceSessions(ctx, tx, "operator NOT IN (SELECT value FROM json_each(?))", string(names)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM operator WHERE name NOT IN (SELECT value FROM json_each(?))", string(names)); err != nil {
		return err
	}
	return keepAdministrator(ctx, tx)
}

func keysOf(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
