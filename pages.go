package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/host"
	"evenkeel/engine"
	"evenkeel/ui"
	"evenkeel/ui/api"
	"evenkeel/ui/metrics"
)

// openPages wires the pages and the REST interface to the parts behind them.
func (a *instance) openPages() error {
	probes := prober{a.engine}
	lines := trafficLines{a.engine.TrafficLog()}
	var own api.Pair
	if a.pair != nil {
		own = a.pair
	}
	a.api = api.New(api.Options{
		Pair:    own,
		Traffic: lines, Statistics: a.rings, History: a.history,
		Control: a.control, Engine: probes, Store: a.store, Door: a.door, Certificates: a.vault, Version: Version, Log: a.options.log,
	})
	var err error
	figures := metrics.Handler(metrics.Options{Version: Version, Driver: a.engine.Driver, Samples: a.samples, Dropped: a.engine.TrafficLog().Dropped, Log: a.options.log})
	a.ui, err = ui.New(ui.Options{
		Pair: own, Addresses: ownAddresses,
		Traffic: lines, Statistics: a.rings, History: a.history,
		Metrics:      figures,
		Certificates: a.vault, Control: a.control, Engine: probes, Store: a.store, Door: a.door, API: a.api.Handler(), Hostname: a.hostname(), Version: Version,
		Log: a.options.log, Machine: machine{a.host}.figures, Suggest: a.suggest,
	})
	return err
}

// prober gives the pages what they ask of the engine in their own words: objects by id, transcripts by line.
type prober struct{ *engine.Engine }

// Test probes a server of c once as the check of its service says.
func (p prober) Test(ctx context.Context, c appliance.Config, service, server string) (appliance.Probe, []string, error) {
	s := c.Cluster.Service(service)
	if s == nil {
		return appliance.Probe{}, nil, &appliance.Error{Kind: appliance.NotFound, Op: "test server", Subject: service, Message: "There is no such service."}
	}
	r := s.Server(server)
	if r == nil {
		return appliance.Probe{}, nil, &appliance.Error{Kind: appliance.NotFound, Op: "test server", Subject: server, Message: "There is no such real server."}
	}
	probe, transcript, err := p.Engine.Test(ctx, *s, *r)
	return probe, strings.Split(strings.TrimRight(transcript, "\n"), "\n"), err
}

// checkPatience is how long a page waits for the result of "Check now".
const checkPatience = 5 * time.Second

// CheckNow lets the running monitor probe a server and waits a little for the result, so that the page which follows shows it.
func (p prober) CheckNow(_, server string) {
	ctx, cancel := context.WithTimeout(context.Background(), checkPatience)
	defer cancel()
	_, _ = p.Engine.CheckNow(ctx, server) // the result stands in the server's history
}

// machine gives the pages the machine's figures.
type machine struct{ *host.Host }

func (m machine) figures(ctx context.Context) (ui.Machine, error) {
	l, err := m.Load(ctx)
	return ui.Machine{CPU: l.CPU / 100, MemoryUsed: l.MemoryUsed, MemoryTotal: l.MemoryTotal, DiskUsed: l.DiskUsed, DiskTotal: l.DiskTotal}, err
}

func (a *instance) suggest(ctx context.Context, typed string) string {
	s, ok := a.host.Suggest(ctx, typed)
	if !ok {
		return ""
	}
	return s.Hint
}

// serveWebUI serves the pages with the appliance's own certificate, which is made at the first start.
func (a *instance) serveWebUI(ctx context.Context) error {
	certificate, err := ui.Certificate(ctx, a.store, a.hostname(), a.addresses(ctx), time.Now())
	if err != nil {
		return err
	}
	return a.ui.Serve(ctx, a.webui, certificate)
}

// addresses are those that a browser may use for the WebUI, for the certificate.
func (a *instance) addresses(ctx context.Context) []netip.Addr {
	out := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	if own := addrPort(a.webui.Addr()).Addr(); !own.IsUnspecified() {
		return append(out, own)
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.hostname())
	if err == nil {
		out = append(out, list...)
	}
	return out
}
