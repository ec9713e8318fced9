package monitor

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// scripted returns a service that is checked by the script s1, and its server.
func scripted(timeout time.Duration) (appliance.VirtualService, appliance.RealServer) {
	s := appliance.NewService(appliance.TCP)
	s.Address, s.Ports = netip.MustParseAddr("192.168.0.188"), appliance.Ports{{First: 104, Last: 104}}
	s.Monitor = appliance.NewMonitor(appliance.MonitorScript)
	s.Monitor.Script, s.Monitor.Timeout = "s1", appliance.Duration(timeout)
	r := appliance.NewRealServer()
	r.ID, r.Address, r.Port = "rs1", "192.168.0.51", 11112
	return s, r
}

func runScript(t *testing.T, dir, body string, timeout time.Duration) (appliance.Probe, string) {
	t.Helper()
	s, r := scripted(timeout)
	m := New(Options{ScriptsDir: dir})
	return m.Test(t.Context(), s, r, []appliance.Script{{ID: "s1", Label: "Probe", Body: body}}, nil)
}

func TestScripts(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		good bool
		want string
	}{
		"content":        {"#!/bin/sh\nexit 0\n", true, "The script was content in # ms."},
		"status":         {"#!/bin/sh\necho 'no licence left' >&2\necho more >&2\nexit 3\n", false, "The script ended with status 3: no licence left."},
		"silent":         {"#!/bin/sh\nexit 1\n", false, "The script ended with status 1."},
		"markup":         {"#!/bin/sh\nprintf '<b>\\033[1m\\rx' >&2\nexit 1\n", false, `The script ended with status 1: <b>\x1b[1m\rx.`},
		"signal":         {"#!/bin/sh\nkill -SEGV $$\n", false, "The script was ended by the signal segmentation fault."},
		"arguments":      {"#!/bin/sh\n[ \"$*\" = '192.168.0.188 104 192.168.0.51 11112' ]\n", true, "The script was content in # ms."},
		"environment":    {"#!/bin/sh\n[ -n \"$PATH\" ] && [ -z \"$HOME$USER$GOFLAGS\" ]\n", true, "The script was content in # ms."},
		"no interpreter": {"#!/nonexistent\n", false, "The interpreter in the first line of the script does not exist."},
		"endless output": {"#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x >&2\nexit 2\n", false, "The script ended with status 2: " + strings.Repeat("x", maxQuoted) + "…."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", "/somewhere")
			p, _ := runScript(t, t.TempDir(), c.body, time.Minute)
			expect(t, p, c.good, c.want)
		})
	}
}

func TestScriptFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "scripts")
	body := "#!/bin/sh\nexit 0\n"
	p, transcript := runScript(t, dir, body, time.Minute)
	expect(t, p, true, "The script was content in # ms.")
	if !strings.Contains(transcript, "run the script with arguments 192.168.0.188 104 192.168.0.51 11112") {
		t.Errorf("transcript:\n%s", transcript)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	file, _ := files[0].Info()
	folder, _ := os.Stat(dir)
	if file.Mode().Perm() != 0o700 || folder.Mode().Perm() != 0o700 {
		t.Errorf("modes %v and %v", file.Mode(), folder.Mode())
	}
}

func TestScriptsNoLongerConfiguredAreRemoved(t *testing.T) {
	dir := t.TempDir()
	earlier := filepath.Join(dir, scriptName("of an earlier run"))
	if err := os.WriteFile(earlier, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	s, r := scripted(5 * time.Second)
	m := New(Options{ScriptsDir: dir})
	list := []appliance.Script{{ID: "s1", Label: "Probe", Body: "#!/bin/sh\nexit 0\n"}}
	for range 2 {
		p, _ := m.Test(t.Context(), s, r, list, nil)
		expect(t, p, true, "The script was content in # ms.")
		m.Apply(nil, list)
		if files, _ := os.ReadDir(dir); len(files) != 1 {
			t.Errorf("a configured script was removed: %v", files)
		}
		m.Apply(nil, nil)
		if files, _ := os.ReadDir(dir); len(files) != 0 {
			t.Errorf("left behind: %v", files)
		}
	}
}

func TestScriptThatHangsIsKilledWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	body := fmt.Sprintf("#!/bin/sh\nsleep 300 &\necho $! > %s\nwait\n", pid)
	begin := time.Now()
	p, _ := runScript(t, dir, body, 3*time.Second)
	expect(t, p, false, "The script did not end within 3s and was killed.")
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("it took %s", d)
	}
	awaitGone(t, pid)
}

func TestWhatAScriptLeavesRunningIsKilled(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	p, _ := runScript(t, dir, fmt.Sprintf("#!/bin/sh\nsleep 300 &\necho $! > %s\nexit 0\n", pid), time.Minute)
	expect(t, p, true, "The script was content in # ms.")
	awaitGone(t, pid)
}

// awaitGone waits until the process whose number stands in file is dead; a zombie that nobody reaps counts as dead.
func awaitGone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestScriptsThatCannotRun(t *testing.T) {
	p, _ := runScript(t, "", "#!/bin/sh\n", time.Minute)
	expect(t, p, false, "This appliance has no folder for scripts.")
	s, r := scripted(time.Second)
	p, _ = New(Options{ScriptsDir: t.TempDir()}).Test(t.Context(), s, r, nil, nil)
	expect(t, p, false, "The script of this check does not exist.")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ = runScript(t, filepath.Join(file, "scripts"), "#!/bin/sh\n", time.Minute)
	expect(t, p, false, "The script could not be written: not a directory.")
}
