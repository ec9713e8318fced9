package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"evenkeel/appliance"
	"evenkeel/appliance/certificates"
	"evenkeel/appliance/control"
	"evenkeel/appliance/host"
	"evenkeel/engine"
	"evenkeel/engine/fallback"
	"evenkeel/engine/history"
	"evenkeel/engine/loop"
	"evenkeel/engine/rings"
	"evenkeel/store"
	"evenkeel/ui"
	"evenkeel/ui/api"
	"evenkeel/ui/signin"
)

// serveOptions say where one appliance lives.
type serveOptions struct {
	dir      string
	webui    string        // address of the WebUI
	fallback string        // address of the fallback page
	ssh      string        // address of the SSH endpoint, by which pairs are made; empty: no pair can be made, as in the demo
	loops    int           // event loops of the engine; 0: one per processor
	driver   loop.Driver   // of the loops; empty: loop.Auto
	takeover bool          // replace the process that runs on the folder, if there is one
	drain    time.Duration // how long connections may stay when this process is replaced; 0: half a day
	grace    time.Duration // how long connections have to end at the end; 0: the engine's default
	log      *slog.Logger
}

func runServe(ctx context.Context, args []string, s streams) error {
	f := flags("serve", "serve [--data DIR] [--webui ADDR] [--fallback ADDR] [--ssh ADDR] [--loops N] [--driver NAME] [--takeover] [--drain TIME] [--log LEVEL]", s)
	o := serveOptions{}
	dir := folderFlag(f)
	f.StringVar(&o.webui, "webui", ":"+strconv.Itoa(appliance.PortWebUI), "address of the WebUI (HTTPS)")
	f.StringVar(&o.fallback, "fallback", "127.0.0.1:"+strconv.Itoa(appliance.PortFallback), "address of the fallback page")
	f.StringVar(&o.ssh, "ssh", ":"+strconv.Itoa(appliance.PortSSH), "address of the SSH endpoint, by which two appliances become a pair")
	f.IntVar(&o.loops, "loops", 0, "event loops of the engine; 0: one per processor")
	f.StringVar((*string)(&o.driver), "driver", string(loop.Auto), "by what the engine moves bytes: io_uring (Linux 6.17 or later), epoll, or auto, the first of these that works here")
	f.BoolVar(&o.takeover, "takeover", false, "replace the evenkeel that serves this folder, if one does, without losing a connection")
	f.DurationVar(&o.drain, "drain", defaultDrain, "how long open connections may stay after this process was replaced")
	level := f.String("log", "info", "least level that is logged: debug, info, warn or error")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	o.dir = *dir
	var l slog.Level
	if err := l.UnmarshalText([]byte(*level)); err != nil {
		return misused(f, "%q is not a log level", *level)
	}
	for _, a := range []string{o.webui, o.fallback, o.ssh} {
		if _, port, err := net.SplitHostPort(a); err != nil || !isPort(port) {
			return misused(f, "%q is not an address with a port, such as 0.0.0.0:9443", a)
		}
	}
	if o.drain < 0 {
		return misused(f, "--drain is a time, such as 12h")
	}
	if o.loops < 0 || o.loops > 256 {
		return misused(f, "--loops is 0 to 256")
	}
	if !o.driver.Valid() {
		return misused(f, "--driver is auto, epoll or io_uring")
	}
	o.log = newLog(s.err, l)
	ctx, stop := startOnUSR2(ctx, o)
	defer stop()
	a, err := open(ctx, o, signin.Options{Announce: s.out, CodeFile: filepath.Join(o.dir, "setup-code")})
	if err != nil {
		return err
	}
	defer a.close()
	o.log.Info("serving", "component", "main", "webui", a.url(), "version", Version)
	return a.run(ctx)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && (n > 0 || text == "0")
}

// instance is one appliance: everything that must be open before it runs.
type instance struct {
	options  serveOptions
	store    *store.Store
	rings    *rings.Rings
	history  *history.History
	engine   *engine.Engine
	host     *host.Host
	ground   *territory
	pair     *pair // nil: no pair can be made
	control  *control.Control
	vault    *certificates.Vault
	door     *signin.Door
	api      *api.API
	ui       *ui.UI
	page     *fallback.Page
	webui    net.Listener
	heir     *heir       // of a process that was taken over; nil: none
	replaced atomic.Bool // another process serves the folder now
}

