// Package cli is the command line of the appliance: everything that the pages do, said to a running appliance over its control socket. It holds no rule of its
// own: the appliance refuses, and the command repeats the sentence. One table of commands is the source of parsing, help and tests.
package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"evenkeel/appliance"
)

// Exit statuses.
const (
	exitDone    = 0
	exitRefused = 1
	exitUsage   = 2
)

// Options of Run.
type Options struct {
	Args           []string // what follows "evenkeel lb"
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Data           string // the data folder, unless --data names another
}

// SocketName is the name of the control socket in a data folder.
const SocketName = "control.sock"

// Run does one command and returns the exit status: 0 done, 1 refused with the reason on Stderr, 2 when the command line is wrong.
func Run(ctx context.Context, o Options) int {
	var s session
	err := s.run(ctx, o)
	if _, writeErr := o.Stdout.Write(s.out.Bytes()); err == nil && writeErr != nil {
		err = &appliance.Error{Kind: appliance.Unavailable, Message: fmt.Sprintf("The answer cannot be written: %v.", writeErr)}
	}
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(o.Stderr, "evenkeel lb: %s\n%s tells more.\n", inert(usage.text), usage.help)
		return exitUsage
	}
	Complain(o.Stderr, err)
	return exitRefused
}

// Complain writes every sentence of err with its field and its hint, and what someone else changed meanwhile.
func Complain(w io.Writer, err error) {
	for _, e := range appliance.ErrorsOf(err) {
		text := e.Text()
		if e.Field != "" {
			text = e.Field + ": " + text
		}
		fmt.Fprintln(w, "evenkeel: "+inert(text))
		if e.Hint != "" {
			fmt.Fprintln(w, "          "+inert(e.Hint))
		}
	}
	var stale *appliance.StaleError
	if errors.As(err, &stale) {
		for _, ch := range stale.Changed.Changes {
			fmt.Fprintln(w, "          Changed meanwhile: "+inert(ch.Sentence()))
		}
	}
}

// usageError is a command line that cannot be read; help is the command that explains.
type usageError struct{ text, help string }

// Error returns what is wrong.
func (e *usageError) Error() string { return e.text }

// session is one run of one command.
type session struct {
	ctx     context.Context
	stdin   io.Reader
	out     bytes.Buffer // written at once when the command ends, or by flush
	stdout  io.Writer
	command *command
	flags   map[string][]string
	args    []string
	client  *client
}

func (s *session) run(ctx context.Context, o Options) error {
	s.ctx, s.stdin, s.stdout = ctx, o.Stdin, o.Stdout
	args := behindCommand(o.Args)
	words, wantsHelp := leading(args)
	chosen, used := find(words)
	if chosen == nil {
		return s.overview(words, wantsHelp)
	}
	s.command = chosen
	rest := append(append([]string{}, words[used:]...), args[len(words):]...)
	if err := s.parse(rest); err != nil {
		return err
	}
	if s.flagged("help") {
		s.out.WriteString(chosen.help())
		return nil
	}
	if n := len(s.args); n < chosen.least() || n > len(chosen.Args) {
		return s.misused("%s takes %s", chosen.Name, chosen.takes())
	}
	dir := o.Data
	if s.flagged("data") {
		dir = s.flag("data")
	}
	s.client = dial(filepath.Join(dir, SocketName))
	return chosen.do(s)
}

// flush writes what a command that goes on has to say so far.
func (s *session) flush() error {
	_, err := s.out.WriteTo(s.stdout)
	if err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Message: fmt.Sprintf("The answer cannot be written: %v.", err)}
	}
	return nil
}

// behindCommand moves --json and --data, which may stand before the command, behind it.
func behindCommand(args []string) []string {
	n := 0
	for n < len(args) {
		switch {
		case args[n] == "--json" || strings.HasPrefix(args[n], "--data="):
			n++
			continue
		case args[n] == "--data" && n+1 < len(args):
			n += 2
			continue
		}
		break
	}
	return slices.Concat(args[n:], args[:n])
}

// leading splits off the words before the first flag, which name the command.
func leading(args []string) (words []string, wantsHelp bool) {
	for i, a := range args {
		if strings.HasPrefix(a, "-") && a != "-" {
			words = args[:i]
			for _, flag := range args[i:] {
				wantsHelp = wantsHelp || flag == "--help" || flag == "-h"
			}
			return words, wantsHelp
		}
	}
	return args, false
}

// overview is the answer when no command is named.
func (s *session) overview(words []string, wantsHelp bool) error {
	if len(words) > 0 && words[0] == "help" {
		words, wantsHelp = words[1:], true
	}
	if chosen, _ := find(words); wantsHelp && chosen != nil {
		s.out.WriteString(chosen.help())
		return nil
	}
	group := strings.Join(words, " ")
	if known := below(group); wantsHelp && len(known) > 0 {
		s.out.WriteString(listing(group, known))
		return nil
	}
	if group == "" {
		return &usageError{"a command is missing", program + " --help"}
	}
	if len(below(words[0])) > 0 {
		return &usageError{fmt.Sprintf("there is no command %q", group), program + " " + words[0] + " --help"}
	}
	return &usageError{fmt.Sprintf("there is no command %q", words[0]), program + " --help"}
}

func (s *session) misused(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), program + " " + s.command.Name + " --help"}
}

func (s *session) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

// file reads a file, or standard input for "-".
func (s *session) file(name string) ([]byte, error) { return readFile(name, s.stdin) }

func readFile(name string, stdin io.Reader) ([]byte, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, maxFile+1))
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Unavailable, Message: fmt.Sprintf("%s cannot be read: %v.", name, errors.Unwrap(err)), Err: err}
	}
	if len(text) > maxFile {
		return nil, appliance.Refuse("", "%s is larger than %d MB.", name, maxFile>>20)
	}
	return text, nil
}

const maxFile = 64 << 20

// writeFile writes a file that only its owner can read.
func writeFile(name string, text []byte) error {
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Message: fmt.Sprintf("%s cannot be written: %v.", name, errors.Unwrap(err)), Err: err}
	}
	return nil
}
