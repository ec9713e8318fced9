package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// ours is which addresses were added here, and on which interface; nil: not read yet.
type ours map[netip.Addr]string

// record is the file of them. Addresses do not outlive a restart of the machine, and neither does what the file says.
type record struct {
	Boot      string       `json:"boot"`
	Addresses []recordLine `json:"addresses"`
}

type recordLine struct {
	Address   netip.Addr `json:"address"`
	Interface string     `json:"interface"`
}

// fileName is the file's name in Options.Dir.
const fileName = "addresses.json"

// bootID returns what tells one run of the machine from the next.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(id))
}

// recall reads the file once. What cannot be understood is left out: then nothing is removed that might not be ours.
func (h *Host) recall() error {
	if h.ours != nil {
		return nil
	}
	h.ours = ours{}
	if h.dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(h.dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		h.ours = nil
		return fmt.Errorf("read added addresses: %w", err)
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		h.log.Warn("list of added addresses unreadable", "error", err)
		return nil
	}
	if r.Boot != bootID() {
		return nil
	}
	for _, line := range r.Addresses {
		h.ours[line.Address] = line.Interface
	}
	return nil
}

// remember makes o what is ours, on disk before it is true in the kernel.
func (h *Host) remember(o ours) error {
	if h.dir != "" && !maps.Equal(o, h.ours) {
		r := record{Boot: bootID(), Addresses: []recordLine{}}
		for _, a := range slices.SortedFunc(maps.Keys(o), netip.Addr.Compare) {
			r.Addresses = append(r.Addresses, recordLine{a, o[a]})
		}
		text, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return fmt.Errorf("encode added addresses: %w", err)
		}
		if err := renameio.WriteFile(filepath.Join(h.dir, fileName), text, 0o600); err != nil {
			return fmt.Errorf("write added addresses: %w", err)
		}
	}
	h.ours = o
	return nil
}
