package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"evenkeel/appliance"
)

// scriptPath is the whole environment of a script.
const scriptPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// maxOutput is how much of a script's output is kept, of each stream.
const maxOutput = 4 << 10

// scripts is the folder of scripts, each a file named by the hash of its content.
type scripts struct {
	dir   string
	slots chan struct{} // one for each script that runs

	mu      sync.Mutex // guards all below
	written map[string]bool
}

func newScripts(dir string) *scripts {
	return &scripts{dir: dir, slots: make(chan struct{}, maxScripts), written: map[string]bool{}}
}

// partial ends the name of a file that is not whole yet.
const partial = ".part"

func scriptName(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// file returns the path of a script with that body, written on first use.
func (s *scripts) file(body string) (string, error) {
	name := scriptName(body)
	path := filepath.Join(s.dir, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.written[name] {
		return path, nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder of scripts: %w", err)
	}
	if err := writeScript(path, body); err != nil {
		return "", err
	}
	s.written[name] = true
	return path, nil
}

// writeScript puts the file into place whole. No process may be started while it is open for writing: the child would hold it open too, and the kernel refuses to
// run such a file.
func writeScript(path, body string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	part := path + partial
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove old script: %w", err)
	}
	if err := os.WriteFile(part, []byte(body), 0o700); err != nil {
		return fmt.Errorf("write script: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("put script into place: %w", err)
	}
	return nil
}

// keep removes the files of scripts that are no longer configured, also those of an earlier run. One that is needed again is written again.
func (s *scripts) keep(list []appliance.Script) {
	if s.dir == "" {
		return
	}
	wanted := map[string]bool{}
	for i := range list {
		wanted[scriptName(list[i].Body)] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return // not made yet
	}
	for _, f := range files {
		name := f.Name()
		if len(strings.TrimSuffix(name, partial)) == 2*sha256.Size && !wanted[name] {
			delete(s.written, name)
			_ = os.Remove(filepath.Join(s.dir, name))
		}
	}
}

// runScript is the check by a script: its arguments are the service's address and port and the server's, exit status 0 means up.
func (a *attempt) runScript(ctx context.Context) outcome {
	switch {
	case a.script == "":
		return bad("The script of this check does not exist")
	case a.scripts.dir == "":
		return bad("This appliance has no folder for scripts")
	}
	select {
	case a.scripts.slots <- struct{}{}:
		defer func() { <-a.scripts.slots }()
	case <-ctx.Done():
		return outcome{ours: true, what: fmt.Sprintf("The check could not be made, because %d other scripts were running", maxScripts)}
	}
	path, err := a.scripts.file(a.script)
	if err != nil {
		return outcome{ours: true, what: "The script could not be written: " + inert(cause(err))}
	}
	return a.execute(ctx, path)
}

func (a *attempt) execute(ctx context.Context, path string) outcome {
	var output, complaint bounded
	command := exec.CommandContext(ctx, path, a.vip, strconv.Itoa(int(a.vipPort)), a.machine(), strconv.Itoa(int(a.port)))
	command.Env = []string{scriptPath}
	command.Dir = "/"
	command.Stdout, command.Stderr = &output, &complaint
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return killGroup(command.Process.Pid) }
	command.WaitDelay = 250 * time.Millisecond // for what it left running with its output open
	a.trace.say("run the script with arguments %s %d %s %d", a.vip, a.vipPort, a.machine(), a.port)
	err := command.Start()
	if err != nil {
		return unstarted(err)
	}
	err = command.Wait()
	_ = killGroup(command.Process.Pid)
	a.trace.say("output: %s", quoted(output.String()))
	a.trace.say("complaints: %s", quoted(complaint.String()))
	return a.exit(ctx, command.ProcessState, err, complaint.String())
}

// killGroup ends a script and all that it started.
func killGroup(pid int) error {
	err := syscall.Kill(-pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

func unstarted(err error) outcome {
	switch {
	case exhausted(err):
		return ours(err)
	case errors.Is(err, syscall.ENOENT):
		return bad("The interpreter in the first line of the script does not exist")
	case errors.Is(err, syscall.EACCES):
		return outcome{what: "The script could not be started: permission denied", more: "Its folder may be mounted noexec, or its interpreter is not executable."}
	}
	return bad("The script could not be started: %s", inert(cause(err)))
}

func (a *attempt) exit(ctx context.Context, state *os.ProcessState, err error, complaint string) outcome {
	first, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	said := ""
	if first != "" {
		said = ": " + inert(strings.TrimSpace(first))
	}
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case state.Success():
		return good("The script was content in %s", brief(a.took()))
	case ctx.Err() != nil:
		return bad("The script did not end within %s and was killed", a.within())
	case status.Signaled():
		return bad("The script was ended by the signal %s%s", status.Signal(), said)
	case state.Exited():
		return bad("The script ended with status %d%s", state.ExitCode(), said)
	}
	return bad("The script could not be awaited: %s", inert(fmt.Sprint(err)))
}

// bounded keeps the beginning of what is written to it. One goroutine of os/exec writes; it is read after that has ended.
type bounded struct{ kept []byte }

// Write takes everything.
func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), maxOutput-len(b.kept))]...)
	return len(p), nil
}

// String returns what was kept.
func (b *bounded) String() string { return string(b.kept) }
