package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// mostNames bounds the file of host names that is read back.
const mostNames = 16 << 20

func (a *instance) namesFile() string { return filepath.Join(a.options.dir, "names") }

// restoreNames gives the engine where host names of real servers led in the run before, so that servers are found although no name server answers. A missing or
// damaged file costs the time of a lookup, not the start.
func (a *instance) restoreNames() {
	known, err := readNames(a.namesFile())
	if err != nil {
		a.options.log.Warn("host names not restored", "component", "main", "error", err)
		return
	}
	a.engine.RecallNames(known)
}

func readNames(path string) (map[string][]netip.Addr, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var known map[string][]netip.Addr
	err = json.NewDecoder(io.LimitReader(f, mostNames)).Decode(&known)
	return known, err
}

// writeNames keeps where host names lead, when that is not what the file says.
func (a *instance) writeNames() {
	text, err := json.Marshal(a.engine.Names())
	if err == nil {
		if was, unread := os.ReadFile(a.namesFile()); unread == nil && bytes.Equal(was, text) || unread != nil && string(text) == "{}" {
			return
		}
		err = renameio.WriteFile(a.namesFile(), text, 0o600)
	}
	if err != nil {
		a.options.log.Warn("host names not saved", "component", "main", "error", err)
	}
}
