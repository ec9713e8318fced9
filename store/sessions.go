package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"evenkeel/appliance"
)

// CreateSession adds a session of an existing user, and forgets those that have expired.
func (s *Store) CreateSession(ctx context.Context, r appliance.SessionRecord) error {
	return s.write(ctx, "create session", func(ctx context.Context, tx *sql.Tx) error {
		for _, expired := range []string{"DELETE FROM session WHERE expires <= ?", "DELETE FROM session_replaced WHERE expires <= ?"} {
			if _, err := tx.ExecContext(ctx, expired, nanos(s.now())); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO session (token_hash, operator, source, user_agent, created, seen, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
			r.TokenHash[:], r.Operator, addressText(r.From), r.UserAgent, nanos(r.Created), nanos(r.Seen), nanos(r.Expires))
		return err
	})
}

// Session returns the session with that hash and its user. The error is of kind not_found when there is none, or when it has expired.
func (s *Store) Session(ctx context.Context, tokenHash [32]byte) (appliance.SessionRecord, appliance.Operator, error) {
	const op = "read session"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := appliance.SessionRecord{TokenHash: tokenHash}
	var from string
	var created, seen, expires int64
	row := s.reader.QueryRowContext(ctx, `SELECT operator.name, role, operator.created, source, user_agent, session.created, seen, expires
		FROM session JOIN operator ON operator.name = session.operator WHERE token_hash = ?`, tokenHash[:])
	o, err := scanOperator(row, &from, &r.UserAgent, &created, &seen, &expires)
	if errors.Is(err, sql.ErrNoRows) || err == nil && expires <= nanos(s.now()) {
		return appliance.SessionRecord{}, appliance.Operator{}, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "There is no such session."}
	}
	if err != nil {
		return appliance.SessionRecord{}, appliance.Operator{}, fault(op, err)
	}
	r.Operator, r.From, r.Created, r.Seen, r.Expires = o.Name, address(from), moment(created), moment(seen), moment(expires)
	return r, o, nil
}

// Sessions returns the sessions of a user that have not expired, the one that was used last first.
func (s *Store) Sessions(ctx context.Context, operator string) ([]appliance.SessionRecord, error) {
	return list(ctx, s.reader, "list sessions", func(rows *sql.Rows) (appliance.SessionRecord, error) {
		r := appliance.SessionRecord{Operator: operator}
		var hash []byte
		var from string
		var created, seen, expires int64
		err := rows.Scan(&hash, &from, &r.UserAgent, &created, &seen, &expires)
		copy(r.TokenHash[:], hash)
		r.From, r.Created, r.Seen, r.Expires = address(from), moment(created), moment(seen), moment(expires)
		return r, err
	}, "SELECT token_hash, source, user_agent, created, seen, expires FROM session WHERE operator = ? AND expires > ? ORDER BY seen DESC, created DESC LIMIT ?",
		operator, nanos(s.now()), maxPageRows)
}

// TouchSession notes that the session was used. A session that is gone, or was seen later already, stays as it is.
func (s *Store) TouchSession(ctx context.Context, tokenHash [32]byte, at time.Time) error {
	return s.write(ctx, "touch session", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE session SET seen = ? WHERE token_hash = ? AND seen < ?", nanos(at), tokenHash[:], nanos(at))
		return err
	})
}

// SessionReplaced tells whether the session with that hash ended because the users of the pair took the place of this node's.
func (s *Store) SessionReplaced(ctx context.Context, tokenHash [32]byte) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var n int
	err := s.reader.QueryRowContext(ctx, "SELECT count(*) FROM session_replaced WHERE token_hash = ? AND expires > ?", tokenHash[:], nanos(s.now())).Scan(&n)
	return n > 0, fault("read session", err)
}

// DeleteSession ends a session, and forgets why it ended before; it is no error when there is none.
func (s *Store) DeleteSession(ctx context.Context, tokenHash [32]byte) error {
	return s.write(ctx, "delete session", func(ctx context.Context, tx *sql.Tx) error {
		for _, one := range []string{"DELETE FROM session WHERE token_hash = ?", "DELETE FROM session_replaced WHERE token_hash = ?"} {
			if _, err := tx.ExecContext(ctx, one, tokenHash[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// replaceSessions ends sessions because the users of the pair take the place of this node's; which says whose.
func replaceSessions(ctx context.Context, tx *sql.Tx, which string, args ...any) error {
	if _, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO session_replaced (token_hash, expires) SELECT token_hash, expires FROM session WHERE "+which, args...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM session WHERE "+which, args...)
	return err
}

// DeleteSessionsOf ends every session of a user.
func (s *Store) DeleteSessionsOf(ctx context.Context, operator string) error {
	return s.write(ctx, "delete sessions", func(ctx context.Context, tx *sql.Tx) error { return endSessions(ctx, tx, operator) })
}

func endSessions(ctx context.Context, tx *sql.Tx, operator string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM session WHERE operator = ?", operator)
	return err
}
