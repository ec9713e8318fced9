package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"evenkeel/appliance"
	"evenkeel/appliance/demo"
	"evenkeel/ui/signin"
)

// demoService is one of the demo's virtual services.
type demoService struct {
	label   string
	port    int
	sample  demo.Kind
	servers [2]string
	shape   func(*appliance.VirtualService)
}

func demoServices() []demoService {
	imaging := func(k appliance.MonitorKind) func(*appliance.VirtualService) {
		return func(s *appliance.VirtualService) {
			s.Persistence.Kind = appliance.PersistSourceIP
			s.Monitor = appliance.NewMonitor(k)
		}
	}
	return []demoService{
		{"VNA_DICOM", 11112, demo.DICOM, [2]string{"VNA1", "VNA2"}, imaging(appliance.MonitorDICOM)},
		{"HL7", 6667, demo.HL7, [2]string{"Engine1", "Engine2"}, imaging(appliance.MonitorHL7)},
		{"DMWL", 5104, demo.Worklist, [2]string{"Worklist1", "Worklist2"}, imaging(appliance.MonitorDICOM)},
		{"WEB", 8080, demo.HTTP, [2]string{"Web1", "Web2"}, func(s *appliance.VirtualService) {
			web := appliance.NewService(appliance.HTTP)
			s.Protocol, s.Fallback, s.Limits = web.Protocol, web.Fallback, web.Limits
			s.Persistence.Kind = appliance.PersistCookie
			s.Monitor = appliance.NewMonitor(appliance.MonitorHTTP)
			s.Monitor.HTTP.Path = "/healthz"
		}},
	}
}

// demoOptions is the command line of the demo.
type demoOptions struct {
	serveOptions
	json   bool
	offset int
	keep   bool // the folder stays
}

func runDemo(ctx context.Context, args []string, s streams) error {
	o, err := readDemoOptions(args, s)
	if err != nil {
		return err
	}
	return elsewhere(o.serve(ctx, s))
}

// elsewhere says of every port that the demo cannot have how all of them are moved; the other hints speak of flags and fields that the demo does not have.
func elsewhere(err error) error {
	if err == nil {
		return nil
	}
	var list appliance.Errors
	for _, e := range appliance.ErrorsOf(err) {
		moved := *e
		switch {
		case errors.Is(e, syscall.EADDRINUSE):
			moved.Hint = "End the program that uses it (ss -ltnp shows which), or move every port of the demo, such as with --port-offset 20000."
		case e.Kind == appliance.Conflict && strings.HasSuffix(e.Field, ".ports"):
			moved.Hint = "Choose another --port-offset, such as 20000."
		default:
			return err
		}
		list = append(list, &moved)
	}
	return list
}

func (o demoOptions) serve(ctx context.Context, s streams) (err error) {
	if !o.keep {
		if o.dir, err = os.MkdirTemp("", "evenkeel-demo-"); err != nil {
			return &appliance.Error{Kind: appliance.Unavailable, Op: "make temporary folder", Err: err, Hint: "Name a folder with --data."}
		}
		defer os.RemoveAll(o.dir)
	}
	a, err := open(ctx, o.serveOptions, signin.Options{Announce: io.Discard})
	if err != nil {
		return err
	}
	defer a.close()
	d := &demonstration{instance: a, options: o, out: s.out}
	if err := d.openSamples(); err != nil {
		return err
	}
	defer d.closeSamples()
	group, ctx := errgroup.WithContext(ctx)
	for _, sample := range d.samples {
		group.Go(func() error { return sample.Run(ctx) })
	}
	group.Go(func() error { return a.run(ctx, d.configure, d.announce) })
	return group.Wait()
}

