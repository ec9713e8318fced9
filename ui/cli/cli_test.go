package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"evenkeel/appliance"
	"evenkeel/appliance/certificates"
	"evenkeel/appliance/control"
	"evenkeel/store"
	"evenkeel/ui/api"
	"evenkeel/ui/signin"
)

// engine stands for the engine: it accepts every configuration, and every second server is down.
type engine struct {
	mu      sync.Mutex
	running appliance.Config
	closed  bool
}

func (e *engine) Check(context.Context, appliance.Config) error { return nil }

func (e *engine) Apply(_ context.Context, c appliance.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = c
	return nil
}

func (e *engine) Status() appliance.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out appliance.Status
	for _, s := range e.running.Cluster.VirtualServices {
		status := appliance.ServiceStatus{ID: s.ID, Label: s.Label, Health: appliance.ServiceDegraded, Sentence: "Some servers are down.", Connections: 12}
		for i, r := range s.RealServers {
			seen := appliance.ServerStatus{ID: r.ID, Label: r.Label, State: r.State, Weight: r.Weight, Connections: 12 * (1 - i%2), PersistenceEntries: 4}
			seen.Check = appliance.ServerHealth{Health: []appliance.Health{appliance.Up, appliance.Down}[i%2], Sentence: "It said \x1b[31mred\x1b[0m."}
			status.Servers = append(status.Servers, seen)
		}
		out.Services = append(out.Services, status)
	}
	return out
}

func (e *engine) Test(_ context.Context, c appliance.Config, service, server string) (appliance.Probe, []string, error) {
	r := c.Cluster.Service(service).Server(server)
	good := r.Label != "Corepoint2"
	return appliance.Probe{Good: good, Sentence: map[bool]string{true: "Connected in 1 ms.", false: "Connection refused on port 6667."}[good]}, []string{"connect to " + string(r.Address)}, nil
}

func (e *engine) Persistence(q appliance.PersistenceQuery) appliance.PersistenceList {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out appliance.PersistenceList
	for _, s := range e.running.Cluster.VirtualServices {
		client := netip.MustParsePrefix("10.0.0.7/32")
		if (q.Service == "" || s.ID == q.Service) && (q.Server == "" || s.RealServers[0].ID == q.Server) && (!q.Client.IsValid() || q.Client.Overlaps(client)) {
			out.Entries = append(out.Entries, appliance.PersistenceEntry{ServiceID: s.ID, ServerID: s.RealServers[0].ID, Kind: "address", Key: "10.0.0.7", Client: client, Age: 2 * time.Minute, Remaining: 90 * time.Second})
		}
	}
	out.Total = len(out.Entries)
	return out
}

func (e *engine) ClearPersistence(q appliance.PersistenceQuery) int { return e.Persistence(q).Total }

func (e *engine) Connections(_ context.Context, q appliance.ConnectionQuery) (appliance.ConnectionList, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out appliance.ConnectionList
	for _, s := range e.running.Cluster.VirtualServices {
		if (q.Service == "" || s.ID == q.Service) && !e.closed {
			out.Connections = append(out.Connections, appliance.Connection{
				ID: "0-100000007", Client: netip.MustParseAddrPort("10.0.0.7:51000"), ServiceID: s.ID, ServerID: s.RealServers[0].ID, Protocol: s.Protocol, TLS: true, State: "open",
				Age: 90 * time.Second, BytesIn: 5, BytesOut: 7,
			})
		}
	}
	out.Total = len(out.Connections) + 1
	return out, nil
}

func (e *engine) CloseConnection(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id != "0-100000007" || e.closed {
		return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such connection."}
	}
	e.closed = true
	return nil
}

// start runs an appliance on dir until the test ends.
func start(ctx context.Context, dir string) (stop func() error, err error) {
	return startWith(ctx, dir, &journal{})
}

func startWith(ctx context.Context, dir string, written *journal) (stop func() error, err error) {
	db, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	ids := 0
	moving := &engine{}
	c := control.New(control.Options{Store: db, Engine: moving, NewID: func() string { ids++; return fmt.Sprintf("id%d", ids) }})
	if err := c.Boot(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	door := signin.New(signin.Options{Store: db, Announce: io.Discard})
	vault, err := certificates.Open(ctx, certificates.Options{Store: db, Configurations: func() (appliance.Config, appliance.Config) { return c.Saved().Config, c.Running().Config }})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	a := api.New(api.Options{Traffic: written, Pair: &pairing{}, Statistics: memory{}, History: memory{}, Certificates: vault, Control: c, Engine: moving, Store: db, Door: door, Version: "1.2.3"})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- api.Socket(ctx, dir, a.ConsoleHandler(), nil) }()
	stop = func() error { cancel(); return errors.Join(<-ended, db.Close()) }
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := os.Stat(filepath.Join(dir, SocketName)); err == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, errors.Join(err, db.Close())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(errors.New("no control socket"), stop())
		}
	}
}

func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, "appliance")
			e.Setenv("DATA", dir)
			if strings.HasSuffix(e.WorkDir, "at-rest") {
				return nil
			}
			stop, err := start(context.Background(), dir)
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := stop(); err != nil {
					panic(err)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"lb":      func(ts *testscript.TestScript, _ bool, args []string) { say(ts, exitDone, nil, args) },
			"refused": func(ts *testscript.TestScript, _ bool, args []string) { say(ts, exitRefused, nil, args) },
			"usage":   func(ts *testscript.TestScript, _ bool, args []string) { say(ts, exitUsage, nil, args) },
			"mistaken": func(ts *testscript.TestScript, _ bool, args []string) {
				say(ts, exitRefused, strings.NewReader(ts.ReadFile(args[0])), args[1:])
			},
			"pipe": func(ts *testscript.TestScript, _ bool, args []string) {
				say(ts, exitDone, strings.NewReader(ts.ReadFile(args[0])), args[1:])
			},
		},
	})
}

// say runs a command line in the story and demands its exit status.
func say(ts *testscript.TestScript, want int, stdin io.Reader, args []string) {
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	for i := range args {
		if rest, isFile := strings.CutPrefix(args[i], "@"); isFile {
			args[i] = ts.MkAbs(rest)
		}
	}
	var errs bytes.Buffer
	got := Run(context.Background(), Options{Args: args, Stdin: stdin, Stdout: ts.Stdout(), Stderr: io.MultiWriter(&errs, ts.Stderr()), Data: ts.Getenv("DATA")})
	if got != want {
		ts.Fatalf("exit status %d, want %d: %s", got, want, errs.String())
	}
}
