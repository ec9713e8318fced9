package story

import (
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// steppedFile is added to package time of the program of these trials: a file says by how many seconds the clock of the machine would have been set, and may change at any time.
// What runs since the start of a process, as a kernel's does, goes on as ever.
const steppedFile = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var steppedBy = steps()

func steps() *int64 {
	if name, found := syscall.Getenv("` + clockVariable + `"); found {
		fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
		if err != nil {
			panic(err)
		}
		return (*int64)(unsafe.Pointer(&b[0]))
	}
	return new(int64)
}

func stepped() int64 { return atomic.LoadInt64(steppedBy) }
`

const clockVariable = "EVENKEEL_LABORATORY_CLOCK"

// withClocks has the nodes run a program whose clock can be set without that of the machine.
func (f *field) withClocks() *field {
	f.t.Helper()
	source := filepath.Join(strings.TrimSpace(must(f.t, "go", "env", "GOROOT")), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	const asks = "sec, nsec, mono := runtimeNow()\n"
	if err != nil || strings.Count(string(text), asks) != 1 {
		f.t.Fatalf("package time is not as it was: %v", err)
	}
	files := map[string]string{
		"time.go":    strings.Replace(string(text), asks, asks+"\tsec += stepped()\n", 1),
		"stepped.go": steppedFile,
	}
	replaced := map[string]string{}
	for name, text := range files {
		replaced[filepath.Join(source, name)] = text
	}
	f.program = overlaid(f.t, replaced)
	return f
}

// overlaid builds the program with other text in some files of its source.
func overlaid(t *testing.T, files map[string]string, flags ...string) (program string) {
	t.Helper()
	dir, replaced := temporary(t), map[string]string{}
	for name, text := range files {
		replaced[name] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(replaced[name], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "evenkeel")
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program}, append(flags, "evenkeel")...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// step sets the node's clock, so far from the machine's.
func (n *node) step(by time.Duration) {
	n.f.t.Helper()
	file, err := os.OpenFile(n.clock, os.O_WRONLY|os.O_CREATE, 0o600) // never shorter: the program has it in its memory
	if err == nil {
		defer file.Close()
		_, err = file.WriteAt(endian.NativeEndian.AppendUint64(nil, uint64(int64(by/time.Second))), 0)
	}
	if err != nil {
		n.f.t.Fatal(err)
	}
}

// strange are what clocks are set to, in turn.
var strange = []time.Duration{time.Hour, -time.Hour, 20 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour}

// another is the strange time of a trial.
func (r *round) another() time.Duration { return strange[r.number%len(strange)] }

// clocks are faults of the time of day.
func clocks() (out []fault) {
	for _, c := range []struct {
		who   string
		nodes func(*round) []*node
	}{
		{"the owner's clock", func(r *round) []*node { return []*node{r.owner} }},
		{"the passive node's clock", func(r *round) []*node { return []*node{r.other} }},
		{"both clocks", func(r *round) []*node { return []*node{r.owner, r.other} }},
	} {
		out = append(out, fault{
			name: c.who + " set by an hour or 20 years", moves: stays, full: 20, lasts: time.Second, freezes: true,
			inject: func(r *round) {
				for _, n := range c.nodes(r) {
					n.step(r.another())
				}
				pause(r.t, 500*time.Millisecond)
				r.other.cmd.kill() // settings and table come over connections that are made at that time
				r.other.begin()
			},
			heal: func(r *round) {
				r.edited()
				for _, n := range []*node{r.owner, r.other} {
					n.step(0)
				}
			},
		})
	}
	return append(out, fault{
		name: "kill -9, the clocks are hours or years apart", moves: moves, full: 20, freezes: true,
		inject: func(r *round) {
			r.owner.step(r.another())
			pause(r.t, 500*time.Millisecond)
			r.at = time.Now()
			r.owner.cmd.kill()
		},
		heal: func(r *round) {
			r.owner.begin()
			r.edited()
			r.owner.step(0)
		},
	})
}

// edited changes a setting on the active node, and waits for it on the other.
func (r *round) edited() {
	r.t.Helper()
	owner, other := r.calm()
	most := 1000 + r.draw.IntN(100_000)
	owner.does("service", "set", "WEB", "--limits-max-connections", fmt.Sprint(most), "--apply")
	begin := time.Now()
	eventually(r.t, 20*time.Second, "the edit is on the other node", func() bool { return other.rest().services(r.t)["WEB"].Limits.MaxConnections == most })
	if late := time.Since(begin); late > 5*time.Second {
		r.t.Errorf("an edit was on the other node after %v", late)
	}
}

// strangeClocks tries them on a pair whose clocks can be set.
func (c *couple) strangeClocks(list []fault) {
	c.t.Helper()
	c.a.step(strange[2])
	if ahead := time.Until(c.a.status().At); ahead < strange[2]-time.Minute {
		c.t.Fatalf("a is ahead by %v: its clock is not set", ahead)
	}
	c.a.step(0)
	c.all(list)
}
