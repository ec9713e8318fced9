package proof

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostileFile is where measured figures stand; -update writes them anew.
const hostileFile = "HOSTILE.md"

var documenting sync.Mutex

// tell logs what was measured of a case and, with -update, puts it into the document.
func tell(t *testing.T, name, done, measured string) {
	t.Helper()
	t.Logf("%s: %s: %s", name, done, measured)
	if !*update || raced {
		return
	}
	documenting.Lock()
	defer documenting.Unlock()
	text, err := os.ReadFile(hostileFile)
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("| %s | %s | %s |", name, done, measured)
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+name+" |") })
	if at < 0 {
		at = slices.Index(lines, "|---|---|---|") + 1
		for at < len(lines) && strings.HasPrefix(lines[at], "| ") && lines[at] < row {
			at++
		}
		lines = slices.Insert(lines, at, "")
	}
	lines[at] = row
	if err := os.WriteFile(hostileFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pace is how long requests of healthy clients took.
type pace []time.Duration

func (p pace) at(share float64) time.Duration {
	if len(p) == 0 {
		return 0
	}
	return p[min(len(p)-1, int(share*float64(len(p))))].Round(time.Microsecond)
}

// healthy sends n requests over each of four connections, one behind the other's answer, and demands that every one is answered well.
func healthy(t *testing.T, address string, n int) pace {
	t.Helper()
	var mu sync.Mutex
	var all pace
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			own, err := askOften(address, n)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			if err != nil {
				t.Errorf("a healthy client: %v", err)
			}
		})
	}
	clients.Wait()
	slices.Sort(all)
	return all
}

func askOften(address string, n int) (took pace, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range n {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		if _, err := io.WriteString(c, "GET /small HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return took, err
		}
		if err := wellAnswered(in); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// compared says how healthy clients fared before and meanwhile.
func compared(before, meanwhile pace) string {
	return fmt.Sprintf("healthy p50 %s → %s, p99 %s → %s (%.2f times)", before.at(0.5), meanwhile.at(0.5), before.at(0.99), meanwhile.at(0.99),
		float64(meanwhile.at(0.99))/float64(max(1, before.at(0.99))))
}

// kibibytes is a share of some memory.
func kibibytes(now, then uint64, n int) float64 {
	return float64(int64(now)-int64(then)) / float64(n) / 1024
}
