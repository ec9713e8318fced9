package ha

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"evenkeel/appliance"

	"github.com/google/renameio/v2"
)

// The files of a node in its folder.
const (
	memoryFile   = "heartbeat.json"
	timelineFile = "timeline.json"
)

// memory is what a node must not forget. Its file is written whole, synced and renamed.
type memory struct {
	Epoch   uint64 `json:"epoch"`   // raised before the first datagram of each life
	Choice  uint32 `json:"choice"`  // how often the operator has chosen
	Gateway bool   `json:"gateway"` // a default gateway was there once: its absence is a fault, and not how this network is
}

// readMemory reads the file; a missing one is the first life. A damaged one is, too: the peer tells a node whose epoch is behind.
func readMemory(dir string) (m memory, damaged bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, memoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return memory{}, false, nil
	}
	if err != nil {
		return memory{}, false, unavailable("read epoch", err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return memory{}, true, nil
	}
	return m, false, nil
}

func (m memory) write(dir string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write epoch", Err: err}
	}
	if err := renameio.WriteFile(filepath.Join(dir, memoryFile), b, 0o600); err != nil {
		return unavailable("write epoch", err)
	}
	return nil
}

func unavailable(op string, err error) error {
	return &appliance.Error{Kind: appliance.Unavailable, Op: op, Hint: "Look whether the disk is full or read-only.", Err: err}
}
