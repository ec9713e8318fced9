package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory returns how many bytes this process and its neighbours in the same control group may have: the least limit of the groups above it (version 2 or 1), or
// all that the machine has. 0: that cannot be read.
func Memory() uint64 { return memoryUnder("/") }

// memoryUnder is Memory with /proc and /sys below root.
func memoryUnder(root string) uint64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0
	}
	_, least, err := parseMemory(text)
	if err != nil {
		return 0
	}
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // without groups there is no further limit
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			least = leastOf(least, filepath.Join(root, "sys/fs/cgroup"), parts[2], "memory.max")
		case parts[1] == "memory":
			least = leastOf(least, filepath.Join(root, "sys/fs/cgroup/memory"), parts[2], "memory.limit_in_bytes")
		}
	}
	return least
}

// leastOf reads the limit of a group and of all above it. In a container the path may be one of the machine outside: then only the groups that are seen here count.
func leastOf(least uint64, mount, group, file string) uint64 {
	for at := filepath.Clean("/" + group); ; at = filepath.Dir(at) {
		if text, err := os.ReadFile(filepath.Join(mount, at, file)); err == nil {
			if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // "max" is no limit
				least = min(least, n)
			}
		}
		if at == "/" {
			return least
		}
	}
}
