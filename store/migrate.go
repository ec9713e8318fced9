package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

func migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic("store: migrations are not embedded: " + err.Error())
	}
	return sub
}

// migrate brings the database to the newest shape, one transaction for each step; before the first step on a database that already had one, it is copied.
func (s *Store) migrate(ctx context.Context, steps fs.FS) error {
	const op = "migrate the database"
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return fault(op, err)
	}
	version, err := shape(ctx, s.writer)
	if err != nil {
		return err
	}
	if version > len(names) {
		return &appliance.Error{
			Kind: appliance.Unsupported, Op: op, Message: "A newer version of Evenkeel wrote this database.",
			Hint: "Install that version or a newer one, or restore a backup that this version made.",
		}
	}
	if version > 0 && version < len(names) {
		if err := s.snapshots.copyBefore(ctx, s, version+1); err != nil {
			return err
		}
	}
	for i, name := range names[version:] {
		number, _, _ := strings.Cut(name, "_")
		if n, err := strconv.Atoi(number); err != nil || n != version+i+1 {
			return &appliance.Error{Kind: appliance.Internal, Op: op, Message: fmt.Sprintf("The migration %s stands at place %d.", name, version+i+1)}
		}
		if err := s.step(ctx, steps, name, version+i+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) step(ctx context.Context, steps fs.FS, name string, number int) error {
	text, err := fs.ReadFile(steps, name)
	if err != nil {
		return fault("read the migration "+name, err)
	}
	return s.write(ctx, "migrate the database with "+name, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, number))
		return err
	})
}

// shape returns the number of the last migration that the database has seen, 0 for an empty one. The error is of kind conflict when another program's tables are in it.
func shape(ctx context.Context, db *sql.DB) (int, error) {
	const op = "read the version of the database"
	var version, id, tables int
	for query, into := range map[string]*int{
		"PRAGMA user_version": &version, "PRAGMA application_id": &id, "SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := db.QueryRowContext(ctx, query).Scan(into); err != nil {
			return 0, fault(op, err)
		}
	}
	if id != applicationID && (tables > 0 || version > 0) {
		return 0, &appliance.Error{
			Kind: appliance.Conflict, Op: op, Message: "The file evenkeel.db in the data folder is another program's database.",
			Hint: "Name another folder with --data.",
		}
	}
	return version, nil
}
