package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// orders are what the machine finds when it has booted.
type orders struct {
	Early   []string // modules that are loaded first, in this order
	Modules string   // the folder of the others
	Jobs    []job
}

// boot is the whole life of the machine: this program is its first. It does not return.
func boot() {
	said := passed
	if err := obey(); err != nil {
		said = err.Error()
	}
	fmt.Printf("\n%s%s\n", verdict, said)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func obey() error {
	var o orders
	text, err := os.ReadFile("/orders")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("read orders: %w", err)
	}
	for _, m := range o.Early {
		if err := load("/" + m); err != nil {
			return fmt.Errorf("load %s: %w", m, err)
		}
	}
	if err := furnish(o.Modules); err != nil {
		return err
	}
	if err := exec.Command("/sbin/ip", "link", "set", "lo", "up").Run(); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	failed := 0
	for _, j := range o.Jobs {
		c := exec.Command(j.Args[0], j.Args[1:]...)
		c.Dir, c.Stdout, c.Stderr = j.Dir, os.Stdout, os.Stderr
		c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "EVENKEEL_TEST_REQUIRE=all"}
		if err := c.Run(); err != nil {
			fmt.Printf("%s: %v\n", j.Dir, err)
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("packages whose tests fail: %d", failed)
	}
	return nil
}

func load(module string) error {
	f, err := os.Open(module)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	flags := 0
	if filepath.Ext(module) != ".ko" {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}

// furnish gives the machine the files of the one that it is in. What it writes stays in its memory.
func furnish(modules string) error {
	for _, dir := range []string{"/memory", "/files", "/all"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("memory", "/memory", "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount memory: %w", err)
	}
	for _, m := range []struct {
		what, where, kind string
		flags             uintptr
		options           string
	}{
		{"files", "/files", "9p", unix.MS_RDONLY, "trans=virtio,version=9p2000.L,cache=loose,msize=262144"},
		{"all", "/all", "overlay", 0, "lowerdir=/files,upperdir=/memory/upper,workdir=/memory/work"},
		{"/files" + modules, "/all/usr/lib/modules/" + filepath.Base(modules), "", unix.MS_BIND, ""},
		{"proc", "/all/proc", "proc", 0, ""},
		{"sys", "/all/sys", "sysfs", 0, ""},
		{"cgroup", "/all/sys/fs/cgroup", "cgroup2", 0, ""},
		{"dev", "/all/dev", "devtmpfs", 0, ""},
		{"run", "/all/run", "tmpfs", 0, ""},
	} {
		for _, dir := range []string{"/memory/upper", "/memory/work", m.where} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(m.what, m.where, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	if err := unix.Chroot("/all"); err != nil {
		return err
	}
	return os.Chdir("/")
}