// open takes the folder, the WebUI's port and the fallback page's, and wires the parts; nothing runs yet. What was opened before an error is closed.
func open(ctx context.Context, o serveOptions, door signin.Options) (*instance, error) {
	a := &instance{options: o}
	if err := a.open(ctx, o, door); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *instance) open(ctx context.Context, o serveOptions, door signin.Options) (err error) {
	if o.takeover {
		if a.heir, err = inherit(ctx, o); err != nil {
			return err
		}
	}
	if a.store, err = store.Open(ctx, store.Options{Dir: o.dir, Log: o.log, Lock: a.heir.lock()}); err != nil {
		return err
	}
	if a.webui, err = a.heir.listener(nameWebUI, o.webui, listen); err != nil {
		return err
	}
	if a.page, err = a.openPage(o.fallback); err != nil {
		return err
	}
	key, err := a.store.Secret(ctx, secretCookies, randomKey)
	if err != nil {
		return err
	}
	tickets, err := a.store.Secret(ctx, secretTickets, engine.NewTicketKeys)
	if err != nil {
		return err
	}
	if a.vault, err = certificates.Open(ctx, certificates.Options{Store: a.store, Configurations: a.configurations, Renew: a.renew, Log: o.log}); err != nil {
		return err
	}
	a.engine = engine.New(engine.Options{
		Loops: o.loops, Driver: o.driver, Grace: o.grace, CookieKey: key, FallbackPage: addrPort(a.page.Address()), ScriptsDir: filepath.Join(o.dir, "scripts"), LogsDir: filepath.Join(o.dir, "logs"), Noticed: func() { a.history.Nudge() }, Log: o.log, Certificates: a.vault, Site: a.site(),
		TicketKeys: tickets, TurnTickets: a.ownsSettings, KeepTickets: a.keepTickets,
		Memory: connectionMemory(), Garbage: garbage(),
		Alert: func(alert appliance.Alert) { a.control.Raise(alert) }, Clear: func(code string) { a.control.Clear(code) },
	})
	a.heir.give(a.engine)
	a.rings, a.history = a.newRings(), a.newHistory()
	a.host = host.New(host.Options{Log: o.log, Dir: o.dir})
	a.ground = &territory{Host: a.host}
	a.control = control.New(control.Options{Store: a.store, Engine: a.engine, Host: a.ground, Keys: sharedKeys{a.vault, a.store, a.engine}, Site: a.site(), Log: o.log})
	a.store.SetWriter(a.control.Writable)
	door.Store, door.Log = a.store, o.log
	a.door = signin.New(door)
	if o.ssh != "" {
		if a.pair, err = a.openPair(ctx); err != nil {
			return err
		}
	}
	return a.openPages()
}

// connectionMemory is what connections may hold: half of what the process may have. The rest is for the kernel's buffers, tables, caches and pages.
func connectionMemory() int64 { return int64(host.Memory() / 2) }

// garbage is how much may pile up in this process, unless the operator has decided it (GOGC).
func garbage() int64 {
	if os.Getenv("GOGC") != "" {
		return 0
	}
	return engine.Garbage(host.Memory())
}

// fallbackPage is what the operator wrote.
func (a *instance) fallbackPage() string {
	return a.control.Running().Config.Cluster.Settings.FallbackPage
}

// configurations are what says which certificates are used.
func (a *instance) configurations() (saved, running appliance.Config) {
	return a.control.Saved().Config, a.control.Running().Config
}

// renew lets what runs take up authorities that changed.
func (a *instance) renew(ctx context.Context) error { return a.control.Renew(ctx) }

