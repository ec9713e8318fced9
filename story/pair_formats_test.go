package story

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

const nextVersion = "0.2.0"

// nextProgram builds the program as a later version that speaks another format with its peer.
func nextProgram(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("..", "appliance", "replica", "replica.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	const format = "const Format = 1\n"
	if err != nil || strings.Count(string(text), format) != 1 {
		t.Fatalf("package replica is not as it was: %v", err)
	}
	return overlaid(t, map[string]string{source: strings.Replace(string(text), format, "const Format = 2\n", 1)}, "-ldflags", "-X main.Version="+nextVersion)
}

// updated has the node run another program from now on: its own service ends and begins.
func (n *node) updated(program string) {
	n.f.t.Helper()
	n.cmd.stop(n.f.t)
	n.program = program
	n.begin()
}

// page is what a person reads on a page of the node's.
func (n *node) page(path string) string {
	t := n.f.t
	t.Helper()
	base := "https://" + n.address + ":9443"
	b := n.f.browser("", nil)
	b.Timeout = time.Minute
	b.Jar, _ = cookiejar.New(nil) // never fails
	form := url.Values{"name": {"loadbalancer"}, "password": {labPassword}, "next": {path}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/lbadmin/sign-in", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", base)
	a, err := b.Do(r)
	if err == nil {
		a.Body.Close()
		a, err = b.Get(base + path)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, a.Status, err)
	}
	return html.UnescapeString(string(body))
}

// alerts are the messages that stand on the node, by code.
func (n *node) alerts() map[string]string {
	out := map[string]string{}
	var list []appliance.Alert
	if code, body := n.api(http.MethodGet, "alerts", ""); code != http.StatusOK || json.Unmarshal(body, &list) != nil {
		return nil
	}
	for _, a := range list {
		out[a.Code] = a.Sentence
	}
	return out
}

// apart watches that no node says that the settings are in sync, until the returned function is called, which tells how often they were asked.
func (c *couple) apart() (end func() (asked int64)) {
	stop, done := make(chan struct{}), make(chan struct{})
	var asked int64
	claimed := map[string]int{}
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, n := range []*node{c.a, c.b} {
				s := n.status()
				asked++
				if s.Settings.InSync {
					claimed[fmt.Sprintf("%s, which is %s beside a peer of version %s: %s", n.letter, s.Self.State, s.Peer.Version, s.Settings.Sentence)]++
				}
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 {
		c.t.Helper()
		close(stop)
		<-done
		for claim, n := range claimed {
			c.t.Errorf("%d times %s", n, claim)
		}
		return asked
	}
}

// TestPairOfNeighbouringVersionsSaysWhyNot: two versions whose settings are not the same language make no pair; a pair of which one node is brought to such a version keeps
// serving and takes over, says on both nodes that the settings stay behind, and goes on as if nothing had been when both have one version again.
func TestPairOfNeighbouringVersionsSaysWhyNot(t *testing.T) {
	f := lay(t)
	next := nextProgram(t)
	c := f.strangers()
	c.b.updated(next)
	for _, way := range []struct {
		from, to *node
	}{{c.a, c.b}, {c.b, c.a}} {
		code, _, said := way.from.lb(labPassword+"\n", "pair", "add", way.to.address, "--password-stdin", "--host-key", way.to.ownKey())
		if code != 1 || !strings.Contains(said, "they cannot work together") || !strings.Contains(said, nextVersion) || !strings.Contains(said, "Bring both to the same version.") {
			t.Errorf("pair add on %s ended with %d: %s", way.from.letter, code, said)
		}
	}
	for _, n := range []*node{c.a, c.b} {
		if s := n.status(); s.Paired || s.Unfinished {
			t.Errorf("%s: %+v", n.letter, s)
		}
	}
	c.b.updated("")
	c.join()

	p := c.probeEvery(labService+":80", 5*time.Millisecond)
	c.b.updated(next)
	end := c.apart()
	c.staysBehind(c.a, c.b)
	c.a.does("service", "set", "WEB", "--limits-max-connections", "777", "--apply")
	c.staysBehind(c.a, c.b)
	if s := c.a.status(); s.Self.State != appliance.Active || s.Peer.Version != nextVersion || !s.Peer.Healthy {
		t.Errorf("%+v", s)
	}
	fault := time.Now()
	c.a.cmd.kill()
	c.owns("b")
	c.serves()
	if got := c.b.rest().services(t)["WEB"].Limits.MaxConnections; got == 777 {
		t.Error("b has a setting that it cannot have")
	}
	c.a.begin()
	c.staysBehind(c.b, c.a)
	if gap, failed := outage(p.end(), fault); gap > 2*time.Second && !c.stood() {
		t.Errorf("the service was away for %v; %d attempts failed", gap, failed)
	}

	c.b.does("pair", "active", "peer")
	c.owns("a")
	c.staysBehind(c.a, c.b)
	eventually(t, 20*time.Second, "b, which is passive now, says nothing of what a lacks", func() bool { _, told := c.b.alerts()["settings_refused"]; return !told })
	if asked := end(); asked < 20 {
		t.Errorf("asked only %d times", asked)
	}
	c.b.updated("")
	c.settle("a")
	eventually(t, 20*time.Second, "the alert is gone", func() bool { list := c.a.alerts(); _, told := list["settings_refused"]; return list != nil && !told })
	if got := c.b.rest().services(t)["WEB"].Limits.MaxConnections; got != 777 {
		t.Errorf("the edit that b missed is not there: %d", got)
	}
	c.serves()
}

// staysBehind waits until the node that gives its settings and the one that should take them say that they do not come, by their pages, and the first by an alert.
func (c *couple) staysBehind(from, to *node) {
	t := c.t
	t.Helper()
	theirs, own := "which takes no settings of this version.", "Bring both nodes to the same version."
	eventually(t, 30*time.Second, from.letter+" says why "+to.letter+" has no settings", func() bool {
		return strings.Contains(from.status().Settings.Sentence, theirs) && strings.Contains(to.status().Settings.Sentence, own)
	})
	eventually(t, 20*time.Second, from.letter+" has an alert", func() bool { return strings.Contains(from.alerts()["settings_refused"], theirs) })
	if text := from.page("/lbadmin/pair"); !strings.Contains(text, theirs) || !strings.Contains(text, "Differs") || !strings.Contains(text, nextVersion) {
		t.Errorf("the page of %s does not say it", from.letter)
	}
	if text := to.page("/lbadmin/pair"); !strings.Contains(text, own) || !strings.Contains(text, "Differs") || !strings.Contains(text, nextVersion) {
		t.Errorf("the page of %s does not say it", to.letter)
	}
	c.serves()
}

// serves asks the web service once.
func (c *couple) serves() {
	c.t.Helper()
	eventually(c.t, 5*time.Second, "the web service answers", func() bool {
		text, err := c.request(labService+":80", "/")
		return err == nil && strings.Contains(text, "200 OK")
	})
}
