package story

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBrowserMakesUsesAndBreaksAPair is the life of a pair as one person sees it, in the pages of both nodes.
func TestBrowserMakesUsesAndBreaksAPair(t *testing.T) {
	need(t, "chromium")
	c := lay(t).strangers()
	c.rename(c.a, "lb1")
	c.rename(c.b, "lb2")
	a, b := c.screens()
	c.madeByHand(a, b)
	c.settle("a")
	a.header("Primary · Active", labB+" in sync")
	b.signsIn() // its users are those of the pair from now on
	b.header("Secondary · Passive", labA+" in sync")
	a.step("both nodes are well", a.at("pair"), sees("#pair-verdict", "lb1"), sees(".node.owner", "this node"), sees(".facts.sync", "in sync, revision"))
	a.looks("pair", true)

	c.readOnly(b)
	c.switchedByHand(a, b)
	c.drilled(b)
	c.toldByTimeline(a, b)
	c.restartedByHand(a, b)
	c.floats(a, b)
	c.brokenByHand(a, b)
}

// madeByHand adds b on a's page, by a wrong password first.
func (c *couple) madeByHand(a, b *screen) {
	t := c.t
	t.Helper()
	b.step("its fingerprint", b.at("pair"), sees("#frame-pair", "single appliance"), sees("#own-key .key", "SHA256:"))
	shown := b.reads("#own-key .key")
	b.looks("alone-without-services", false)
	a.step("an address that is none", a.at("pair"), sees("#frame-pair", "single appliance"), sees("#add-node", "Create a Clustered Pair"), typed("#f-address", "10.77.0.1200"), opens("#add"),
		sees("#form-errors", "Not paired"), sees("#add-node .err", "such as 192.168.0.12"))
	a.looks("alone", true)
	a.step("the other node's fingerprint", typed("#f-address", labB), opens("#add"), sees(".fingerprint", "SHA256:"), sees("#confirm-node", "Nothing was sent to it yet."))
	a.looks("confirm", true)
	if got := a.reads(".fingerprint"); got != shown || got != c.b.ownKey() {
		t.Errorf("compared are %q and %q", got, shown)
	}
	a.step("not compared", chromedp.SendKeys("#f-password", labPassword), opens("#pair-now"), sees("#confirm-node .err", "Compare the two fingerprints"))
	a.step("a wrong password", chromedp.Click("#f-confirmed"), chromedp.SendKeys("#f-password", "not this one"), opens("#pair-now"), sees("#confirm-node .err", "password"),
		sees("#pair-steps li", "Stopped"), holds(`document.querySelector("#f-password").value === ""`))
	a.looks("confirm-refused", false)
	b.step("it is alone", b.at("pair"), sees("#frame-pair", "single appliance"))

	c.b.signal(syscall.SIGSTOP) // so that it can be seen how far it came
	further := a.beside(c.a)
	further.step("what goes on, beside", further.at("pair"), sees("#pair-body", "What was done with"))
	a.step("asked to pair", holds(`document.querySelector("#f-confirmed").checked`), chromedp.SendKeys("#f-password", labPassword))
	a.evaluates(`localStorage.shown = "", new MutationObserver(() => { localStorage.shown += document.querySelector("#pair-steps").innerText.replace(/\s+/g, " ") + "\n" }).observe(document.querySelector("#pair-steps"), { childList: true })`)
	a.evaluates(`setTimeout(() => document.querySelector("#pair-now").click())`) // while a form is under way nothing else is answered to who drives the browser
	further.step("the first steps, and no further one", holds(`/^Done\s+Checking what was asked for\s+Now\s+Connecting to `+labB+`:22[^\n]*$/.test(Array.from(document.querySelectorAll(".pair-steps li")).map(e => e.innerText).join("\n"))`))
	further.step("the form shows them as well", holds(`/^Done Checking what was asked for Now Connecting to [^ ]*, comparing [^.]* signing in ?$/m.test(localStorage.shown)`))
	further.looks("pairing", false)
	c.b.signal(syscall.SIGCONT)
	a.step("every step", sees("main", "The two appliances are a pair."), sees("#pair-body", "What was done with "+labB), holds(`Array.from(document.querySelectorAll(".pair-steps li")).every(e => e.innerText.startsWith("Done"))`))
	further.step("every step, beside", sees("#frame-pair", "Primary · Active"), sees(".pair-steps li:last-child", "lb1 is the Primary, lb2 the Secondary"))
	steps := a.reads(".pair-steps li")
	for _, want := range []string{"Checking what was asked for", "Connecting to", "and signing in", "can be the Secondary", "reach this one and compare its host key", "own key; the password is not used again", "lb1 is the Primary, lb2 the Secondary"} {
		if !strings.Contains(steps, want) {
			t.Errorf("the steps do not say %q:\n%s", want, steps)
		}
	}
	a.looks("pair-made", false)
}

// readOnly looks at a page of what both have in common on the passive node, and follows its link.
func (c *couple) readOnly(b *screen) {
	c.t.Helper()
	b.step("what is said of services", b.at("layer7"), sees("#passive", "Read-only here: this node is Passive."), sees("#passive", "on the Active node, lb1"), sees("#passive a", "Open on lb1"))
	b.looks("passive-services", false)
	b.step("the overview", b.at(""), sees("#passive", "Clients are served by the Active node"))
	b.looks("passive-overview", false)
	b.step("Local Configuration", b.at("local"), holds(`document.querySelector("#f-hostname").value === "lb2" && !document.querySelector("#f-hostname").closest("fieldset:disabled")`), chromedp.WaitNotPresent("#passive"))
	b.step("the link", b.at("layer7"), opens("#passive a"), holds(`location.href === "https://`+labA+`:9443/lbadmin/layer7"`), sees("main", "WEB6"), sees("#frame-pair", "Primary · Active"))
	b.step("back", b.at("pair"), sees("#pair-verdict", "lb2"))
	b.looks("pair-passive", true)
}

// switchedByHand makes b active on its own page.
func (c *couple) switchedByHand(a, b *screen) {
	c.t.Helper()
	a.step("the other page stays open", a.at("pair"))
	p := c.probe(labService + ":80")
	b.step("what a switch does", opens("#make-active"), sees(".confirm", "Make lb2 Active?"), sees(".confirm", "end with FIN"), sees(".confirm", "for at most 5 s"))
	b.looks("make-active", false)
	b.step("the switch", opens("#confirm"), sees("main", "lb2 is Active."), sees("#pair-verdict", "lb2"), sees("#pair-verdict", "Planned, and done "))
	b.header("Secondary · Active")
	a.header("Primary · Passive")
	took := regexp.MustCompile(`done [0-9.]+ (ms|s) after it was asked for`).FindString(b.reads("#pair-verdict"))
	list := p.endPatiently()
	refused := 0
	for _, one := range list {
		if one.refused || one.cut {
			refused++
		}
	}
	if took == "" || refused > 0 || len(list) == 0 {
		c.t.Errorf("the page says %q; %d of %d attempts were refused, or cut off", took, refused, len(list))
	}
	c.settle("b")
	b.looks("pair-switched", false)
}

// drilled runs a failover drill on the active node's page.
func (c *couple) drilled(b *screen) {
	c.t.Helper()
	b.step("what a drill does", b.at("pair"), opens("#drill"), sees(".confirm", "both outages are measured"))
	b.looks("drill-asked", false)
	b.step("the drill", opens("#confirm"), sees("main", "The drill is done:"), sees("#drill-result", "There"), sees("#drill-result", "Back"))
	for _, way := range []string{"1", "2"} {
		if got := b.reads("#drill-result tbody tr:nth-child(" + way + ") .num:nth-child(3)"); !regexp.MustCompile(`^[0-9.]+ (ms|s) ± [0-9.]+ (ms|s)$`).MatchString(got) {
			c.t.Errorf("the drill's row %s measured %q", way, got)
		}
	}
	b.looks("drill-done", true)
	c.settle("b")
	c.serves()
}

// toldByTimeline looks for what was decided until now, on both nodes.
func (c *couple) toldByTimeline(a, b *screen) {
	c.t.Helper()
	for _, s := range []*screen{a, b} {
		s.step("all decisions", s.at("pair"), opens("#timeline h2 a"), sees("h1", "Timeline of the pair"), sees("#pair-events", "lb1"), sees("#pair-events", "lb2"))
		s.looks("timeline-"+s.node.letter, false)
		for _, code := range []string{"pair_founded", "given"} { // a machine with much to do has decisions for more than a page
			s.step("the decision "+code, chromedp.SetValue(`form.bar input[name="q"]`, code), opens("form.bar button"), sees("#pair-events .tag", strings.ReplaceAll(code, "_", " ")))
		}
		s.step("those of one node", s.at("pair/timeline"), chromedp.SetValue(`select[name="node"]`, "lb1"), opens("form.bar button"), sees("#pair-events", "lb1"),
			holds(`!Array.from(document.querySelectorAll("#pair-events tbody td:nth-child(2)")).some(e => e.innerText !== "lb1")`))
	}
}

// restartedByHand restarts the heartbeat of both nodes on one page.
func (c *couple) restartedByHand(a, b *screen) {
	c.t.Helper()
	paths := `(paths => paths.length >= 2 && paths.every(e => e.innerText.includes("Alive")))(Array.from(document.querySelectorAll("#paths tbody tr")))`
	b.step("the heartbeat", b.at("heartbeat"), holds(paths))
	b.looks("heartbeat", true)
	b.step("Restart Heartbeat", opens("#restart-heartbeat"), sees("main", "The heartbeat was restarted on both nodes."), holds(paths))
	for _, s := range []*screen{a, b} {
		s.step("both opened their paths anew", s.at("pair/timeline?q=paths+reopened"), sees("#pair-events", "lb1"), sees("#pair-events", "lb2"))
	}
	c.settle("b")
	a.step("the heartbeat, read on the passive node", a.at("heartbeat"), holds(paths), sees("#passive", "Read-only here"))
	a.looks("heartbeat-passive", false)
}

// floats looks where the addresses are.
func (c *couple) floats(a, b *screen) {
	c.t.Helper()
	for _, s := range []*screen{a, b} {
		s.step("Floating IPs", s.at("floating"), sees("#floating", labService6))
		row := s.reads("#floating tbody tr:first-child")
		for _, want := range []string{labService, "lb2", "SLOW, WEB"} {
			if !strings.Contains(row, want) {
				c.t.Errorf("the page of %s lacks %s: %q", s.node.letter, want, row)
			}
		}
		s.looks("floating-"+s.node.letter, false)
	}
}

// brokenByHand ends the pair on the active node's page, and looks who has the services.
func (c *couple) brokenByHand(a, b *screen) {
	c.t.Helper()
	a.step("the other page stays open", a.at("pair"), sees("#frame-pair", "Primary · Passive"))
	b.step("what Break does", b.at("pair"), opens("#break"), sees(".confirm", "lb2 keeps every service and every floating address"), sees(".confirm", "lb1 gives its services up"))
	b.looks("break", false)
	b.step("Break Clustered Pair", opens("#confirm"), sees("main .m-done", "lb2"), sees("#own-key .key", "SHA256:"))
	b.looks("broken-"+b.node.letter, false)
	for _, s := range []*screen{a, b} {
		s.header("single appliance")
	}
	a.step("it can be paired again", a.at("pair"), sees("#add-node", "Create a Clustered Pair"), chromedp.WaitNotPresent(".pair-steps"))
	a.looks("broken-"+a.node.letter, false)
	c.serves()
	a.step("it has no services any more", a.at("layer7"), holds(`!document.querySelector("main").innerText.includes("WEB6")`))
	b.step("it has them all", b.at("layer7"), sees("main", "WEB6"), chromedp.WaitNotPresent("#passive"))
}
