// Package store keeps what must outlive the process in one SQLite database: the two lines of revisions with the record of who made them, operators, sessions, API
// tokens and secrets. It owns the data folder while it is open. A damaged database is replaced by the last good snapshot; every error is an *appliance.Error.
package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

const (
	databaseName   = "evenkeel.db"
	readers        = 4
	patience       = 20 * time.Second // the longest that one call may take
	applicationID  = 0x45564b4c       // "EVKL", in the header of the database
	snapshotsEvery = time.Minute
)

// Options of a Store.
type Options struct {
	Dir           string           // the data folder; made with mode 0700 when it does not exist
	Log           *slog.Logger     // nil: nothing is logged
	Now           func() time.Time // nil: time.Now
	Lock          *os.File         // the folder's lock, taken over from a process that goes on for a moment; nil: it is taken here
	SnapshotEvery time.Duration    // the shortest time between two snapshots; zero: one minute
}

// Store is an open data folder. It is safe for concurrent use; writes go one after the other.
type Store struct {
	dir      string
	log      *slog.Logger
	now      func() time.Time
	lock     *os.File
	writer   *sql.DB // one connection
	reader   *sql.DB
	restored *appliance.Alert

	snapshots snapshotKeeper
	watch     watchers
	mayWrite  atomic.Pointer[func() error] // nil: what nodes of a pair have in common may be changed here
	closing   sync.Once
	closeErr  error
}

// Open takes the folder, brings the database to this version's shape and starts to keep snapshots. The caller must Close the store. Kinds: conflict when another
// process has the folder, denied without the right to write there, unavailable when the disk is full or the database is damaged and no snapshot is good,
// unsupported when a newer version wrote it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o, migrations())
	var e *appliance.Error
	if errors.As(err, &e) && e.Kind == appliance.Denied && e.Subject == "" {
		e.Subject, e.Message = o.Dir, "The data folder "+o.Dir+" or a file in it cannot be written."
	}
	return s, err
}

func open(ctx context.Context, o Options, steps fs.FS) (*Store, error) {
	s := &Store{dir: o.Dir, log: o.Log, now: o.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("component", "store")
	if s.now == nil {
		s.now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fileFault("make the data folder", err)
	}
	var err error
	if s.lock = o.Lock; s.lock != nil {
		sign(s.lock)
	} else if s.lock, err = lockFolder(o.Dir); err != nil {
		return nil, err
	}
	if err := s.openDatabase(ctx, steps); err != nil {
		s.release()
		return nil, err
	}
	every := o.SnapshotEvery
	if every == 0 {
		every = snapshotsEvery
	}
	s.snapshots.start(s, every)
	return s, nil
}

func (s *Store) openDatabase(ctx context.Context, steps fs.FS) error {
	file := filepath.Join(s.dir, databaseName)
	if err := s.mend(ctx, file); err != nil {
		return err
	}
	if err := prepareFile(file); err != nil {
		return err
	}
	s.writer, s.reader = connect(file, writing), connect(file, reading)
	if err := s.migrate(ctx, steps); err != nil {
		return err
	}
	if s.restored != nil {
		return s.forgetSessions(ctx)
	}
	return nil
}

// prepareFile makes the file with the mode that SQLite then gives to its companions too.
func prepareFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileFault("open the database", err)
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return fileFault("protect the database", err)
	}
	return nil
}

type purpose int

const (
	writing purpose = iota
	reading
	looking // at a copy or a file that must not change: no write-ahead log is asked for
)

// connect returns a handle; nothing is opened before its first use.
func connect(file string, p purpose) *sql.DB {
	q := url.Values{
		"_busy_timeout": {"10000"}, "_foreign_keys": {"1"}, "_synchronous": {"FULL"}, "_txlock": {"immediate"},
		"_dqs": {"0"}, "_defensive": {"1"}, "_error_rc": {"1"}, "_pragma": {"trusted_schema(0)", "secure_delete(1)"}, // what was a secret is overwritten
	}
	n := 1
	switch p {
	case writing:
		q.Set("_journal_mode", "WAL")
	case reading:
		q.Set("_query_only", "1")
		q.Set("_txlock", "deferred")
		n = readers
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		panic("store: the driver is not there: " + err.Error())
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

// Restored returns the alert that tells of a database that was damaged and replaced when the store was opened, and whether there is one.
func (s *Store) Restored() (appliance.Alert, bool) {
	if s.restored == nil {
		return appliance.Alert{}, false
	}
	return *s.restored, true
}

// Close takes a last snapshot if something changed, closes the database and gives the folder free. Calls after the first do nothing.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.snapshots.stop()
		s.closeErr = s.release()
	})
	return s.closeErr
}

// Lock returns the folder's lock, for a process that takes over. It is held as long as one process has it open.
func (s *Store) Lock() *os.File { return s.lock }

func (s *Store) release() error {
	var first error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db == nil {
			continue
		}
		if err := db.Close(); err != nil && first == nil {
			first = fault("close the database", err)
		}
	}
	s.lock.Close()
	return first
}

// write runs f in one transaction, which is durable when write returns nil and without any trace when it returns an error. It is not abandoned because the one who
// asked went away: from here on it is a matter of milliseconds, and an outcome that nobody knows is worse.
func (s *Store) write(ctx context.Context, op string, f func(context.Context, *sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fault(op, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fault(op, err)
	}
	if err := f(ctx, tx); err != nil {
		_ = tx.Rollback() // the cause is what matters; a transaction that cannot be rolled back is gone with its connection
		return fault(op, err)
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		return fault(op, err)
	}
	s.snapshots.changed()
	s.watch.wake()
	return nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
