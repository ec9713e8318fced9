package traffic

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// runLog runs a log until the test ends it, and returns how to end it.
func runLog(t *testing.T, l *Log) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(end)
	return end
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestLinesAreInTheFileAndFoundByService(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	l := New(Options{Dir: dir})
	n := l.Lane()
	end := runLog(t, l)
	n.Write("WEB", ended, request())
	n.Write("WEB 2", ended, request())
	until(t, "two lines", func() bool { lines, _, _ := l.Last(Filter{}, 10); return len(lines) == 2 })
	for service, want := range map[string]int{"WEB": 1, "WEB 2": 1, "W": 0} {
		if lines, whole, err := l.Last(Filter{Service: service}, 10); len(lines) != want || !whole || err != nil {
			t.Errorf("%s: %d lines, whole %v, %v", service, len(lines), whole, err)
		}
	}
	var all strings.Builder
	if err := l.WriteTo(&all, Filter{Contains: "/a?b=c"}); err != nil || countLines([]byte(all.String())) != 2 {
		t.Errorf("%v: %q", err, all.String())
	}
	end()
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, stat.Mode(), err)
		}
	}
}

func TestFileTurnsOverBySizeAndKeepsSoMany(t *testing.T) {
	f := &file{path: filepath.Join(t.TempDir(), FileName)}
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 95 {
		if n, err := f.write(line, 1000, 3); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	batch := []byte(strings.Repeat(string(line), 12)) // crosses the size within one batch
	if n, err := f.write(batch, 1000, 3); n != 12 || err != nil {
		t.Fatal(n, err)
	}
	f.close()
	for name, want := range map[string]int64{FileName: 700, FileName + ".1": 1000, FileName + ".2": 1000, FileName + ".3": -1} {
		stat, err := os.Stat(filepath.Join(filepath.Dir(f.path), name))
		if size := sizeOf(stat, err); size != want {
			t.Errorf("%s has %d bytes, want %d", name, size, want)
		}
	}
	if _, err := f.write(batch[:100], 1, 1); err != nil { // fewer are kept now
		t.Fatal(err)
	}
	f.close()
	if left, _ := filepath.Glob(f.path + "*"); len(left) != 1 {
		t.Errorf("%v are left", left)
	}
}

func sizeOf(stat os.FileInfo, err error) int64 {
	if err != nil {
		return -1
	}
	return stat.Size()
}

func TestFileThatSomebodyMovedIsBegunAnew(t *testing.T) {
	f := &file{path: filepath.Join(t.TempDir(), FileName)}
	defer f.close()
	for range 2 {
		if n, err := f.write([]byte("a\n"), 1000, 3); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if err := os.Rename(f.path, f.path+".old"); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder that cannot be made stands for every fault of the disk.
func TestFaultyFolderIsSaidOnceAndOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	l := New(Options{
		Dir: dir, Alert: func(a appliance.Alert) { mu.Lock(); said = append(said, a.Sentence); mu.Unlock() },
		Clear: func(code string) { mu.Lock(); said = append(said, "clear "+code); mu.Unlock() },
	})
	n := l.Lane()
	runLog(t, l)
	have := func(want int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(said) >= want }
	}
	n.Write("WEB", ended, request())
	until(t, "an alert", have(1))
	n.Write("WEB", ended, request())
	until(t, "both lines taken", func() bool { return n.ring.tail.Load() == n.ring.head.Load() })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	n.Write("WEB", ended, request())
	until(t, "the alert is over", have(2))
	mu.Lock()
	defer mu.Unlock()
	if len(said) != 2 || !strings.Contains(said[0], "cannot be written") || said[1] != "clear "+codeFile {
		t.Errorf("%q", said)
	}
}

// TestStuckWriterCostsLinesNotTime: the file is a pipe that nobody reads.
func TestStuckWriterCostsLinesNotTime(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := New(Options{Dir: dir})
	n := l.Lane()
	end := runLog(t, l)
	r := request()
	began := time.Now()
	for n.ring.dropped.Load() < 100 {
		n.Write("WEB", ended, r)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := l.Dropped(); n < 100 {
		t.Errorf("%d dropped", n)
	}
	var text strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() {
		b := make([]byte, 1<<20)
		for !strings.Contains(text.String(), " dropped=") {
			n, err := reader.Read(b)
			if err != nil {
				return
			}
			text.Write(b[:n])
		}
	})
	reading.Wait()
	if !strings.Contains(text.String(), `why="the log was not written in time"`) {
		t.Error("the log does not say how much was dropped")
	}
	reader.Close()
	end()
}

func TestLastReadsAcrossFilesAndPieces(t *testing.T) {
	l := New(Options{Dir: t.TempDir()})
	defer l.closeFile()
	want := []string{}
	for i := range 9000 {
		line := strings.Repeat("y", i%211) + " service=WEB " + strings.Repeat("z", i%17)
		want = append(want, line)
		if _, err := l.file.write([]byte(line+"\n"), 300<<10, 9); err != nil {
			t.Fatal(err)
		}
	}
	got, whole, err := l.Last(Filter{Service: "WEB"}, 5000)
	if err != nil || whole || len(got) != 5000 {
		t.Fatal(len(got), whole, err)
	}
	for i := range got {
		if got[i] != want[4000+i] {
			t.Fatalf("line %d is %q, want %q", i, got[i], want[4000+i])
		}
	}
}

func TestFullDiskIsSaidAndStopsNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 10)
	l := New(Options{Dir: dir, Alert: func(a appliance.Alert) { said <- a.Sentence }})
	n := l.Lane()
	runLog(t, l)
	for range 5 * ringSize / 300 {
		n.Write("WEB", ended, request())
	}
	if got := <-said; got != "The traffic log cannot be written: traffic.log: no space left on device. Traffic goes on." {
		t.Error(got)
	}
	until(t, "the rings are empty", func() bool { return n.ring.tail.Load() == n.ring.head.Load() })
}
