package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/takeover"
	"evenkeel/engine"
	"evenkeel/engine/fallback"
)

// The names of what a process gives to the one that replaces it.
const (
	nameLock     = "lock"
	nameWebUI    = "webui"
	nameFallback = "fallback"
	nameService  = "service" // a listener of a virtual service
)

// defaultDrain is how long connections may stay after a process was replaced: as long as an idle DICOM or HL7 connection may.
const defaultDrain = 12 * time.Hour

// errReplaced ends everything but the open connections.
var errReplaced = errors.New("another process has taken over")

// facts are what is given beside descriptors, before the new process serves.
type facts struct {
	Version   string                            `json:"version"`
	Addresses map[string]string                 `json:"addresses"` // of the WebUI and the fallback page, as they were asked for
	Health    map[string]appliance.ServerHealth `json:"health"`    // of the real servers
	Names     map[string][]netip.Addr           `json:"names"`     // where host names of real servers lead
	Tables    map[string][]byte                 `json:"tables"`    // persistence, by service
}

// lastFacts are given when the old process has let go.
type lastFacts struct {
	Tables map[string][]byte `json:"tables"`
}

// heir is what this process got from the one before. A nil heir has nothing.
type heir struct {
	facts facts
	taken *takeover.Taken
	files map[string][]int // by name, until somebody takes them
}

// inherit asks the process that serves the folder; nil when none does.
func inherit(ctx context.Context, o serveOptions) (*heir, error) {
	h := &heir{files: map[string][]int{}}
	var err error
	if h.taken, err = takeover.Ask(ctx, o.dir, &h.facts); err != nil {
		if appliance.KindOf(err) == appliance.NotFound {
			return nil, nil //nolint:nilnil // nothing to take over is no error
		}
		return nil, err
	}
	for _, f := range h.taken.Files {
		h.files[f.Name] = append(h.files[f.Name], f.FD)
	}
	o.log.Info("taking over", "component", "main", "version", h.facts.Version, "listeners", len(h.files[nameService]))
	return h, nil
}

// lock returns the lock of the folder.
func (h *heir) lock() *os.File {
	if h == nil || len(h.files[nameLock]) != 1 {
		return nil
	}
	fd := h.files[nameLock][0]
	delete(h.files, nameLock)
	return os.NewFile(uintptr(fd), "lock")
}

// listener returns the listener of that name if the process before had it at the same address, else one that open makes.
func (h *heir) listener(name, address string, open func(string) (net.Listener, error)) (net.Listener, error) {
	if h == nil || len(h.files[name]) != 1 || h.facts.Addresses[name] != address {
		return open(address)
	}
	f := os.NewFile(uintptr(h.files[name][0]), name)
	delete(h.files, name)
	defer f.Close()
	return net.FileListener(f)
}

// openPage opens the fallback page.
func (a *instance) openPage(address string) (*fallback.Page, error) {
	if a.heir == nil {
		return fallback.Open(address, a.fallbackPage)
	}
	l, err := a.heir.listener(nameFallback, address, listen)
	if err != nil {
		return nil, err
	}
	return fallback.On(l, a.fallbackPage), nil
}

// give lets the engine have what is its own.
func (h *heir) give(e *engine.Engine) {
	if h == nil {
		return
	}
	e.Inherit(h.files[nameService])
	delete(h.files, nameService)
	e.Recall(h.facts.Health)
	e.RecallNames(h.facts.Names)
	e.RestorePersistence(h.facts.Tables)
}

// confirm tells the process before that this one serves, and takes what that one has learned until it let go.
func (h *heir) confirm(a *instance) error {
	if h == nil {
		return nil
	}
	var last lastFacts
	if err := h.taken.Confirm(&last); err != nil {
		return err
	}
	a.engine.MergePersistence(last.Tables)
	a.options.log.Info("taken over", "component", "main", "version", Version)
	return nil
}

// close gives back what nobody has taken. Without a confirmation the process before goes on.
func (h *heir) close() {
	if h == nil {
		return
	}
	h.taken.Close()
	for _, list := range h.files {
		for _, fd := range list {
			_ = syscall.Close(fd)
		}
	}
	clear(h.files)
}

