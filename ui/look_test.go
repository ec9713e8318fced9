package ui

import (
	"context"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"evenkeel/appliance"
)

// TestLook takes a picture of every page, in both themes and two widths, for a person to look at. It runs when EVENKEEL_LOOK names a folder.
func TestLook(t *testing.T) {
	folder := os.Getenv("EVENKEEL_LOOK")
	if folder == "" {
		t.Skip("EVENKEEL_LOOK names no folder for the pictures")
	}
	if _, err := os.Stat("/usr/bin/chromium"); err != nil {
		t.Skip("Chromium is not installed")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	fresh := newRig(t, rigOptions{})
	past := &years{}
	r := newRig(t, rigOptions{setUp: true, pair: &pairOf{status: alone(), events: decided(), plan: somePlan()}, traffic: someLines(), statistics: waves{}, history: past, suggest: func(context.Context, string) string {
		return "Did you mean 192.168.0.188? It is free in 192.168.0.0/24 on eth0."
	}})
	browser := newBrowser(t, r, 30*time.Minute)
	past.r = r
	paint(r)
	r.web()
	pages := map[string]func(context.Context) error{
		"overview": r.open("/lbadmin/"), "server": r.open(serverPath(r.id("HL7"), r.id("HL7", "Corepoint2"))), "halt": r.open(serverPath(r.id("VNA_DICOM"), r.id("VNA_DICOM", "VNA1")) + "/halt"),
		"chosen": r.ticking, "draining": r.open(serverPath(r.id("VNA_DICOM"), r.id("VNA_DICOM", "VNA2"))), "limit": r.typing(serverPath(r.id("VNA_DICOM"), r.id("VNA_DICOM", "VNA1")), map[string]string{"#limit": "soon"}, "#drain-limit button"), "label": r.open("/lbadmin/servers?label=VNA2"), "services": r.open(layer7), "new": r.open(layer7 + "/new"), "modify": r.open(layer7 + "/" + r.id("VNA_DICOM")),
		"errors": r.typing(layer7+"/new", map[string]string{"#f-label": "VNA_DICOM", "#f-address": "192.168.0.1888", "#f-ports": "70000"}, "#save"),
		"check":  r.typing(layer7+"/"+r.id("VNA_DICOM"), nil, "#check-now"), "api": r.typing(layer7+"/"+r.id("DMWL"), nil, "#show-api"), "delete": r.open(layer7 + "/" + r.id("HL7") + "/delete"),
		"udp": r.datagrams, "rules": r.rulesOpen,
		"availability": r.open(availabilityPath + "?period=week"), "health-changes": r.open(healthChangesPath),
		"explain": r.open(explainPath + "?virtual_service=" + r.id("HL7") + "&client=10.0.0.7&url=https%3A%2F%2Fwww.example.org%2Fimg%2Fa.png&headers=Accept%3A+*%2F*"), "explain-asks": r.open(explainPath), "trial": r.trying,
		"scripts": r.open("/lbadmin/scripts"), "script": r.open("/lbadmin/scripts/new"), "commit": r.open("/lbadmin/commit"), "wizard": r.open("/lbadmin/wizard"), "imaging": r.open("/lbadmin/wizard/imaging"),
		"review":  r.typing("/lbadmin/wizard/imaging", map[string]string{"#f-vip": "192.168.0.201", "#f-first": "192.168.0.40", "#f-second": "192.168.0.42"}, "#wizard-check"),
		"history": r.open("/lbadmin/history"), "revision": r.open("/lbadmin/history/1"), "compare": r.open("/lbadmin/history/compare?from=1&to=3"), "configuration": r.open("/lbadmin/configuration"),
		"passwords": r.open("/lbadmin/passwords"), "audit": r.open("/lbadmin/reports/audit"), "persistence": r.open("/lbadmin/reports/persistence"), "connections": r.open(connectionsPath), "layer7": r.open(layer7StatusPath), "advanced": r.open("/lbadmin/advanced"), "local": r.open("/lbadmin/local"),
		"tls": r.unfolded(layer7 + "/" + r.id("DMWL")), "certificates": r.open(certificatesPath), "certificate": r.open(certificatesPath + "/" + r.ui.Certificates.Certificates()[0].ID), "upload": r.typing(certificatesPath+"/upload", map[string]string{"#f-certificate": "-----BEGIN CERTIFICATE-----\nMIIB"}, "#save"),
		"selfsigned": r.open(certificatesPath + "/self-signed"), "request": r.open(certificatesPath + "/requests/" + r.ui.Certificates.SigningRequests()[0].ID), "authority": r.open(certificatesPath + "/authorities/" + r.ui.Certificates.Authorities()[0].ID),
		"logs": r.open(logsPath), "graphs": r.open(graphsPath), "fallback": r.open(fallbackPath), "traffic-log": r.open(trafficLogPath),
		"search": r.open("/lbadmin/search?q=vna"), "lost": r.open("/lbadmin/layer7/nothing"), "setup": fresh.open("/lbadmin/setup"), "setup2": fresh.typing("/lbadmin/setup", map[string]string{"#code": fresh.code}, "#setup-next"),
	}
	for state, s := range map[string]appliance.PairStatus{"alone": alone(), "paired": pairedStatus(), "passive": passiveStatus(), "cut": cutStatus()} {
		for name, path := range map[string]string{"pair": pairPath, "heartbeat": heartbeatPath, "floating": floatingPath, "beside": layer7} {
			pages[name+"-"+state] = r.inPair(s, path)
		}
	}
	pages["pair-confirm"] = r.showing(alone(), r.typing(pairPath, map[string]string{"#f-address": "192.168.0.12"}, "#add"))
	pages["pair-refused"] = r.showing(alone(), r.refusedPairing)
	pages["pair-active"], pages["pair-break"] = r.inPair(pairedStatus(), pairPath+"/active?node=peer"), r.inPair(pairedStatus(), pairPath+"/break")
	pages["pair-drill"] = r.showing(pairedStatus(), r.typing(pairPath+"/drill", nil, "#confirm"))
	pages["pair-timeline"], pages["pair-differences"] = r.inPair(pairedStatus(), timelinePath), r.inPair(pairedStatus(), pairPath+"/differences")
	for name, path := range map[string]string{"overview": "/lbadmin/", "services": layer7, "pair": pairPath} {
		pages[name+"-parted"] = r.partedLook(path)
	}
	only := os.Getenv("EVENKEEL_LOOK_ONLY")
	for name, open := range pages {
		if only != "" && !strings.Contains(" "+only+" ", " "+name+" ") {
			continue
		}
		for _, look := range []struct {
			name, theme string
			width       int64
		}{{"light", "light", 1440}, {"dark", "dark", 1440}, {"phone", "light", 360}} {
			if err := picture(browser, open, look.theme, look.width, filepath.Join(folder, name+"-"+look.name+".png")); err != nil {
				t.Errorf("%s %s: %v", name, look.name, err)
			}
		}
		r.control.Clear(appliance.CodePairEnded)
	}
}

// newBrowser signs in. What it does for the test has to be done within the limit.
func newBrowser(t *testing.T, r *rig, limit time.Duration) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.WSURLReadTimeout(2*time.Minute), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(browser); err != nil { // the browser lives as long as the context of its first call
		t.Fatal(err)
	}
	within, done := context.WithTimeout(browser, limit)
	t.Cleanup(done)
	err := chromedp.Do(within, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(r.base+"/lbadmin/sign-in"), chromedp.SendKeys("#name", "loadbalancer"), chromedp.SendKeys("#password", goodPassword),
		chromedp.Click("#sign-in"), chromedp.WaitVisible("#user-menu"))
	if err != nil {
		t.Fatal(err)
	}
	return within
}

