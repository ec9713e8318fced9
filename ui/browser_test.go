package ui

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"evenkeel/appliance"
)

// needBrowser skips without Chromium; where everything is required, that is a failure.
func needBrowser(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/chromium"); err == nil {
		return
	}
	if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
		t.Fatal("Chromium is required and not installed")
	}
	t.Skip("Chromium is not installed (apt-get install chromium)")
}

// becomes waits until an expression is true in the page.
func becomes(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if _, err := chromedp.Run(within, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(0))); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
}

func steps(t *testing.T, ctx context.Context, list ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(within, list...); err != nil {
		t.Fatal(err)
	}
}

func TestTheScriptInABrowser(t *testing.T) {
	needBrowser(t)
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	browser := newBrowser(t, r, 15*time.Minute)
	row := func(label string) string { return `document.getElementById("rs-` + r.id("HL7", label) + `")` }

	// Values change by themselves; a row that somebody types in waits.
	steps(t, browser, chromedp.Navigate(r.base+"/lbadmin/"), chromedp.WaitVisible("#live"))
	r.engine.see(r.id("HL7", "Corepoint1"), func(s *appliance.ServerStatus) { s.Connections = 4711 })
	becomes(t, browser, row("Corepoint1")+`.textContent.includes("4711")`)
	becomes(t, browser, `document.getElementById("vs-`+r.id("HL7")+`").textContent.includes("4711")`)
	weight := "#weight-" + r.id("HL7", "Corepoint1")
	steps(t, browser, chromedp.Focus(weight), chromedp.SendKeys(weight, "5"))
	three := 3
	if _, err := r.control.Act(t.Context(), appliance.Origin{Operator: "anna"}, []appliance.Act{{Service: r.id("HL7"), Server: r.id("HL7", "Corepoint1"), Weight: &three}, {Service: r.id("HL7"), Server: r.id("HL7", "Corepoint2"), Weight: &three}}); err != nil {
		t.Fatal(err)
	}
	becomes(t, browser, `document.getElementById("frame-revision").textContent.includes("revision 4")`)
	becomes(t, browser, `document.querySelector("`+weight+`").value.includes("5")`)
	steps(t, browser, chromedp.Blur(weight))
	becomes(t, browser, `document.querySelector("`+weight+`").value === "3"`)

	// What is folded stays folded.
	fold := "#fold-" + r.id("HL7")
	becomes(t, browser, row("Corepoint1")+`.offsetHeight > 0`)
	steps(t, browser, chromedp.Click(`label[for="fold-`+r.id("HL7")+`"]`))
	becomes(t, browser, row("Corepoint1")+`.offsetHeight === 0`)
	steps(t, browser, chromedp.Reload(), chromedp.WaitVisible("#live"))
	becomes(t, browser, `!document.querySelector("`+fold+`").checked && `+row("Corepoint1")+`.offsetHeight === 0`)

	// A real server that is ticked stays ticked and in sight when the table comes anew, and the bar counts it.
	steps(t, browser, chromedp.Click(`label[for="fold-`+r.id("HL7")+`"]`), chromedp.Click("#rs-"+r.id("HL7", "Corepoint1")+" .choose"), chromedp.Blur("#rs-"+r.id("HL7", "Corepoint1")+" .choose"))
	becomes(t, browser, `document.getElementById("chosen").offsetHeight > 0`)
	if _, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "anna"}, nil, func(c *appliance.Config) error {
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, sample("WEB", "192.168.0.199", 80, appliance.MonitorConnect, "web1", "192.168.0.60"))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	becomes(t, browser, `document.body.textContent.includes("WEB") && document.querySelector("#rs-`+r.id("HL7", "Corepoint1")+` .choose").checked && document.querySelector("#chosen b").textContent === "1 chosen"`)
	steps(t, browser, chromedp.Click("#chosen [type=reset]"))
	becomes(t, browser, `document.getElementById("chosen").offsetHeight === 0`)

	// The keyboard finds things.
	steps(t, browser, chromedp.KeyEvent("/"))
	becomes(t, browser, `document.activeElement.id === "search"`)
	steps(t, browser, chromedp.KeyEvent("\b"), chromedp.SendKeys("#search", "corepoint2")) // the protocol types the / that the page swallowed
	becomes(t, browser, `document.querySelectorAll("#search-found a.at").length === 1`)
	if _, err := chromedp.RunResponse(browser, chromedp.Click("#search-found a.at")); err != nil {
		t.Fatal(err)
	}
	becomes(t, browser, `location.pathname === "`+serverPath(r.id("HL7"), r.id("HL7", "Corepoint2"))+`"`)

	// A real server's row is added without leaving the page, and saved.
	steps(t, browser, chromedp.Navigate(r.base+layer7+"/"+r.id("HL7")), chromedp.Click("#add-row"), chromedp.SendKeys("#rs-2-label", "Corepoint3"), chromedp.SendKeys("#rs-2-address", "192.168.0.52"))
	if _, err := chromedp.RunResponse(browser, chromedp.Click("#save")); err != nil {
		t.Fatal(err)
	}
	if saved := r.control.Saved().Config.Cluster; len(saved.Service(r.id("HL7")).RealServers) != 3 {
		t.Errorf("saved %+v", saved.Service(r.id("HL7")).RealServers)
	}

	// A field counts only where it matters, also without the script's help.
	steps(t, browser, chromedp.Navigate(r.base+layer7+"/"+r.id("DMWL")), chromedp.Click("#section-check > summary"))
	becomes(t, browser, `document.getElementById("f-check.dicom.called_ae").offsetHeight > 0 && document.getElementById("f-check.http.path").offsetHeight === 0`)

	// A mode is offered what it can have.
	kind := `document.getElementById("f-check.kind")`
	pick := func(mode string) {
		t.Helper()
		if _, err := chromedp.Run(browser, chromedp.Evaluate[bool](`(document.getElementById("protocol").value = "`+mode+`", document.getElementById("protocol").dispatchEvent(new Event("change", { bubbles: true })))`)); err != nil {
			t.Fatal(err)
		}
	}
	steps(t, browser, chromedp.Navigate(r.base+layer7+"/new"), chromedp.WaitReady("main"))
	pick("udp")
	becomes(t, browser, kind+`.value === "none" && getComputedStyle(`+kind+`.querySelector("[value=connect]")).display === "none" && `+kind+`.querySelector("[value=connect]").disabled && !`+kind+`.querySelector("[value=dns]").disabled`)
	becomes(t, browser, `document.getElementById("section-tls").offsetHeight === 0 && document.getElementById("section-https").offsetHeight === 0 && document.getElementById("section-check").offsetHeight > 0`)
	pick("tcp")
	becomes(t, browser, kind+`.value === "connect" && document.getElementById("section-tls").offsetHeight > 0`)

	// A pool is not asked for what the services in front of it say to clients.
	steps(t, browser, chromedp.Click("#f-pool_only"))
	becomes(t, browser, `["section-tls", "section-rules"].every((id) => document.getElementById(id).offsetHeight === 0) && document.getElementById("section-check").offsetHeight > 0`)

	// Nothing was refused by the policy on content, and nothing is wider than a phone.
	steps(t, browser, chromedp.EmulateViewport(360, 740))
	for _, path := range []string{"/lbadmin/", layer7, layer7 + "/" + r.id("HL7"), serverPath(r.id("HL7"), r.id("HL7", "Corepoint2")), "/lbadmin/history", "/lbadmin/history/1", "/lbadmin/passwords", "/lbadmin/commit", "/lbadmin/reports/audit", "/lbadmin/wizard/imaging", "/lbadmin/servers?label=VNA1", "/lbadmin/configuration"} {
		steps(t, browser, chromedp.Navigate(r.base+path), chromedp.WaitReady("main"))
		wide, err := chromedp.Run(browser, chromedp.Evaluate[float64](`document.documentElement.scrollWidth`))
		if err != nil || wide > 360 {
			t.Errorf("%s is %v wide: %v", path, wide, err)
		}
	}
	steps(t, browser, chromedp.Click(".burger"))
	becomes(t, browser, `getComputedStyle(document.getElementById("menu")).visibility === "visible"`)
	if text, err := chromedp.Run(browser, chromedp.Text("#menu")); err != nil || !strings.Contains(text, "System Overview") {
		t.Errorf("the drawer: %q %v", text, err)
	}
}
