package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"evenkeel/appliance"
)

// errDamaged is what examine says of a file that is not a whole database.
var errDamaged = errors.New("damaged database")

// companions are the files that SQLite keeps beside a database.
func companions() []string { return []string{"-wal", "-shm", "-journal"} }

// mend looks at the database before anything uses it. One that is damaged, or gone while there are snapshots, is replaced by the newest good snapshot.
func (s *Store) mend(ctx context.Context, file string) error {
	snapshots, err := listSnapshots(s.dir)
	if err != nil {
		return err
	}
	what := "was damaged"
	switch size, err := sizeOf(file); {
	case err != nil:
		return err
	case size == 0 && len(snapshots) == 0:
		return nil // the first start
	case size == 0:
		what = "was missing"
	default:
		err := examine(ctx, file)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errDamaged) {
			return fault("examine the database", err)
		}
	}
	return s.restore(ctx, file, what, snapshots)
}

func sizeOf(file string) (int64, error) {
	stat, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fileFault("examine the database", err)
	}
	return stat.Size(), nil
}

// examine reads the whole file; the error is errDamaged when its structure is broken.
func examine(ctx context.Context, file string) error {
	db := connect(file, looking)
	defer db.Close()
	return quickCheck(ctx, db)
}

func quickCheck(ctx context.Context, db *sql.DB) error {
	var verdict string
	err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict)
	var driver *sqlite.Error
	if errors.As(err, &driver) {
		if c := driver.Code() & primaryCode; c == codes.SQLITE_CORRUPT || c == codes.SQLITE_NOTADB {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	if err == nil && verdict != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, verdict)
	}
	return err
}

// restore copies the newest good snapshot beside the database, moves the old files away and puts the copy in their place. Cut off anywhere, the next start
// comes here again. Without a good snapshot nothing is touched.
func (s *Store) restore(ctx context.Context, file, what string, snapshots []snapshot) error {
	const op = "restore the database"
	fresh := file + ".restoring"
	for _, snap := range slices.Backward(snapshots) {
		taken, err := copyFile(snap.path, fresh)
		if err != nil {
			return fileFault(op, err)
		}
		if err := examine(ctx, fresh); err != nil {
			s.log.Error("snapshot not usable", "file", snap.path, "error", err)
			continue
		}
		aside := fmt.Sprintf("%s.damaged-%s", file, s.now().UTC().Format("20060102T150405.000Z"))
		if err := replace(file, aside, fresh); err != nil {
			return fileFault(op, err)
		}
		s.tell(what, aside, taken)
		return syncFolder(s.dir)
	}
	return &appliance.Error{
		Kind: appliance.Unavailable, Op: op, Subject: file,
		Message: fmt.Sprintf("The database %s %s, and there is no good snapshot of it.", file, what),
		Hint:    "Restore a backup into this folder, or move the folder away to begin anew.",
	}
}

func replace(file, aside, fresh string) error {
	for _, suffix := range append(companions(), "") {
		if err := os.Rename(file+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, suffix := range companions() { // of the examination
		if err := os.Remove(fresh + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(fresh, file)
}

func (s *Store) tell(what, aside string, taken time.Time) {
	at := taken.UTC().Format("2006-01-02 15:04:05 MST")
	s.log.Error("database restored from snapshot", "reason", what, "snapshot_taken", taken.UTC(), "kept_as", aside)
	s.restored = &appliance.Alert{
		Code: "store_restored", Severity: appliance.Critical, Since: s.now().UTC(),
		Sentence: fmt.Sprintf("The database %s and was replaced by its snapshot of %s. Settings and passwords are those of that time.", what, at),
		Hint:     "Look through the history and the list of users. What was left of the old file is kept as " + filepath.Base(aside) + " in the data folder.",
	}
}

// forgetSessions ends every session that a restored snapshot remembers, and puts the restoration on record.
func (s *Store) forgetSessions(ctx context.Context) error {
	return s.write(ctx, "end old sessions", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM session"); err != nil {
			return err
		}
		return addAudit(ctx, tx, appliance.AuditEntry{
			At: s.restored.Since, Origin: appliance.Origin{Operator: "system", Via: "boot"}, Action: s.restored.Code,
			Outcome: "done", Detail: s.restored.Sentence,
		})
	})
}

// copyFile makes a durable copy with mode 0600 and returns when the original was last written.
func copyFile(from, to string) (time.Time, error) {
	in, err := os.Open(from)
	if err != nil {
		return time.Time{}, err
	}
	defer in.Close()
	stat, err := in.Stat()
	if err != nil {
		return time.Time{}, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return time.Time{}, err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return time.Time{}, err
	}
	return stat.ModTime(), out.Sync()
}