func (r *rig) open(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		return chromedp.Do(ctx, chromedp.Navigate(r.base+path), chromedp.WaitReady("main"))
	}
}

func (r *rig) typing(path string, fields map[string]string, click string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := r.open(path)(ctx); err != nil {
			return err
		}
		for selector, text := range fields {
			if err := chromedp.Do(ctx, chromedp.SetValue(selector, text)); err != nil {
				return err
			}
		}
		_, err := chromedp.RunResponse(ctx, chromedp.Click(click))
		if err != nil {
			return err
		}
		return chromedp.Do(ctx, chromedp.WaitReady("main"))
	}
}

// unfolded shows the parts of a form that are about TLS.
func (r *rig) unfolded(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := r.open(path)(ctx); err != nil {
			return err
		}
		_, err := chromedp.Run(ctx, chromedp.Evaluate[int](`(document.querySelector("#protocol").value = "http", [...document.querySelectorAll("#real-servers, .fold-section:not([id*=tls]):not(#section-https)")].map(d => d.remove()), [...document.querySelectorAll(".fold-section")].map(d => d.open = true).length)`))
		return err
	}
}

// ticking shows the overview with two real servers chosen.
func (r *rig) ticking(ctx context.Context) error {
	if err := r.open("/lbadmin/")(ctx); err != nil {
		return err
	}
	_, err := chromedp.Run(ctx, chromedp.Evaluate[int](`[...document.querySelectorAll(".choose")].slice(0, 3).map(b => b.click()).length`))
	return err
}

