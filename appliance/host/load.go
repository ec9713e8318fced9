package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// Load is the machine's figures at one moment; bytes where nothing else is said.
type Load struct {
	CPU         float64 // percent of all cores that worked since the last call; since the machine's start at the first
	MemoryUsed  uint64  // what programs could not have
	MemoryTotal uint64
	DiskUsed    uint64
	DiskTotal   uint64 // what ordinary processes can use
}

// Load reads the machine's figures. The error is of kind Internal.
func (h *Host) Load(context.Context) (Load, error) {
	var l Load
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return l, internal("read load", err)
	}
	now, err := parseTicks(stat)
	if err != nil {
		return l, internal("read load", err)
	}
	h.loadMu.Lock()
	l.CPU = now.since(h.last)
	h.last = now
	h.loadMu.Unlock()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return l, internal("read memory", err)
	}
	if l.MemoryUsed, l.MemoryTotal, err = parseMemory(text); err != nil {
		return l, internal("read memory", err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(h.disk, &fs); err != nil {
		return l, &appliance.Error{Kind: appliance.Internal, Op: "read disk", Err: err}
	}
	l.DiskUsed = (fs.Blocks - fs.Bfree) * uint64(fs.Frsize)
	l.DiskTotal = l.DiskUsed + fs.Bavail*uint64(fs.Frsize)
	return l, nil
}

// ticks is the time that the cores worked, and all of it, since the machine's start.
type ticks struct{ busy, all uint64 }

func (t ticks) since(u ticks) float64 {
	if t.all <= u.all || t.busy < u.busy {
		return 0
	}
	return 100 * float64(t.busy-u.busy) / float64(t.all-u.all)
}

// parseTicks reads the first line of /proc/stat: user nice system idle iowait irq softirq steal; guests are part of user.
func parseTicks(stat []byte) (ticks, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 5 || fields[0] != "cpu" {
		return ticks{}, fmt.Errorf("unknown form of /proc/stat: %.40q", line)
	}
	var t ticks
	for i, field := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return ticks{}, fmt.Errorf("read /proc/stat: %w", err)
		}
		t.all += n
		if i != 3 && i != 4 {
			t.busy += n
		}
	}
	return t, nil
}

// parseMemory reads /proc/meminfo, which counts in KiB.
func parseMemory(text []byte) (used, total uint64, err error) {
	values := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemTotal:" && fields[0] != "MemAvailable:" {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read /proc/meminfo: %w", err)
		}
		values[fields[0]] = n << 10
	}
	total = values["MemTotal:"]
	if total == 0 || values["MemAvailable:"] > total {
		return 0, 0, fmt.Errorf("unknown form of /proc/meminfo: %.40q", text)
	}
	return total - values["MemAvailable:"], total, nil
}