func readDemoOptions(args []string, s streams) (demoOptions, error) {
	o := demoOptions{}
	f := flags("demo", "demo [--json] [--data DIR] [--webui ADDR] [--port-offset N]", s)
	f.BoolVar(&o.json, "json", false, "print one line of JSON once everything serves")
	f.StringVar(&o.dir, "data", "", "keep the settings in this folder; empty: a temporary one that is removed at the end")
	f.StringVar(&o.webui, "webui", "", "address of the WebUI; empty: 127.0.0.1:9443 plus the offset")
	f.IntVar(&o.offset, "port-offset", 0, "added to every port of the demo")
	level := f.String("log", "warn", "least level that is logged: debug, info, warn or error")
	if err := parse(f, args, 0); err != nil {
		return o, err
	}
	if o.offset < 0 || o.offset+11112 > 65535 {
		return o, misused(f, "--port-offset is 0 to %d", 65535-11112)
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(*level)); err != nil {
		return o, misused(f, "%q is not a log level", *level)
	}
	if o.webui == "" {
		o.webui = loopback(appliance.PortWebUI + o.offset)
	} else if _, port, err := net.SplitHostPort(o.webui); err != nil || !isPort(port) {
		return o, misused(f, "%q is not an address with a port, such as 127.0.0.1:9443", o.webui)
	}
	o.fallback, o.keep, o.grace, o.log = loopback(appliance.PortFallback+o.offset), o.dir != "", demoGrace, newLog(s.err, l)
	return o, nil
}

// demoGrace leaves half of the two seconds in which the demo promises to end for everything else.
const demoGrace = time.Second

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// demonstration is an instance with its sample servers.
type demonstration struct {
	*instance
	options  demoOptions
	out      io.Writer
	samples  []*demo.Sample
	password string
	token    string
}

// openSamples binds two servers for each service, on ports that the kernel gives.
func (d *demonstration) openSamples() error {
	for _, s := range demoServices() {
		for _, label := range s.servers {
			sample, err := demo.Open(demo.Options{Kind: s.sample, Listen: "127.0.0.1:0", Label: label, Log: d.options.log})
			if err != nil {
				d.closeSamples()
				return err
			}
			d.samples = append(d.samples, sample)
		}
	}
	return nil
}

func (d *demonstration) closeSamples() {
	for _, s := range d.samples {
		_ = s.Close()
	}
}

func demoOrigin() appliance.Origin {
	return appliance.Origin{Operator: "system", Via: "setup", Why: "The demo's services"}
}

// configure makes the operator, a token and the services. In a folder that was kept it only points the demo's servers at the new samples.
func (d *demonstration) configure(ctx context.Context) error {
	origin := demoOrigin()
	password, err := d.store.Secret(ctx, "demo_password", func() ([]byte, error) { return []byte(strings.ToLower(rand.Text()[:16])), nil })
	if err != nil {
		return err
	}
	d.password = string(password)
	if err := d.door.FirstPassword(ctx, origin, d.password); err != nil && appliance.KindOf(err) != appliance.Conflict {
		return err
	}
	operator := appliance.Operator{Name: signin.FirstOperator, Role: appliance.Administrator}
	if d.token, err = d.renewToken(ctx, origin, operator); err != nil {
		return err
	}
	if _, err := d.control.Commit(ctx, origin, nil, d.edit); err != nil {
		return err
	}
	if d.control.Pending().Empty() {
		return nil
	}
	_, err = d.control.Apply(ctx, origin)
	return err
}

// renewToken replaces the token of an earlier run.
func (d *demonstration) renewToken(ctx context.Context, origin appliance.Origin, operator appliance.Operator) (string, error) {
	list, err := d.store.Tokens(ctx)
	if err != nil {
		return "", err
	}
	for _, t := range list {
		if t.Label == "demo" {
			if err := d.store.DeleteToken(ctx, origin, t.ID); err != nil {
				return "", err
			}
		}
	}
	token, _, err := d.door.NewToken(ctx, origin, operator, "demo", appliance.Administrator, 0)
	return token, err
}