// picture opens a page in a browser that remembers nothing of the pages before.
func picture(browser context.Context, open func(context.Context) error, theme string, width int64, file string) error {
	ctx, cancel := context.WithTimeout(browser, 40*time.Second)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(localStorage.clear(), true)`)); err != nil {
		return err
	}
	scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, scheme); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
		return err
	}
	if err := open(ctx); err != nil {
		return err
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}

// paint makes the appliance look as one does on an ordinary day.
func paint(r *rig) {
	r.fill()
	now := time.Now()
	connections := func(id string, n int, sentence string) {
		r.engine.see(id, func(s *appliance.ServerStatus) {
			*s = good(now, sentence, 20)
			s.Connections, s.Total, s.BytesIn, s.BytesOut, s.Oldest, s.PersistenceEntries = n, uint64(n*213), 48<<30, 3<<30, now.Add(-41*time.Minute), 12
		})
	}
	connections(r.id("VNA_DICOM", "VNA1"), 118, "C-ECHO answered in 8 ms.")
	connections(r.id("VNA_DICOM", "VNA2"), 94, "C-ECHO answered in 9 ms.")
	connections(r.id("HL7", "Corepoint1"), 23, "Connected in 1 ms.")
	connections(r.id("DMWL", "VNA1"), 80, "C-ECHO answered in 5 ms.")
	connections(r.id("DMWL", "VNA2"), 66, "C-ECHO answered in 6 ms.")
	r.engine.see(r.id("HL7", "Corepoint2"), func(s *appliance.ServerStatus) {
		*s = good(now, "Connected in 1 ms.", 20)
		for i := range s.Check.Probes[13:] {
			s.Check.Probes[13+i].Good, s.Check.Probes[13+i].Sentence = false, "Connection refused on port 6667."
		}
		s.Check.Health, s.Check.Since = appliance.Down, now.Add(-3*time.Minute)
		s.Check.Sentence = "Connection refused on port 6667 for 3 min (45 checks). The machine answers, the service does not."
		s.Check.Changes = append(s.Check.Changes, appliance.HealthChange{At: now.Add(-3 * time.Minute), Health: appliance.Down, Sentence: "Connection refused on port 6667. The machine answers, the service does not."})
	})
	o := appliance.Origin{Operator: "loadbalancer", Via: "webui", From: netip.MustParseAddr("192.168.0.17")}
	if _, err := r.control.Act(r.t.Context(), o, []appliance.Act{{Service: r.id("VNA_DICOM"), Server: r.id("VNA_DICOM", "VNA2"), State: appliance.Drain, Limit: 30 * time.Minute}}); err != nil {
		r.t.Fatal(err)
	}
	_, err := r.control.Commit(r.t.Context(), o, nil, func(c *appliance.Config) error {
		for i := range c.Cluster.VirtualServices {
			s := &c.Cluster.VirtualServices[i]
			switch s.Label {
			case "HL7":
				s.RealServers[1].Weight = 50
			case "DMWL":
				s.Monitor.Interval = appliance.Duration(2 * time.Second)
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for i, id := range []string{"VNA_DICOM", "VNA_DICOM", "HL7", "DMWL"} {
		r.engine.entries = append(r.engine.entries, appliance.PersistenceEntry{
			ServiceID: r.id(id), ServerID: r.serverOf(id, i%2), Key: []string{"192.168.0.20", "192.168.0.21", "cookie:3f2a9c1d77e04b5a8c6d1e2f3a4b5c6d", "10.20.30.0/24"}[i], Age: time.Duration(7+90*i) * time.Minute, Remaining: time.Duration(29-i) * time.Minute,
		})
	}
	paintCertificates(r, o)
	for i, state := range []string{"open", "connecting", "idle", "waiting for the server"} {
		service := []string{"VNA_DICOM", "HL7", "DMWL"}[i%3]
		r.engine.open = append(r.engine.open, appliance.Connection{
			ID: "0-10000000" + string(rune('0'+i)), Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 0, byte(20 + i)}), uint16(50000+i)), ServiceID: r.id(service), ServerID: r.serverOf(service, i%2),
			Protocol: appliance.TCP, TLS: i == 1, State: state, Age: time.Duration(1+400*i*i) * time.Second, BytesIn: uint64(1) << (10 * i), BytesOut: 12345,
		})
	}
	u := r.ui.samples
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range wholeSamples {
		x := float64(i)
		wave := math.Sin(x/31)*0.3 + math.Sin(x/7.3)*0.12 + math.Sin(x/97)*0.25
		u.throughput = keepLast(u.throughput, 3.2e8*(1+wave), wholeSamples)
		u.connections = keepLast(u.connections, 340*(1+wave/3), wholeSamples)
		u.opened = keepLast(u.opened, 26, wholeSamples)
		u.cpu = keepLast(u.cpu, 0.08*(1+wave), wholeSamples)
		for n, s := range r.control.Running().Config.Cluster.VirtualServices {
			u.each[s.ID] = keepLast(u.each[s.ID], 100*(1+math.Sin((x+float64(n*40))/11)*0.3), sampledOfEach)
		}
	}
}

// paintCertificates keeps some of each kind.
func paintCertificates(r *rig, o appliance.Origin) {
	kept := r.ui.Certificates
	for label, days := range map[string]int{"pacs.example.org": 390, "wildcard.example.org": 21, "viewer.example.org": 5} {
		name := strings.Replace(label, "wildcard", "*", 1)
		if _, err := kept.SelfSign(r.t.Context(), o, appliance.CertificateWish{Names: []string{name, "192.168.0.188"}, Days: days, Organisation: "Example Clinic"}); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := kept.Request(r.t.Context(), o, appliance.CertificateWish{Names: []string{"vna.example.org"}, Organisation: "Example Clinic", Country: "DE"}); err != nil {
		r.t.Fatal(err)
	}
	if _, err := kept.SaveAuthority(r.t.Context(), o, "", appliance.AuthorityUpload{Label: "client cards", Bundle: rootPEM}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) serverOf(label string, i int) string {
	for _, s := range r.control.Saved().Config.Cluster.VirtualServices {
		if s.Label == label {
			return s.RealServers[i].ID
		}
	}
	return ""
}

// datagrams shows what is left of the form in UDP Mode.
func (r *rig) datagrams(ctx context.Context) error {
	if err := r.open(layer7 + "/new")(ctx); err != nil {
		return err
	}
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(document.querySelector("#protocol").value = "udp", document.querySelectorAll(".fold-section").forEach(d => { d.open = true }), document.querySelector("#protocol").dispatchEvent(new Event("change")))`))
	return err
}

// rulesOpen shows the rules' editor with one more rule.
func (r *rig) rulesOpen(ctx context.Context) error {
	if err := r.open(layer7 + "/" + r.id("WEB"))(ctx); err != nil {
		return err
	}
	// A click would close a section that is open already.
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector("#section-rules").open = true`)); err != nil {
		return err
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Click("#add-rule")); err != nil {
		return err
	}
	return chromedp.Do(ctx, chromedp.WaitReady("main"))
}

// trying tries a request against the rules of a service.
func (r *rig) trying(ctx context.Context) error {
	if err := r.open(layer7 + "/" + r.id("WEB"))(ctx); err != nil {
		return err
	}
	const prepare = `(document.querySelector("#section-rules").open = true, document.querySelector("[name='try.client']").value = "10.0.0.7", document.querySelector("[name='try.url']").value = "/img/a.png", 1)`
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](prepare)); err != nil {
		return err
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Click("#try-rules")); err != nil {
		return err
	}
	return chromedp.Do(ctx, chromedp.WaitReady("#tried"))
}