func randomKey() ([]byte, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

// run serves until the context ends or the engine fails; then everything is ended in order. SIGHUP applies again.
func (a *instance) run(ctx context.Context, ready ...func(context.Context) error) error {
	if a.heir == nil {
		a.restoreTables()
		a.restoreNames()
	}
	whole, ctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // a node of a pair serves until its addresses are the peer's
	defer stop()
	whole.Go(func() error { return a.engine.Run(serving) })
	if err := a.start(ctx, ready); err != nil {
		stop()
		return errors.Join(err, a.abandon(whole))
	}
	left := make(chan struct{})
	whole.Go(func() error { return a.runParts(ctx, left) })
	whole.Go(func() error {
		<-ctx.Done()
		<-left
		stop()
		return nil
	})
	if err := whole.Wait(); !errors.Is(err, errReplaced) {
		return err
	}
	return nil
}

// runParts runs everything beside the traffic, and closes left when the pair is done. When another process has replaced this one, it waits for the open connections.
func (a *instance) runParts(whole context.Context, left chan<- struct{}) error {
	a.tellSystem("READY=1")
	group, ctx := errgroup.WithContext(whole)
	a.aside(ctx, group, "fallback page", a.page.Run)
	a.aside(ctx, group, "statistics of the pages", a.ui.Run)
	a.aside(ctx, group, "watch over drains", a.control.Run)
	a.aside(ctx, group, "watch over certificates", func(ctx context.Context) error { return a.vault.Run(ctx, a.control) })
	a.aside(ctx, group, "WebUI", a.serveWebUI)
	a.aside(ctx, group, "statistics", a.rings.Run)
	a.aside(ctx, group, "history of health changes", a.history.Run)
	a.aside(ctx, group, "control socket", func(ctx context.Context) error {
		return api.Socket(ctx, a.options.dir, a.api.ConsoleHandler(), a.options.log)
	})
	if a.pair == nil {
		close(left)
	} else {
		a.aside(ctx, group, "pair", func(ctx context.Context) error {
			defer close(left)
			return a.pair.run(ctx)
		})
	}
	group.Go(func() error { return a.saveTables(ctx) })
	group.Go(func() error { return a.reapplyOnHangup(ctx) })
	group.Go(func() error { return a.answerTakeover(ctx) })
	err := group.Wait()
	if errors.Is(err, errReplaced) {
		a.linger(whole)
	}
	return err
}

// aside runs a part beside the traffic: when it ends by itself an alert tells it, and the traffic goes on.
func (a *instance) aside(ctx context.Context, group *errgroup.Group, name string, part func(context.Context) error) {
	group.Go(func() error {
		err := part(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		a.options.log.Error("a part has ended, traffic goes on", "component", "main", "part", name, "error", err)
		a.control.Raise(appliance.Alert{
			Code: "part_ended", Severity: appliance.Critical, Sentence: fmt.Sprintf("The %s has ended: %v. Traffic goes on.", name, err),
			Hint: "Restart the appliance at a quiet time; tell your supplier if it happens again.",
		})
		return nil
	})
}

// start brings the newest configuration to life and then does what the caller wants done before the pages answer.
func (a *instance) start(ctx context.Context, ready []func(context.Context) error) error {
	boot := a.control.Boot
	if a.heir != nil || a.paired() { // what is saved and not applied stays so
		boot = a.control.Resume
	}
	if a.pair != nil && a.heir == nil {
		if err := a.pair.prepare(ctx); err != nil {
			return err
		}
	}
	if err := boot(ctx); err != nil {
		return err
	}
	if a.pair != nil && a.heir != nil { // the addresses are there, and which they are is known now
		if err := a.pair.prepare(ctx); err != nil {
			return err
		}
	}
	a.engine.Forget()
	for _, do := range ready {
		if err := do(ctx); err != nil {
			return err
		}
	}
	if err := a.door.Prepare(ctx); err != nil {
		return err
	}
	return a.heir.confirm(a)
}

var errAbandoned = errors.New("the start was abandoned")

// abandon ends what runs already.
func (a *instance) abandon(group *errgroup.Group) error {
	group.Go(func() error { return errAbandoned })
	if err := group.Wait(); !errors.Is(err, errAbandoned) {
		return err
	}
	return nil
}

func (a *instance) reapplyOnHangup(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			if _, err := a.control.Apply(ctx, appliance.Origin{Operator: "console", Via: "system", Why: "SIGHUP"}); err != nil {
				a.options.log.Error("apply after SIGHUP failed", "component", "main", "error", err)
			}
		}
	}
}

// close gives back what open took; run must have ended.
func (a *instance) close() {
	a.heir.close()
	if a.webui != nil {
		_ = a.webui.Close()
	}
	if a.page != nil {
		a.page.Close()
	}
	if a.store == nil {
		return
	}
	if err := a.store.Close(); err != nil {
		a.options.log.Error("data folder not closed", "component", "main", "error", err)
	}
}
