package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"evenkeel/appliance"
)

const (
	copyTries   = 20
	walHeadSize = 32 // a write-ahead log begins anew with another salt in its header
)

// Check tells whether this version could start with the data folder: it examines and migrates a copy of the database and validates the newest configuration in it.
// Nothing in the folder is opened for writing or locked, so an appliance that runs on it is not disturbed. nil is good; the error says what is wrong.
func Check(ctx context.Context, dir string) error {
	const op = "check the data folder"
	scratch, err := os.MkdirTemp("", "evenkeel-check-")
	if err != nil {
		return fileFault(op, err)
	}
	defer os.RemoveAll(scratch)
	if err := copyDatabase(ctx, dir, scratch); err != nil {
		return err
	}
	if err := examine(ctx, filepath.Join(scratch, databaseName)); err != nil {
		if errors.Is(err, errDamaged) {
			return &appliance.Error{
				Kind: appliance.Unavailable, Op: op, Message: "The database is damaged.", Err: err,
				Hint: "Starting Evenkeel moves the damaged file aside and goes back to the last good snapshot.",
			}
		}
		return fault(op, err)
	}
	s, err := Open(ctx, Options{Dir: scratch, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.validateNewest(ctx)
}

// copyDatabase copies the database with its write-ahead log. The two belong together as long as the log did not begin anew meanwhile; then it tries again.
func copyDatabase(ctx context.Context, dir, to string) error {
	const op = "copy the database"
	from, into := filepath.Join(dir, databaseName), filepath.Join(to, databaseName)
	for range copyTries {
		before, err := walHead(from)
		if err != nil {
			return fileFault(op, err)
		}
		if _, err := copyFile(from, into); errors.Is(err, os.ErrNotExist) {
			return &appliance.Error{Kind: appliance.NotFound, Op: op, Subject: dir, Message: "There is no " + databaseName + " in " + dir + ".", Hint: "Name the data folder with --data."}
		} else if err != nil {
			return fileFault(op, err)
		}
		if _, err := copyFile(from+"-wal", into+"-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fileFault(op, err)
		}
		after, err := walHead(from)
		if err != nil {
			return fileFault(op, err)
		}
		if bytes.Equal(before, after) {
			return nil
		}
		if err := os.Remove(into + "-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fileFault(op, err)
		}
		select {
		case <-ctx.Done():
			return fault(op, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return &appliance.Error{Kind: appliance.Unavailable, Op: op, Message: "The database changes too fast to be copied.", Hint: "Try again in a moment."}
}

// walHead returns the header of the write-ahead log, nil when there is no log.
func walHead(file string) ([]byte, error) {
	f, err := os.Open(file + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, walHeadSize)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

func (s *Store) validateNewest(ctx context.Context) error {
	var c appliance.Config
	for line, into := range map[appliance.Line]any{appliance.ClusterLine: &c.Cluster, appliance.LocalLine: &c.Local} {
		_, content, err := s.Latest(ctx, line)
		if appliance.KindOf(err) == appliance.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(content, into); err != nil {
			return &appliance.Error{Kind: appliance.Invalid, Op: "read the newest configuration", Err: err}
		}
	}
	return appliance.Validate(c, appliance.Site{})
}
