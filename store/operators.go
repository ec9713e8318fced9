package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"unicode"

	"evenkeel/appliance"
)

const noOperator = "There is no user of that name."

// Operators returns all of them, by name.
func (s *Store) Operators(ctx context.Context) ([]appliance.Operator, error) {
	return list(ctx, s.reader, "list users", func(rows *sql.Rows) (appliance.Operator, error) { return scanOperator(rows) },
		"SELECT name, role, created FROM operator ORDER BY name")
}

func scanOperator(row scanner, more ...any) (appliance.Operator, error) {
	var o appliance.Operator
	var created int64
	err := row.Scan(append([]any{&o.Name, &o.Role, &created}, more...)...)
	o.Created = moment(created)
	return o, err
}

// CreateOperator adds a user. Kinds: conflict when the name is taken, invalid for a name or a role that cannot be.
func (s *Store) CreateOperator(ctx context.Context, o appliance.Origin, name string, role appliance.Role, passwordHash string) error {
	if err := validOperator(name, role, passwordHash); err != nil {
		return err
	}
	return s.recordShared(ctx, o, "user_create", name, string(role), func(ctx context.Context, tx *sql.Tx) error {
		at := nanos(s.now())
		_, err := tx.ExecContext(ctx, "INSERT INTO operator (name, role, password_hash, created, changed) VALUES (?, ?, ?, ?, ?)", name, role, passwordHash, at, at)
		return err
	})
}

func validOperator(name string, role appliance.Role, passwordHash string) error {
	const op = "create user"
	odd := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }
	var found appliance.Errors
	for _, rule := range []struct {
		broken         bool
		field, message string
	}{
		{name == "" || len(name) > 64, "name", "A name has 1 to 64 bytes."},
		{hasRune(name, odd), "name", "A name has printable characters only."},
		{!role.Valid(), "role", "The role is administrator, operator or viewer."},
		{passwordHash == "", "password", "A password is missing."},
	} {
		if rule.broken {
			found = append(found, &appliance.Error{Kind: appliance.Invalid, Op: op, Field: rule.field, Message: rule.message})
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

func hasRune(text string, f func(rune) bool) bool {
	for _, r := range text {
		if f(r) {
			return true
		}
	}
	return false
}

// SetPassword gives a user another password and ends that user's sessions.
func (s *Store) SetPassword(ctx context.Context, o appliance.Origin, name, passwordHash string) error {
	if passwordHash == "" {
		return appliance.Refuse("password", "A password is missing.")
	}
	return s.recordShared(ctx, o, "password_change", name, "", func(ctx context.Context, tx *sql.Tx) error {
		if err := must(tx.ExecContext(ctx, "UPDATE operator SET password_hash = ?, changed = ? WHERE name = ?", passwordHash, nanos(s.now()), name))(noOperator); err != nil {
			return err
		}
		return endSessions(ctx, tx, name)
	})
}

// PasswordHash returns what a user's password must match, and the user. The error is of kind not_found when there is no such user.
func (s *Store) PasswordHash(ctx context.Context, name string) (string, appliance.Operator, error) {
	const op = "read user"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var hash string
	o, err := scanOperator(s.reader.QueryRowContext(ctx, "SELECT name, role, created, password_hash FROM operator WHERE name = ?", name), &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", appliance.Operator{}, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: noOperator}
	}
	if err != nil {
		return "", appliance.Operator{}, fault(op, err)
	}
	return hash, o, nil
}

// DeleteOperator removes a user with all sessions and tokens. The error is of kind conflict for the last administrator.
func (s *Store) DeleteOperator(ctx context.Context, o appliance.Origin, name string) error {
	return s.recordShared(ctx, o, "user_delete", name, "", func(ctx context.Context, tx *sql.Tx) error {
		if err := must(tx.ExecContext(ctx, "DELETE FROM operator WHERE name = ?", name))(noOperator); err != nil {
			return err
		}
		return keepAdministrator(ctx, tx)
	})
}

// SetRole gives a user another role and ends that user's sessions. The error is of kind conflict when no administrator would be left.
func (s *Store) SetRole(ctx context.Context, o appliance.Origin, name string, role appliance.Role) error {
	if !role.Valid() {
		return appliance.Refuse("role", "The role is administrator, operator or viewer.")
	}
	return s.recordShared(ctx, o, "role_change", name, string(role), func(ctx context.Context, tx *sql.Tx) error {
		if err := must(tx.ExecContext(ctx, "UPDATE operator SET role = ? WHERE name = ?", role, name))(noOperator); err != nil {
			return err
		}
		if err := keepAdministrator(ctx, tx); err != nil {
			return err
		}
		return endSessions(ctx, tx, name)
	})
}

func keepAdministrator(ctx context.Context, tx *sql.Tx) error {
	var left int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM operator WHERE role = ?", appliance.Administrator).Scan(&left); err != nil {
		return fmt.Errorf("count administrators: %w", err)
	}
	if left == 0 {
		return &appliance.Error{
			Kind: appliance.Conflict, Message: "This is the last administrator; without one nobody could change anything.",
			Hint: "Make another user an administrator first.",
		}
	}
	return nil
}

// recordShared is record for what both nodes of a pair have in common: only the active one changes it.
func (s *Store) recordShared(ctx context.Context, o appliance.Origin, action, subject, detail string, f func(context.Context, *sql.Tx) error) error {
	if may := s.mayWrite.Load(); may != nil {
		if err := (*may)(); err != nil {
			return fault(action, err)
		}
	}
	return s.record(ctx, o, action, subject, detail, f)
}

// SetWriter gives the store a say about users, certificates, signing requests and authorities: when may returns an error they are not changed. TakeShared is not asked.
func (s *Store) SetWriter(may func() error) { s.mayWrite.Store(&may) }

// record is write with an audit entry in the same transaction.
func (s *Store) record(ctx context.Context, o appliance.Origin, action, subject, detail string, f func(context.Context, *sql.Tx) error) error {
	return s.write(ctx, action, func(ctx context.Context, tx *sql.Tx) error {
		if err := f(ctx, tx); err != nil {
			return err
		}
		return addAudit(ctx, tx, appliance.AuditEntry{At: s.now(), Origin: o, Action: action, Subject: subject, Outcome: "done", Detail: detail})
	})
}
