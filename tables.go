package main

import (
	"context"
	"encoding/gob"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// saveTablesEvery bounds what a killed process forgets of who came to which server.
const saveTablesEvery = 30 * time.Second

// maxTables is the largest file of persistence tables that is read back.
const maxTables = 1 << 30

func (a *instance) tablesFile() string { return filepath.Join(a.options.dir, "persistence") }

// restoreTables gives the engine the persistence tables of the run before. A missing or damaged file costs the clients their servers, not the start.
func (a *instance) restoreTables() {
	f, err := os.Open(a.tablesFile())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	saved := map[string][]byte{}
	if err == nil {
		defer f.Close()
		if size, statErr := f.Stat(); statErr == nil && size.Size() <= maxTables {
			err = gob.NewDecoder(f).Decode(&saved)
		}
	}
	if err != nil {
		a.options.log.Warn("persistence tables not restored", "component", "main", "error", err)
		return
	}
	a.engine.RestorePersistence(saved)
}

// saveTables writes the persistence tables, and where host names lead, now and then, and once more at the end.
func (a *instance) saveTables(ctx context.Context) error {
	tick := time.NewTicker(saveTablesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			a.writeTables()
			return nil
		case <-tick.C:
			a.writeTables()
		}
	}
}

func (a *instance) writeTables() {
	if a.replaced.Load() { // the file is the other process's
		return
	}
	if err := a.writeTablesFile(); err != nil {
		a.options.log.Warn("persistence tables not saved", "component", "main", "error", err)
	}
	a.writeNames()
}

func (a *instance) writeTablesFile() error {
	f, err := renameio.NewPendingFile(a.tablesFile(), renameio.WithPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if err := gob.NewEncoder(f).Encode(a.engine.SavePersistence()); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