// edit adds the demo's services where they are missing and gives their servers today's ports.
func (d *demonstration) edit(c *appliance.Config) error {
	c.Cluster.Settings.AllowLoopback = true
	first := len(c.Cluster.VirtualServices) == 0
	for i, s := range demoServices() {
		id := "demo-" + strings.ToLower(strings.ReplaceAll(s.label, "_", "-"))
		if first {
			port := uint16(s.port + d.options.offset)
			v := appliance.NewService(appliance.TCP)
			v.ID, v.Label, v.Address, v.Ports = id, s.label, netip.MustParseAddr("127.0.0.1"), appliance.Ports{{First: port, Last: port}}
			s.shape(&v)
			for n, label := range s.servers {
				r := appliance.NewRealServer()
				r.ID, r.Label = fmt.Sprintf("%s-%d", id, n+1), label
				v.RealServers = append(v.RealServers, r)
			}
			c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, v)
		}
		v := c.Cluster.Service(id)
		if v == nil {
			continue
		}
		for n := range s.servers {
			if r := v.Server(fmt.Sprintf("%s-%d", id, n+1)); r != nil {
				at := d.samples[2*i+n].Addr()
				r.Address, r.Port = appliance.Host(at.Addr().String()), at.Port()
			}
		}
	}
	return nil
}

// announcement is the line that scripts read.
type announcement struct {
	WebUI    string             `json:"webui"`
	User     string             `json:"user"`
	Password string             `json:"password"`
	Token    string             `json:"token"`
	Services []announcedService `json:"services"`
}

type announcedService struct {
	Label       string   `json:"label"`
	Address     string   `json:"address"`
	RealServers []string `json:"real_servers"`
}

// announce tells where everything is.
func (d *demonstration) announce(context.Context) error {
	line := announcement{WebUI: d.url(), User: signin.FirstOperator, Password: d.password, Token: d.token}
	for _, s := range d.control.Running().Config.Cluster.VirtualServices {
		service := announcedService{Label: s.Label, Address: net.JoinHostPort(s.Address.String(), strconv.Itoa(int(s.Ports[0].First)))}
		for _, r := range s.RealServers {
			service.RealServers = append(service.RealServers, net.JoinHostPort(string(r.Address), strconv.Itoa(int(s.ServerPort(&r, s.Ports[0].First)))))
		}
		line.Services = append(line.Services, service)
	}
	if d.options.json {
		return json.NewEncoder(d.out).Encode(line)
	}
	fmt.Fprintf(d.out, "Evenkeel %s, demo on loopback\n\n  WebUI     %s\n  user      %s\n  password  %s\n\n", Version, line.WebUI, line.User, line.Password)
	for _, s := range line.Services {
		fmt.Fprintf(d.out, "  %-10s %-17s → %s\n", s.Label, s.Address, strings.Join(s.RealServers, ", "))
	}
	_, err := fmt.Fprintln(d.out, "\nThe browser will warn of the certificate, which the demo made itself. Ctrl-C ends everything.")
	return err
}

// runSample runs one sample server as a process of its own.
func runSample(ctx context.Context, args []string, s streams) error {
	f := flags("sample", "sample dicom|hl7|worklist|http --listen ADDR [--keep DIR] [--label NAME]", s)
	address := f.String("listen", "127.0.0.1:0", "address to listen on")
	keep := f.String("keep", "", "folder that keeps what is received; empty: nothing is kept")
	label := f.String("label", "", "how the server names itself; empty: its kind")
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if err := parse(f, args, 0); errors.Is(err, flag.ErrHelp) {
			return err
		}
		return misused(f, "name a sample: dicom, hl7, worklist or http")
	}
	kind := demo.Kind(args[0])
	if !kind.Valid() {
		return misused(f, "there is no sample %q; they are dicom, hl7, worklist and http", args[0])
	}
	if err := parse(f, args[1:], 0); err != nil {
		return err
	}
	if *label == "" {
		*label = args[0]
	}
	if *keep != "" {
		if err := os.MkdirAll(filepath.Clean(*keep), 0o700); err != nil {
			return &appliance.Error{Kind: appliance.Denied, Op: "make folder", Subject: *keep, Err: err}
		}
	}
	sample, err := demo.Open(demo.Options{Kind: kind, Listen: *address, Label: *label, Keep: *keep, Log: newLog(s.err, slog.LevelInfo)})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s on %s\n", args[0], sample.Addr())
	return sample.Run(ctx)
}
