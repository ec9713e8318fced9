package ui

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"evenkeel/appliance"
)

// cutOff lists what a page shows only in part: what is wider than the window, sticks out of a box that hides it, or ends in dots, and short addresses in two lines. A line of the log may:
// its title has all of it.
const cutOff = `(() => {
  const bad = new Set(), name = e => e.tagName.toLowerCase() + '.' + e.className + ' "' + e.textContent.trim().slice(0, 40) + '"';
  const lines = e => { const range = document.createRange(); range.selectNodeContents(e); return range.getClientRects().length; };
  if (document.documentElement.scrollWidth > innerWidth) bad.add('the page is ' + document.documentElement.scrollWidth + ' wide');
  for (const e of document.querySelectorAll('main *, footer *')) {
    if (e.closest('svg') || !e.offsetParent || getComputedStyle(e).visibility !== 'visible') continue;
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (style.position === 'absolute') continue;
    if (!e.matches('input,textarea,[title] .cut') && style.overflowX === 'hidden' && e.scrollWidth > e.clientWidth + 1) bad.add('wide ' + name(e));
    if (!e.matches('input,textarea') && style.overflowY === 'hidden' && e.scrollHeight > e.clientHeight + 1) bad.add('high ' + name(e));
    if (e.matches('.where') && e.textContent.length <= 15 && lines(e) > 1) bad.add('broken ' + name(e));
    if (e.matches('.addr') && e.textContent.length > 12 && box.width < 60) bad.add('narrow ' + name(e));
    if (e.closest('pre') === null && (box.right > innerWidth + 1 || box.left < -1)) bad.add('out ' + name(e));
  }
  return [...bad].slice(0, 6).join('\n');
})()`

// strain fills an appliance with the longest names, addresses and sentences that it takes.
func strain(t *testing.T, r *rig) {
	t.Helper()
	paint(r)
	long := func(s string) string { return s + strings.Repeat("x", 64-len(s)) }
	o := appliance.Origin{Operator: "loadbalancer", Via: "webui", From: netip.MustParseAddr("fd12:3456:789a:bcde:f012:3456:789a:bcde"), Why: strings.Repeat("because it is so ", 14)}
	strained := func(name string, port uint16) appliance.VirtualService {
		s := sample(long(name), "fd12:3456:789a:bcde:f012:3456:789a:bcd1", port, appliance.MonitorDICOM, long("First_"), "fd12:3456:789a:bcde:f012:3456:789a:bc01", long("Second"), "fd12:3456:789a:bcde:f012:3456:789a:bc02")
		s.Ports = append(s.Ports, appliance.PortRange{First: port + 10, Last: port + 400}, appliance.PortRange{First: port + 1000, Last: port + 1200})
		return s
	}
	commit := func(edit appliance.Edit) {
		t.Helper()
		if _, err := r.control.Commit(t.Context(), o, nil, edit); err != nil {
			t.Fatal(err)
		}
	}
	commit(func(c *appliance.Config) error {
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, strained("RUNS_", 20000))
		c.Cluster.Scripts = append(c.Cluster.Scripts, appliance.Script{Label: long("Script_"), Body: "#!/bin/sh\nexit 0\n"})
		return nil
	})
	if _, err := r.control.Apply(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	commit(func(c *appliance.Config) error {
		c.Cluster.Service(r.id(long("RUNS_"))).Monitor.Rise = 5
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, strained("SAVED", 30000))
		return nil
	})
	down, draining := r.id(long("RUNS_"), long("First_")), r.id(long("RUNS_"), long("Second"))
	r.engine.see(down, func(s *appliance.ServerStatus) {
		s.Check.Health, s.Check.Sentence = appliance.Down, "The association was rejected by fd12:3456:789a:bcde:f012:3456:789a:bc01 port 20000 for 3 days (64800 checks): called AE title not recognised. The machine answers, the service does not."
		s.Check.Changes = append(s.Check.Changes, appliance.HealthChange{At: time.Now(), Health: appliance.Down, Sentence: s.Check.Sentence})
		s.Check.Probes[19].Sentence = s.Check.Sentence
		s.Connections, s.Total, s.BytesIn, s.BytesOut = 123456, 1<<50, 1<<60, 1<<60
	})
	r.engine.see(draining, func(s *appliance.ServerStatus) {
		s.Connections, s.PersistenceEntries, s.Oldest = 123456, 1234567, time.Now().Add(-71*time.Hour)
	})
	if _, err := r.control.Act(t.Context(), o, []appliance.Act{{Service: r.id(long("RUNS_")), Server: draining, State: appliance.Drain}}); err != nil {
		t.Fatal(err)
	}
	r.engine.open = append(r.engine.open, appliance.Connection{
		ID: "0-100000007", Client: netip.MustParseAddrPort("[fd12:3456:789a:bcde:ffff:ffff:ffff:ffff]:65535"), ServiceID: r.id(long("RUNS_")), ServerID: draining, Protocol: appliance.HTTP, TLS: true,
		State: "waiting for the server", Age: 71 * time.Hour, BytesIn: 1 << 50, BytesOut: 1 << 50,
	})
	r.engine.entries = append(r.engine.entries, appliance.PersistenceEntry{ServiceID: r.id(long("RUNS_")), ServerID: draining, Key: "fd12:3456:789a:bcde::/64", Remaining: 29 * time.Minute})
	r.operator("viola"+strings.Repeat("x", 27), appliance.Viewer)
	wish := appliance.CertificateWish{Label: long("cert-"), Names: []string{strings.Repeat("x", 60) + ".example.org", "fd12:3456:789a:bcde:f012:3456:789a:bcde"}, Organisation: long("Clinic"), Days: 5}
	if _, err := r.ui.Certificates.SelfSign(t.Context(), o, wish); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ui.Certificates.Request(t.Context(), o, wish); err != nil {
		t.Fatal(err)
	}
	if status, _, body := r.post(r.client, "/lbadmin/passwords/tokens", "label", long("monitoring"), "role", "viewer"); status != 200 {
		t.Fatal(body)
	}
}

