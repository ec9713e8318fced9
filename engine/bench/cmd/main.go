// Command cmd measures the engine beside HAProxy and writes engine/bench/RESULTS.md. It needs root and the program haproxy; run it from the top of the source tree:
// go run ./engine/bench/cmd [-rounds N] [-length D] [-idle N] [-o FILE]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"evenkeel/engine/bench"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var o bench.Options
	flag.IntVar(&o.Rounds, "rounds", 0, "rounds of each measurement (5)")
	flag.DurationVar(&o.Length, "length", 0, "length of each (2s)")
	flag.IntVar(&o.Idle, "idle", 0, "idle connections (8000)")
	file := flag.String("o", "engine/bench/RESULTS.md", "where the table is written")
	proxy := flag.Bool("proxy", false, "be the contender; the argument is its base port")
	inside := flag.Bool("inside", false, "measure in this network namespace")
	flag.Parse()
	switch {
	case *proxy:
		return serve(flag.Arg(0))
	case !*inside:
		return again()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	table, err := bench.Run(o, []string{self, "-proxy"}, os.Stdout)
	if err != nil {
		return err
	}
	return os.WriteFile(*file, table, 0o644)
}

func serve(base string) error {
	port, err := strconv.Atoi(base)
	if err != nil {
		return fmt.Errorf("read base port: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return bench.Proxy(ctx, port)
}

// again runs the same command in a network namespace of its own.
func again() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root, for a network namespace of its own")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"-inside"}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}
