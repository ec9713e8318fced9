// Command cmd measures the engine beside HAProxy and writes engine/bench/RESULTS.md. It needs root and the program haproxy; run it from the top of the source tree:
// go run ./engine/bench/cmd [-rounds N] [-length D] [-idle N] [-only W1] [-o FILE]
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
	"strings"
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
	flag.IntVar(&o.Rounds, "rounds", 0, "rounds of each measurement (9)")
	flag.DurationVar(&o.Length, "length", 0, "length of each (1s)")
	flag.IntVar(&o.Idle, "idle", 0, "idle connections (8000)")
	file := flag.String("o", "engine/bench/RESULTS.md", "where the table is written")
	flag.StringVar(&o.Only, "only", "", "measure only works whose name begins so, and write nothing")
	part := flag.Bool("part", false, "be a contender; the arguments are which, its base port and its loops")
	inside := flag.Bool("inside", false, "measure in this network namespace")
	flag.Parse()
	switch {
	case *part:
		return serve(flag.Arg(0), flag.Arg(1), flag.Arg(2), flag.Arg(3))
	case !*inside:
		return again()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	table, err := bench.Run(o, []string{self, "-part"}, os.Stdout)
	if err != nil {
		return err
	}
	if o.Only != "" {
		return nil
	}
	return os.WriteFile(*file, table, 0o644)
}

func serve(part, base, loops, dir string) error {
	port, err := strconv.Atoi(base)
	if err != nil {
		return fmt.Errorf("read base port: %w", err)
	}
	n, err := strconv.Atoi(loops)
	if err != nil {
		return fmt.Errorf("read loops: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch part {
	case "reverse":
		return bench.Reverse(ctx, port)
	case "many":
		return bench.Many(ctx, os.Stdout)
	}
	return bench.Proxy(ctx, port, n, dir)
}

// autogroup is where Linux weighs the processes of one session against the rest (sched(7)); a process's own nice value counts among them alone.
const autogroup = "/proc/self/autogroup"

// goFirst gives this session the processors before others, for as long as it takes until the returned function is called. Where the kernel has no such groups, it does nothing.
func goFirst(file string) func() {
	was, err := os.ReadFile(file)
	fields := strings.Fields(string(was)) // "/autogroup-7 nice 0"
	if err != nil || len(fields) != 3 {
		return func() {}
	}
	set := func(nice string) { _ = os.WriteFile(file, []byte(nice), 0) }
	set("-20")
	return func() { set(fields[2]) }
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
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT) // interrupted, it still puts back what it changed
	defer stop()
	defer goFirst(autogroup)()
	cmd := exec.CommandContext(ctx, self, append([]string{"-inside"}, os.Args[1:]...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}
