package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// job is a program that the machine runs.
type job struct {
	Dir  string
	Args []string
}

// verdict stands in front of what the machine says of its jobs.
const verdict = "THE MACHINE SAYS: "

// passed is the verdict when no job failed.
const passed = "passed"

// run boots the kernel in a machine without hardware's help. Its clock counts instructions while it works: however slow it is seen from outside, within it no limit of time is
// missed because of that. It has one processor, since Linux 6.1 does not find a second one under such a clock, and this machine's files, which it cannot change. A warning of
// the kernel stops it: then there is no verdict.
func (k kernel) run(ctx context.Context, initramfs string, jobs []job) error {
	if err := k.writeInitramfs(initramfs, jobs); err != nil {
		return fmt.Errorf("write the initramfs: %w", err)
	}
	c := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-icount", "shift=1,sleep=on", "-cpu", "max", "-m", "2G",
		"-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-virtfs", "local,path=/,mount_tag=files,security_model=none,readonly=on,multidevs=remap",
		"-kernel", k.image(), "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1 oops=panic panic_on_warn=1")
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	console, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	said := ""
	for lines := bufio.NewReader(console); ; {
		line, err := lines.ReadString('\n')
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), verdict); ok {
			said = text
		} else {
			fmt.Print(line)
		}
		if err != nil {
			break
		}
	}
	switch err := c.Wait(); {
	case err != nil:
		return fmt.Errorf("QEMU: %w", err)
	case said == "":
		return errors.New("the machine stopped before its end")
	case said != passed:
		return errors.New(said)
	}
	return nil
}

// early are the modules by which the machine reaches its files; the others it loads from there as they are needed.
var early = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay"}

// writeInitramfs writes what the kernel boots into: this program as the first one, the modules of early, and the jobs.
func (k kernel) writeInitramfs(file string, jobs []job) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	list, err := k.early()
	if err != nil {
		return err
	}
	o := orders{Modules: k.modules(), Jobs: jobs}
	var a archive
	a.add("dev", syscall.S_IFDIR|0o755, nil)
	a.add("init", syscall.S_IFREG|0o755, program)
	for _, m := range list {
		text, err := os.ReadFile(filepath.Join(k.modules(), m))
		if err != nil {
			return err
		}
		name := filepath.Base(m)
		a.add(name, syscall.S_IFREG|0o644, text)
		o.Early = append(o.Early, name)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	a.add("orders", syscall.S_IFREG|0o644, text)
	a.add("TRAILER!!!", 0, nil)
	return os.WriteFile(file, a.Bytes(), 0o644)
}

// early lists those modules and what they need, in the order in which they are loaded.
func (k kernel) early() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(k.modules(), "modules.dep"))
	if err != nil {
		return nil, err
	}
	files := map[string][]string{} // of a module: its own, and before which others must be there, the farthest last
	for line := range strings.Lines(string(text)) {
		file, needs, _ := strings.Cut(line, ":")
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		files[name] = append([]string{file}, strings.Fields(needs)...)
	}
	var out []string
	for _, name := range early {
		for _, file := range slices.Backward(files[name]) { // none: it is a part of the kernel
			if !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out, nil
}

// archive is one of cpio in the format newc, as the kernel's document on initramfs has it.
type archive struct {
	bytes.Buffer
	files int
}

func (a *archive) add(name string, mode uint32, content []byte) {
	a.files++
	fmt.Fprintf(a, "070701%08X%08X", a.files, mode)
	for _, field := range []int{0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} { // owner, group, links, time, size, devices, name, checksum
		fmt.Fprintf(a, "%08X", field)
	}
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(content)
	a.pad()
}

func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }
