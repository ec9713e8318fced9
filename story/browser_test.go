package story

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser opens Chromium with an empty profile, and with further options. Every step of a story must be done within the returned context's twenty minutes.
func browser(t *testing.T, further ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	need(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.WSURLReadTimeout(2*time.Minute), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true)) // the appliance's own certificate
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(options, further...)...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1440, 900)); err != nil { // the browser lives as long as the context of its first call
		t.Fatal(err)
	}
	within, done := context.WithTimeout(tab, 20*time.Minute)
	t.Cleanup(done)
	return within
}

// act is one thing done in the browser.
type act = chromedp.Action[chromedp.Void]

// step does the actions; an error names the step and shows the page.
func step(t *testing.T, b context.Context, what string, actions ...act) {
	t.Helper()
	limited, done := context.WithTimeout(b, 3*time.Minute)
	defer done()
	if err := chromedp.Do(limited, actions...); err != nil {
		file := filepath.Join(os.TempDir(), "evenkeel-story-failed.png")
		if png, err := chromedp.Run(b, chromedp.FullScreenshot(100)); err == nil {
			_ = os.WriteFile(file, png, 0o600)
		}
		t.Fatalf("%s: %v (the page is in %s)", what, err, file)
	}
}

// sees waits until the page holds a text.
func sees(selector, text string) act {
	return holds(fmt.Sprintf(`Array.from(document.querySelectorAll(%q)).some(e => e.innerText.includes(%q))`, selector, text))
}

// holds waits until a JavaScript expression is true.
func holds(expression string) act {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		for {
			_, err := chromedp.Poll[bool](expression)(ctx, tab)
			if err == nil || ctx.Err() != nil {
				return chromedp.Void{}, err
			} // a click that opens another page ends the wait on the old one: wait on the new one
		}
	}
}

// opens clicks on what leads to another page, and waits until that one has come as a whole: what is looked for behind it is not found on the page before, and what is done
// next does not meet a page that is still on its way.
func opens(selector string) act {
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		return chromedp.Void{}, chromedp.Do(ctx, holds(`document.readyState === "complete" && (document.left = true)`), chromedp.Click(selector),
			holds(`!document.left && document.readyState === "complete"`))
	}
}

func signInAs(t *testing.T, b context.Context, d demoLine) {
	t.Helper()
	step(t, b, "sign in", chromedp.Navigate(d.WebUI), chromedp.SendKeys("#name", d.User), chromedp.SendKeys("#password", d.Password),
		opens("#sign-in"), chromedp.WaitVisible("#overview"))
}

// typed puts a value over what stands in a field.
func typed(selector, text string) act {
	return chromedp.SetValue(selector, text)
}

func TestBrowserFromSetupCodeToTraffic(t *testing.T) {
	b := browser(t)
	dir := t.TempDir()
	web := freeAddress(t)
	p := start(t, "serve", "--data", dir, "--webui", web, "--fallback", freeAddress(t))
	code := setupCode(t, p)
	if kept, err := os.ReadFile(filepath.Join(dir, "setup-code")); err != nil || strings.TrimSpace(string(kept)) != code {
		t.Errorf("the file setup-code holds %q, %v; printed was %q", kept, err, code)
	}
	base := "https://" + web + "/lbadmin/"
	step(t, b, "a wrong code is refused", chromedp.Navigate(base), chromedp.WaitVisible("#code"), chromedp.SendKeys("#code", "AAAA-AAAA-AAAA"), opens("#setup-next"),
		sees("#code-error", "not the setup code"))
	step(t, b, "the code is accepted", typed("#code", code), opens("#setup-next"), chromedp.WaitVisible("#new"))
	step(t, b, "a common password is refused", chromedp.SendKeys("#new", "password1234"), chromedp.SendKeys("#again", "password1234"), opens("#setup-done"),
		chromedp.WaitVisible("#new-error"))
	step(t, b, "the password is set", typed("#new", "four unrelated words here"), typed("#again", "four unrelated words here"), opens("#setup-done"),
		sees("main", "Setup Wizard"))
	if _, err := os.Stat(filepath.Join(dir, "setup-code")); !os.IsNotExist(err) {
		t.Errorf("the setup code outlived its use: %v", err)
	}
	step(t, b, "loopback servers are allowed", chromedp.Navigate(base+"advanced"), chromedp.Click("#f-allow_loopback"), opens("#save"), sees("#commit", "Apply"))

	servers := []string{freeAddress(t), freeAddress(t)}
	for i, a := range servers {
		labelled(t, fmt.Sprintf("Web%d", i+1), a)
	}
	address := freeAddress(t)
	_, number, _ := net.SplitHostPort(address)
	step(t, b, "a typo is told at its field and typing is kept", chromedp.Navigate(base+"layer7/new"), typed("#f-label", "WEB"), typed("#f-address", "127.0.0.1888"), typed("#f-ports", number),
		opens("#save"), sees(`[id="e-address"]`, "address"), holds(`document.querySelector("#f-label").value === "WEB"`))
	step(t, b, "the servers answer", typed("#f-address", "127.0.0.1"), chromedp.SetValue("#protocol", "http"),
		row(0, "Web1", servers[0]), chromedp.Click("#add-row"), row(1, "Web2", servers[1]), chromedp.Click("#check-now"),
		sees("#answer-0", "opened"), sees("#answer-1", "opened"))
	step(t, b, "saved, and not yet running", opens("#save"), sees("#commit", "WEB added"))
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the service listens before it was applied")
	}
	step(t, b, "applied", opens("#commit-apply"), chromedp.WaitNotPresent("#commit"), chromedp.Navigate(base), sees("#overview", "WEB"), sees("#overview .st", "Up"))
	if got := whoAnswers(t, address, 10); got["Web1"] == 0 || got["Web2"] == 0 {
		t.Errorf("ten clients were served by %v", got)
	}
}

// row fills one line of the table of real servers.
func row(n int, label, address string) act {
	host, port, _ := net.SplitHostPort(address)
	id := func(field string) string { return fmt.Sprintf("#rs-%d-%s", n, field) }
	return func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		return chromedp.Void{}, chromedp.Do(ctx, chromedp.WaitVisible(id("label")), typed(id("label"), label), typed(id("address"), host), typed(id("port"), port))
	}
}

// setupCode reads the one-time code from standard output.
func setupCode(t *testing.T, p *process) string {
	t.Helper()
	for {
		if _, code, found := strings.Cut(p.line(t), "Setup code: "); found {
			return code
		}
	}
}

func TestBrowserSeesImagingUpAndAServerDie(t *testing.T) {
	b := browser(t)
	_, d := demo(t)
	c := d.client()
	address := []string{freeAddress(t), freeAddress(t)}
	first := sample(t, "hl7", address[0], "")
	sample(t, "hl7", address[1], "")
	pointAt(t, c, "HL7", address...)
	signInAs(t, b, d)
	for _, label := range []string{"VNA_DICOM", "HL7", "DMWL", "WEB"} {
		step(t, b, label+" is up", holds(fmt.Sprintf(`Array.from(document.querySelectorAll("#overview tbody tr")).some(r => r.innerText.includes(%q) && r.innerText.includes("Up"))`, label)))
	}
	live(t, d)
	step(t, b, "pictures", pictures(t, "overview")...)
	first.kill()
	step(t, b, "without a reload the overview says why", sees("#overview", "Degraded"), sees("#overview .why", "refused"))
	step(t, b, "picture of the red server", pictures(t, "down")...)
	step(t, b, "its page tells the history", chromedp.Navigate(d.WebUI+"layer7/"+c.services(t)["HL7"].ID+"/servers/"+c.services(t)["HL7"].RealServers[0].ID), sees("main", "refused"))
}

// live gives the pictures something to show: open sessions and a minute of downloads.
func live(t *testing.T, d demoLine) {
	t.Helper()
	if os.Getenv("EVENKEEL_SCREENSHOTS") == "" {
		return
	}
	openSessions(t, d.address(t, "HL7"), 23)
	began := time.Now()
	for i := 0; time.Since(began) < 70*time.Second; i++ {
		n := 300_000 + 250_000*(i%7)
		if code, _, said := command(t, "", "curl", "-sS", "-o", "/dev/null", "--interface", fmt.Sprintf("127.0.0.%d", 2+i%20), fmt.Sprintf("http://%s/bytes?n=%d", d.address(t, "WEB"), n)); code != 0 {
			t.Fatal(said)
		}
		if c, err := net.Dial("tcp", d.address(t, "VNA_DICOM")); err == nil && i%20 == 0 {
			t.Cleanup(func() { c.Close() })
		} else if err == nil {
			c.Close()
		}
	}
}

// pictures takes the README's screenshots when EVENKEEL_SCREENSHOTS is set; else it only looks that the page can be drawn.
func pictures(t *testing.T, name string) []act {
	var out []act
	for _, theme := range []string{"light", "dark"} {
		scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
		out = append(out, func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, scheme); err != nil {
				return none, err
			}
			png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil || len(png) < 10_000 {
				return none, fmt.Errorf("picture of %d bytes: %w", len(png), err)
			}
			if os.Getenv("EVENKEEL_SCREENSHOTS") == "" {
				return none, nil
			}
			return none, os.WriteFile(filepath.Join("pictures", name+"-"+theme+".png"), png, 0o644)
		})
	}
	return out
}
