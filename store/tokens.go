package store

import (
	"context"
	"database/sql"
	"errors"

	"evenkeel/appliance"
)

const tokenColumns = "id, label, token.operator, token.role, operator.role, hash, token.created, expires FROM token JOIN operator ON operator.name = token.operator"

// CreateToken adds an API token of an existing user.
func (s *Store) CreateToken(ctx context.Context, o appliance.Origin, t appliance.TokenRecord) error {
	return s.record(ctx, o, "token_create", t.ID, t.Label, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO token (id, label, operator, role, hash, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
			t.ID, t.Label, t.Operator, t.Role, t.Hash[:], nanos(t.Created), nanos(t.Expires))
		return err
	})
}

// Token returns the token with that hash; its role is at most its user's present one. The error is of kind not_found when there is none, or when it has expired.
func (s *Store) Token(ctx context.Context, hash [32]byte) (appliance.TokenRecord, error) {
	const op = "read token"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t, err := scanToken(s.reader.QueryRowContext(ctx, "SELECT "+tokenColumns+" WHERE hash = ?", hash[:]))
	if errors.Is(err, sql.ErrNoRows) || err == nil && !t.Expires.IsZero() && !s.now().Before(t.Expires) {
		return appliance.TokenRecord{}, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "There is no such token."}
	}
	if err != nil {
		return appliance.TokenRecord{}, fault(op, err)
	}
	return t, nil
}

// Tokens returns all of them, expired ones too, in the order in which they were made.
func (s *Store) Tokens(ctx context.Context) ([]appliance.TokenRecord, error) {
	return list(ctx, s.reader, "list tokens", func(rows *sql.Rows) (appliance.TokenRecord, error) { return scanToken(rows) },
		"SELECT "+tokenColumns+" ORDER BY token.created, id")
}

// DeleteToken ends a token. The error is of kind not_found when there is none of that id.
func (s *Store) DeleteToken(ctx context.Context, o appliance.Origin, id string) error {
	return s.record(ctx, o, "token_delete", id, "", func(ctx context.Context, tx *sql.Tx) error {
		return must(tx.ExecContext(ctx, "DELETE FROM token WHERE id = ?", id))("There is no such token.")
	})
}

func scanToken(row scanner) (appliance.TokenRecord, error) {
	var t appliance.TokenRecord
	var owner appliance.Role
	var hash []byte
	var created, expires int64
	if err := row.Scan(&t.ID, &t.Label, &t.Operator, &t.Role, &owner, &hash, &created, &expires); err != nil {
		return t, err
	}
	copy(t.Hash[:], hash)
	t.Created, t.Expires = moment(created), moment(expires)
	t.Role = lesser(t.Role, owner)
	return t, nil
}

// lesser returns the role that may do less.
func lesser(a, b appliance.Role) appliance.Role {
	for _, r := range []appliance.Role{appliance.Viewer, appliance.OperatorRole} {
		if a == r || b == r {
			return r
		}
	}
	return a
}
