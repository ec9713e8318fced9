package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/renameio/v2"

	"evenkeel/appliance"
	"evenkeel/appliance/control"
	"evenkeel/store"
	"evenkeel/ui/cli"
	"evenkeel/ui/signin"
)

// runSetup makes the first operator without a browser.
func runSetup(ctx context.Context, args []string, s streams) error {
	f := flags("setup", "setup --data DIR --password-stdin", s)
	dir := folderFlag(f)
	fromStdin := f.Bool("password-stdin", false, "read the password of loadbalancer from standard input")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if !*fromStdin {
		return misused(f, "the password is read from standard input only: give --password-stdin")
	}
	password, err := readLine(s.in)
	if err != nil {
		return err
	}
	if err := signin.CheckPassword(password, signin.FirstOperator); err != nil {
		return err
	}
	folder, err := store.Open(ctx, store.Options{Dir: *dir, Log: newLog(s.err, slog.LevelWarn)})
	if err != nil {
		return err
	}
	door := signin.New(signin.Options{Store: folder, CodeFile: filepath.Join(*dir, "setup-code"), Announce: io.Discard})
	err = door.FirstPassword(ctx, appliance.Origin{Operator: "console", Via: "setup"}, password)
	return errors.Join(err, folder.Close())
}

// runCheck validates a copy of a data folder.
func runCheck(ctx context.Context, args []string, s streams) error {
	f := flags("check", "check --data DIR", s)
	dir := folderFlag(f)
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if err := store.Check(ctx, *dir); err != nil {
		return err
	}
	_, err := io.WriteString(s.out, "The data folder "+*dir+" is good.\n")
	return err
}

// runConfig reads or writes the whole configuration, of a running appliance over its control socket, else of the folder at rest.
func runConfig(ctx context.Context, args []string, s streams) error {
	f := flags("config", "config export|import --data DIR FILE (- for standard output or input)", s)
	dir := folderFlag(f)
	why := f.String("why", "", "the reason, kept beside the revision")
	if len(args) == 0 || args[0] != "export" && args[0] != "import" {
		if err := parse(f, args, 0); err != nil {
			return err
		}
		return misused(f, "say export or import")
	}
	if err := parse(f, args[1:], 1); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return misused(f, "name a file, or -")
	}
	if args[0] == "export" {
		return exportConfig(ctx, *dir, f.Arg(0), s)
	}
	return importConfig(ctx, *dir, f.Arg(0), *why, s)
}

func exportConfig(ctx context.Context, dir, file string, s streams) error {
	text, err := cli.ConfigExport(ctx, dir)
	if cli.NotRunning(err) {
		err = atRest(ctx, dir, newLog(s.err, slog.LevelWarn), func(c *control.Control) error {
			text = control.ConfigJSON(c.Saved().Config)
			return nil
		})
	}
	if err != nil {
		return err
	}
	if file == "-" {
		_, err = s.out.Write(text)
		return err
	}
	if err := renameio.WriteFile(file, text, 0o600); err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "write file", Subject: file, Err: err}
	}
	return nil
}

// maxConfig is the largest file that is read as a configuration.
const maxConfig = 64 << 20

func importConfig(ctx context.Context, dir, file, why string, s streams) error {
	in := s.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return &appliance.Error{Kind: appliance.NotFound, Op: "open file", Subject: file, Err: err}
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxConfig))
	if err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "read file", Subject: file, Err: err}
	}
	revision, err := cli.ConfigImport(ctx, dir, text, why)
	when := "once it is applied"
	if cli.NotRunning(err) {
		when = "at the next start"
		err = atRest(ctx, dir, newLog(s.err, slog.LevelWarn), func(c *control.Control) error {
			config, err := control.ParseConfig(text)
			if err != nil {
				return err
			}
			done, err := c.Replace(ctx, appliance.Origin{Operator: "console", Via: "cli", Why: why}, config)
			revision = strconv.FormatInt(done.Revision.Number, 10)
			return err
		})
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "Saved as revision %s; it runs %s.\n", revision, when)
	return err
}

// usualSite is where an appliance listens unless it is told otherwise.
func usualSite() appliance.Site {
	return appliance.Site{Listeners: []appliance.Listener{
		{Address: netip.AddrPortFrom(netip.IPv4Unspecified(), appliance.PortWebUI), Name: "the WebUI"},
		{Address: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), appliance.PortFallback), Name: "the fallback page"},
	}}
}

// atRest opens a folder that no appliance runs on and gives its configuration to do.
func atRest(ctx context.Context, dir string, log *slog.Logger, do func(*control.Control) error) error {
	if _, err := os.Stat(dir); err != nil {
		return &appliance.Error{Kind: appliance.NotFound, Op: "open folder", Subject: dir, Err: err, Message: "There is no data folder " + dir + "."}
	}
	folder, err := store.Open(ctx, store.Options{Dir: dir, Log: log})
	if err != nil {
		return err
	}
	c := control.New(control.Options{Store: folder, Log: log, Site: usualSite()})
	if err = c.Boot(ctx); err == nil {
		err = do(c)
	}
	return errors.Join(err, folder.Close())
}

func runLB(ctx context.Context, args []string, s streams) error {
	code := cli.Run(ctx, cli.Options{Args: args, Stdin: s.in, Stdout: s.out, Stderr: s.err, Data: defaultFolder()})
	if code != exitDone {
		return exitStatus(code)
	}
	return nil
}
