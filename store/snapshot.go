package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	snapshotFolder = "snapshots"
	snapshotsKept  = 2
	snapshotTime   = 2 * time.Minute // the longest that one may take
)

// snapshotKeeper owns the goroutine that copies the database after it changed, at a bounded rate. Snapshots are numbered, not dated: the clock may step.
type snapshotKeeper struct {
	dirty atomic.Bool
	wake  chan struct{} // capacity 1
	quit  chan struct{}
	done  sync.WaitGroup
	store *Store
	every time.Duration
}

func (k *snapshotKeeper) start(s *Store, every time.Duration) {
	k.store, k.every = s, every
	k.wake, k.quit = make(chan struct{}, 1), make(chan struct{})
	if list, err := listSnapshots(s.dir); k.dirty.Load() || err == nil && len(list) == 0 {
		k.changed()
	}
	k.done.Add(1)
	go k.run()
}

// changed tells that the database differs from the newest snapshot. It never waits.
func (k *snapshotKeeper) changed() {
	k.dirty.Store(true)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *snapshotKeeper) run() {
	defer k.done.Done()
	for {
		select {
		case <-k.quit:
			return
		case <-k.wake:
		}
		k.takeIfChanged()
		pause := time.NewTimer(k.every)
		select {
		case <-k.quit:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// stop ends the goroutine and takes the last snapshot.
func (k *snapshotKeeper) stop() {
	close(k.quit)
	k.done.Wait()
	k.takeIfChanged()
}

func (k *snapshotKeeper) takeIfChanged() {
	if !k.dirty.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTime)
	defer cancel()
	if err := k.take(ctx); err != nil {
		k.dirty.Store(true)
		k.store.log.Warn("snapshot not taken", "error", err)
	}
}

func (k *snapshotKeeper) take(ctx context.Context) error {
	list, err := listSnapshots(k.store.dir)
	if err != nil {
		return err
	}
	next := 1
	if len(list) > 0 {
		next = list[len(list)-1].number + 1
	}
	if err := k.copyTo(ctx, k.store, fmt.Sprintf("%09d.db", next)); err != nil {
		return err
	}
	for _, old := range list[:max(0, len(list)+1-snapshotsKept)] {
		if err := os.Remove(old.path); err != nil {
			return fileFault("remove an old snapshot", err)
		}
	}
	return nil
}

// copyBefore keeps the database as it is before the migration of that number.
func (k *snapshotKeeper) copyBefore(ctx context.Context, s *Store, number int) error {
	return k.copyTo(ctx, s, fmt.Sprintf("before-migration-%04d.db", number))
}

// copyTo writes a whole and durable copy under that name, or none.
func (k *snapshotKeeper) copyTo(ctx context.Context, s *Store, name string) error {
	const op = "take a snapshot"
	folder := filepath.Join(s.dir, snapshotFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fileFault(op, err)
	}
	unfinished := filepath.Join(folder, "unfinished")
	f, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fileFault(op, err)
	}
	defer f.Close()
	db := connect(filepath.Join(s.dir, databaseName), looking)
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", unfinished); err != nil {
		return errors.Join(fault(op, err), os.Remove(unfinished))
	}
	if err := f.Sync(); err != nil {
		return fileFault(op, err)
	}
	if err := os.Rename(unfinished, filepath.Join(folder, name)); err != nil {
		return fileFault(op, err)
	}
	return syncFolder(folder)
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fileFault("open the folder", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fileFault("write the folder", err)
	}
	return nil
}

type snapshot struct {
	number int
	path   string
}

// listSnapshots returns the snapshots of the data folder, oldest first.
func listSnapshots(dir string) ([]snapshot, error) {
	entries, err := os.ReadDir(filepath.Join(dir, snapshotFolder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileFault("list the snapshots", err)
	}
	var out []snapshot
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), ".db")
		if n, err := strconv.Atoi(digits); ok && err == nil {
			out = append(out, snapshot{n, filepath.Join(dir, snapshotFolder, e.Name())})
		}
	}
	slices.SortFunc(out, func(a, b snapshot) int { return a.number - b.number })
	return out, nil
}
