package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"evenkeel/appliance"
)

// Secret returns the newest version of a secret. When there is none yet, make makes the first one, once whoever asks at the same time; with a nil make the
// error is of kind not_found. Secrets are in no revision: a rollback never brings one back.
func (s *Store) Secret(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error) {
	const op = "read secret"
	read, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, err := newestSecret(read, s.reader, name)
	if !errors.Is(err, sql.ErrNoRows) {
		return value, fault(op, err)
	}
	if make == nil {
		return nil, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "There is no such secret."}
	}
	err = s.write(ctx, "make secret", func(ctx context.Context, tx *sql.Tx) error {
		value, err = newestSecret(ctx, tx, name)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if value, err = make(); err != nil {
			return err
		}
		return s.addSecret(ctx, tx, name, value)
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

// SetSecret adds a version of a secret, which Secret returns from now on.
func (s *Store) SetSecret(ctx context.Context, name string, value []byte) error {
	return s.write(ctx, "set secret", func(ctx context.Context, tx *sql.Tx) error { return s.addSecret(ctx, tx, name, value) })
}

// ForgetSecret removes every version of a secret; it is no error when there is none.
func (s *Store) ForgetSecret(ctx context.Context, name string) error {
	return s.write(ctx, "forget secret", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM secret WHERE name = ?", name)
		return err
	})
}

type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func newestSecret(ctx context.Context, q querier, name string) ([]byte, error) {
	var value []byte
	err := q.QueryRowContext(ctx, "SELECT value FROM secret WHERE name = ? ORDER BY version DESC LIMIT 1", name).Scan(&value)
	return value, err
}

func (s *Store) addSecret(ctx context.Context, tx *sql.Tx, name string, value []byte) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO secret (name, version, value, created) SELECT ?, coalesce(max(version), 0) + 1, ?, ? FROM secret WHERE name = ?",
		name, value, nanos(s.now()), name)
	return err
}

// ExchangeSecrets forgets some secrets and gives others a new value, in one transaction with its audit entries. No earlier version of any of them remains.
func (s *Store) ExchangeSecrets(ctx context.Context, set map[string][]byte, forget []string, audit ...appliance.AuditEntry) error {
	return s.write(ctx, "exchange secrets", func(ctx context.Context, tx *sql.Tx) error {
		for _, name := range append(slices.Collect(maps.Keys(set)), forget...) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM secret WHERE name = ?", name); err != nil {
				return err
			}
		}
		for name, value := range set {
			if err := s.addSecret(ctx, tx, name, value); err != nil {
				return err
			}
		}
		for _, e := range audit {
			if err := addAudit(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