// answerTakeover gives everything to a process that asks, and returns errReplaced when it serves.
func (a *instance) answerTakeover(ctx context.Context) error {
	by, err := takeover.Run(ctx, takeover.Options{Dir: a.options.dir, Log: a.options.log, Give: a.offer})
	switch {
	case by != 0:
		a.options.log.Info("replaced", "component", "main", "process", by)
		a.tellSystem(fmt.Sprintf("MAINPID=%d", by))
		return errReplaced
	case err != nil:
		a.options.log.Error("no other process can take over", "component", "main", "error", err)
	}
	return nil
}

// holdWithin bounds how long a takeover waits for a change that is under way.
const holdWithin = 30 * time.Second

// offer collects what this process holds. Nothing can be changed until the other process serves or has gone away.
func (a *instance) offer(ctx context.Context) (takeover.Offer, error) {
	within, cancel := context.WithTimeout(ctx, holdWithin)
	defer cancel()
	release, err := a.control.Hold(within)
	if err != nil {
		return takeover.Offer{}, err
	}
	o := takeover.Offer{
		Files: []takeover.File{{Name: nameLock, FD: descriptor(a.store.Lock())}, {Name: nameWebUI, FD: descriptor(a.webui)}, {Name: nameFallback, FD: descriptor(a.page.Listener())}},
		Facts: facts{
			Version: Version, Addresses: map[string]string{nameWebUI: a.options.webui, nameFallback: a.options.fallback},
			Health: a.engine.Health(), Names: a.engine.Names(), Tables: a.engine.SavePersistence(),
		},
		Stay: release,
		Leave: func() (any, error) {
			a.replaced.Store(true)
			err := a.engine.Leave(ctx)
			return lastFacts{Tables: a.engine.SavePersistence()}, err
		},
	}
	for _, fd := range a.engine.Listeners() {
		o.Files = append(o.Files, takeover.File{Name: nameService, FD: fd})
	}
	o.Files = slices.DeleteFunc(o.Files, func(f takeover.File) bool { return f.FD < 0 })
	return o, nil
}

// descriptor returns the number of what stays somebody else's, -1 when it has none.
func descriptor(of any) int {
	out := -1
	if s, ok := of.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { out = int(fd) })
		}
	}
	return out
}

// linger waits for the connections of a process that was replaced. The folder is not its own any more.
func (a *instance) linger(ctx context.Context) {
	if err := a.store.Close(); err != nil {
		a.options.log.Error("data folder not closed", "component", "main", "error", err)
	}
	limit := a.options.drain
	if limit == 0 {
		limit = defaultDrain
	}
	a.options.log.Info("waiting for open connections", "component", "main", "limit", limit.String())
	a.engine.AwaitQuiet(ctx, limit)
}

// startOnUSR2 has the program on disk take over whenever this process gets SIGUSR2: with the same arguments, as a child, so that it stays in the same service of the
// system. What becomes of it is logged; this process goes on until it is replaced.
func startOnUSR2(ctx context.Context, o serveOptions) (context.Context, func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-asked:
				startHeir(o)
			}
		}
	}()
	return ctx, func() { signal.Stop(asked); cancel() }
}

func startHeir(o serveOptions) {
	args := slices.Clone(os.Args)
	if !slices.ContainsFunc(args, func(a string) bool { return strings.TrimLeft(a, "-") == "takeover" }) {
		args = append(args, "--takeover")
	}
	p, err := os.StartProcess(program(), args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		o.log.Error("the program on disk does not start, this process goes on", "component", "main", "error", err)
		return
	}
	o.log.Info("the program on disk was started to take over", "component", "main", "process", p.Pid)
	go func() {
		if state, err := p.Wait(); err == nil {
			o.log.Info("the process that was started to take over has ended", "component", "main", "process", state.Pid(), "state", state.String())
		}
	}()
}

// program is the file that this process was started from, by the name that it was started with: that may be a link which an update has moved on.
func program() string {
	if name := os.Args[0]; filepath.IsAbs(name) {
		return name
	}
	name, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return name
}

// tellSystem tells the system's service manager (sd_notify(3)) when it has asked to be told.
func (a *instance) tellSystem(state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	c, err := net.Dial("unixgram", name)
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		a.options.log.Warn("the service manager was not told", "component", "main", "state", state, "error", err)
	}
}
