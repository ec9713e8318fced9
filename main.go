// Command evenkeel is the whole appliance in one program: WebUI, settings, proxy engine and command line. This package is the only one that knows every
// other; it wires them and decides nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"evenkeel/appliance"
)

// Version is the product's version; the release build sets it with -ldflags -X.
var Version = "0.1.0"

// Exit statuses, as the contract has them.
const (
	exitDone    = 0
	exitRefused = 1
	exitUsage   = 2
)

// streams are the program's standard streams; tests give others.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is one subcommand.
type command struct {
	name, synopsis string
	run            func(ctx context.Context, args []string, s streams) error
}

func commands() []command {
	return []command{
		{"demo", "everything on loopback with sample servers: no privileges, nothing to configure", runDemo},
		{"serve", "the appliance", runServe},
		{"setup", "the first setup without a browser: sets the password of loadbalancer", runSetup},
		{"config", "config export|import: the whole configuration as JSON", runConfig},
		{"check", "validate a copy of a data folder", runCheck},
		{"lb", "everything that the pages do, from the command line", runLB},
		{"witness", "a third machine that tells the nodes of a pair whether the other is gone or only the wire", runWitness},
		{"sample", "one of the demo's sample servers, as a process of its own", runSample},
		{"version", "print the version", runVersion},
	}
}

// errUsage says that the command line could not be read; what is wrong was already printed.
var errUsage = errors.New("usage")

// exitStatus carries the exit status of a command that has already said everything.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		usage(s.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(s.out)
		return exitDone
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return report(c.run(ctx, args[1:], s), s.err)
		}
	}
	fmt.Fprintf(s.err, "evenkeel: there is no command %q\n\n", args[0])
	usage(s.err)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Evenkeel, a load-balancer appliance.\n\nUsage: evenkeel COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.synopsis)
	}
	fmt.Fprint(w, "\nevenkeel COMMAND --help tells more.\n")
}

// report prints an error as the operator should read it, one line for each with its hint, and returns the exit status.
func report(err error, w io.Writer) int {
	var status exitStatus
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.As(err, &status):
		return int(status)
	}
	for _, e := range appliance.ErrorsOf(err) {
		text := e.Text()
		if e.Field != "" {
			text = e.Field + ": " + text
		}
		if e.Kind == appliance.Internal {
			text = err.Error()
		}
		fmt.Fprintln(w, "evenkeel: "+text)
		if e.Hint != "" {
			fmt.Fprintln(w, "          "+e.Hint)
		}
	}
	return exitRefused
}

// flags returns a flag set that prints to s and whose errors are errUsage.
func flags(name, synopsis string, s streams) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(s.err)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: evenkeel %s\n\n", synopsis)
		f.PrintDefaults()
	}
	return f
}

// parse reads the flags; at most positional arguments may follow.
func parse(f *flag.FlagSet, args []string, positional int) error {
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errUsage
	}
	if f.NArg() > positional {
		return misused(f, "unexpected argument %q", f.Arg(positional))
	}
	return nil
}

func misused(f *flag.FlagSet, format string, args ...any) error {
	fmt.Fprintf(f.Output(), "evenkeel "+f.Name()+": "+format+"\n", args...)
	return errUsage
}

// defaultFolder is where an appliance keeps its settings unless --data says otherwise.
func defaultFolder() string {
	if os.Geteuid() == 0 {
		return "/var/lib/evenkeel"
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "evenkeel")
	}
	return "evenkeel-data"
}

func folderFlag(f *flag.FlagSet) *string {
	return f.String("data", defaultFolder(), "folder of the settings")
}

func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

func runVersion(_ context.Context, args []string, s streams) error {
	if err := parse(flags("version", "version", s), args, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "evenkeel %s %s %s/%s%s\n", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, revisionOfBuild())
	return err
}

func revisionOfBuild() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			return " " + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return ""
}

// readLine reads one line of at most a megabyte without its end.
func readLine(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
