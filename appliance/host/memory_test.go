package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryIsTheLeastLimitAboveTheProcess(t *testing.T) {
	const meminfo = "MemTotal:        8388608 kB\nMemAvailable:    4194304 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"no groups":          {map[string]string{"proc/meminfo": meminfo}, 8 << 30},
		"nothing to read":    {nil, 0},
		"version 2":          {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 1 << 30},
		"the inner is less":  {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "1048576\n"}, 1 << 20},
		"more than there is": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999999\n"}, 8 << 30},
		"version 1":          {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "7:cpu:/\n4:memory:/c\n", "sys/fs/cgroup/memory/c/memory.limit_in_bytes": "2147483648\n"}, 2 << 30},
		"nonsense":           {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "x\n0::/../../..\n", "sys/fs/cgroup/memory.max": "-5\n"}, 8 << 30},
	} {
		root := t.TempDir()
		for path, text := range c.files {
			path = filepath.Join(root, path)
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, []byte(text), 0o600))
		}
		if got := memoryUnder(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if Memory() < 1<<20 {
		t.Errorf("this machine has %d bytes", Memory())
	}
}