func TestNothingIsCutAtAnyWidth(t *testing.T) {
	needBrowser(t)
	service := "RUNS_" + strings.Repeat("x", 59)
	line := "2026-11-21T05:30:12.000Z id=00c0ffee00c0ffee-00000030 service=" + service + " client=[fd12:3456:789a:bcde:ffff:ffff:ffff:ffff]:65535 server=First_" + strings.Repeat("x", 58) +
		" address=x method=GET host=example.org path=/" + strings.Repeat("y", 900) + " status=503 total=99999999.5 in=1125899906842624 out=1125899906842624 end=connect_failed why=\"no server can serve the request\""
	past := &strained{}
	r := newRig(t, rigOptions{setUp: true, traffic: append(someLines(), line), statistics: waves{}, history: past})
	past.service, past.server = service, "First_"+strings.Repeat("x", 58)
	strain(t, r)
	past.id = r.id(service)
	browser := newBrowser(t, r, 15*time.Minute)
	server := serverPath(r.id(service), r.id(service, "First_"+strings.Repeat("x", 58)))
	kept := r.ui.Certificates
	for _, path := range []string{
		certificatesPath, certificatesPath + "/" + kept.Certificates()[0].ID, certificatesPath + "/upload", certificatesPath + "/self-signed",
		certificatesPath + "/requests/" + kept.SigningRequests()[0].ID, certificatesPath + "/authorities/" + kept.Authorities()[0].ID,
		"/lbadmin/", "/lbadmin/?show=problems", layer7, layer7 + "/" + r.id(service), layer7 + "/" + r.id(service) + "/delete", server, server + "/halt",
		serverPath(r.id(service), r.id(service, "Second"+strings.Repeat("x", 58))), "/lbadmin/servers?label=" + url.QueryEscape("Second"+strings.Repeat("x", 58)),
		"/lbadmin/commit", "/lbadmin/history", "/lbadmin/history/5", "/lbadmin/history/compare?from=1&to=5", "/lbadmin/configuration", "/lbadmin/reports/audit", "/lbadmin/reports/persistence", connectionsPath, layer7StatusPath,
		"/lbadmin/passwords", "/lbadmin/passwords/users/viola" + strings.Repeat("x", 27), "/lbadmin/scripts", "/lbadmin/search?q=xx", "/lbadmin/wizard", "/lbadmin/wizard/imaging", "/lbadmin/local", "/lbadmin/advanced",
		logsPath, graphsPath, availabilityPath, healthChangesPath, explainPath + "?client=fd12:3456:789a:bcde:ffff:ffff:ffff:ffff&url=/img/" + strings.Repeat("y", 300) + "&virtual_service=" + r.id(service), trafficLogPath, fallbackPath,
	} {
		steps(t, browser, chromedp.Navigate(r.base+path), chromedp.WaitReady("main"))
		for _, width := range []int64{360, 500, 761, 900, 1021, 1181, 1300, 1440, 1920} {
			steps(t, browser, chromedp.EmulateViewport(width, 900))
			if bad := whatIsCut(t, browser); bad != "" {
				t.Errorf("%s at %d px:\n%s", path, width, bad)
			}
		}
	}
}

// TestAShortAddressStandsOnOneLine: beside long summaries, which take what they can get.
func TestAShortAddressStandsOnOneLine(t *testing.T) {
	needBrowser(t)
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	browser := newBrowser(t, r, 15*time.Minute)
	for _, path := range []string{"/lbadmin/history", "/lbadmin/reports/audit"} {
		steps(t, browser, chromedp.Navigate(r.base+path), chromedp.WaitReady("td.where"))
		for _, width := range []int64{360, 761, 900, 1181, 1440, 1920} {
			steps(t, browser, chromedp.EmulateViewport(width, 900))
			if bad := whatIsCut(t, browser); bad != "" {
				t.Errorf("%s at %d px:\n%s", path, width, bad)
			}
		}
	}
}

func whatIsCut(t *testing.T, ctx context.Context) string {
	t.Helper()
	bad, err := chromedp.Run(ctx, chromedp.Evaluate[string](cutOff))
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

// strained is a history with names as long as may be.
type strained struct{ service, id, server string }

func (s *strained) Changes(appliance.HealthQuery) (appliance.HealthList, error) {
	e := appliance.HealthEvent{ID: 1, At: time.Now(), ServiceID: s.id, Service: s.service, ServerID: "gone", Server: s.server, State: "down", Sentence: "The server said " + strings.Repeat("z", 200) + "."}
	return appliance.HealthList{Events: []appliance.HealthEvent{e}, Total: 99999}, nil
}

func (s *strained) Outages(string, time.Time) ([]appliance.Outage, error) {
	return []appliance.Outage{{ServiceID: s.id, Service: s.service, From: time.Now().Add(-100 * time.Hour), Lasted: 100 * time.Hour, State: "fallback", Sentence: "The server said " + strings.Repeat("z", 200) + "."}}, nil
}
