// Command cmd runs the tests that depend on the kernel most on the kernels of Debian's releases, each in a machine that QEMU emulates. It needs root, a Debian on amd64 with
// qemu-system-x86, kmod, dpkg, nftables and iproute2, and room for the kernels in the user's cache folder; run it from the top of the source tree:
// go run ./story/kernels/cmd [-releases bookworm,trixie] [-tests EXPRESSION] [-v]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getpid() == 1 {
		boot()
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// packages are whose tests run.
var packages = []string{"appliance/host", "appliance/ha", "engine/loop"}

func run() error {
	releases := flag.String("releases", "bookworm,trixie", "releases of Debian whose kernels are tried")
	tests := flag.String("tests", ".", "only tests that match")
	verbose := flag.Bool("v", false, "tell of tests that pass, and their figures")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("this needs root, to hand on all files of this machine")
	}
	if _, err := regexp.Compile(*tests); err != nil {
		return fmt.Errorf("read -tests: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	dir, err := os.MkdirTemp("", "evenkeel-kernels-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	jobs, err := build(ctx, dir, *tests, *verbose)
	if err != nil {
		return err
	}
	var failed error
	for _, release := range strings.Split(*releases, ",") {
		start := time.Now()
		k, err := kernelOf(ctx, release)
		if err == nil {
			fmt.Printf("=== %s: Linux %s\n", release, k)
			err = k.run(ctx, filepath.Join(dir, "initramfs"), jobs)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", release, err))
			continue
		}
		fmt.Printf("=== %s: Linux %s: everything passes (%s)\n", release, k, time.Since(start).Round(time.Second))
	}
	return failed
}

// build makes the programs of the tests in dir.
func build(ctx context.Context, dir, tests string, verbose bool) (jobs []job, err error) {
	top, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		program := filepath.Join(dir, strings.ReplaceAll(p, "/", "-")+".test")
		if err := tell(ctx, "go", "test", "-c", "-o", program, "./"+p); err != nil {
			return nil, err
		}
		j := job{Dir: filepath.Join(top, p), Args: []string{program, "-test.timeout=30m", "-test.run=" + tests}}
		if verbose {
			j.Args = append(j.Args, "-test.v")
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// tell runs a program and shows what it says.
func tell(ctx context.Context, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
