package story

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

const labPassword = "correct horse battery"

// node is one of our two appliances in the laboratory.
type node struct {
	f       *field
	letter  string
	address string
	dir     string
	program string // that it runs; empty: the laboratory's
	clock   string // a file by which its clock is set, if its program can do that
	cmd     *process
}

// evenkeel makes an appliance with its first password, and starts it.
func (f *field) evenkeel(letter string) *node {
	f.t.Helper()
	n := &node{f: f, letter: letter, address: labA, dir: temporary(f.t)}
	if letter == "b" {
		n.address = labB
	}
	n.disk()
	if f.program != "" {
		n.clock = filepath.Join(temporary(f.t), "clock")
		n.step(0)
	}
	if code, _, said := run(f.t, labPassword+"\n", "setup", "--data", n.dir, "--password-stdin"); code != 0 {
		f.t.Fatal(said)
	}
	n.begin()
	return n
}

// begin starts the program on the node's folder, and waits until it serves.
func (n *node) begin() {
	n.f.t.Helper()
	n.launch()
	n.serves()
}

func (n *node) launch() {
	n.f.t.Helper()
	_ = os.Remove(filepath.Join(n.dir, "control.sock"))
	rights := []string{"env"}
	if n.f.lesser == n.letter {
		rights = []string{"setpriv", "--bounding-set", "-net_raw", "env"}
	}
	n.cmd = startWith(n.f.t, n.f.on(n.f.node(n.letter), append(rights, clockVariable+"="+n.clock, cmp.Or(n.program, n.f.program, binary), "serve", "--data", n.dir, "--webui", n.address+":9443", "--ssh", n.address+":22")...)...)
}

func (n *node) serves() {
	n.f.t.Helper()
	eventually(n.f.t, 30*time.Second, n.letter+" serves", func() bool {
		_, err := os.Stat(filepath.Join(n.dir, "control.sock"))
		return err == nil
	})
}

// lb runs a command of the node's command line.
func (n *node) lb(stdin string, args ...string) (code int, stdout, stderr string) {
	n.f.t.Helper()
	return run(n.f.t, stdin, append(append([]string{"lb"}, args...), "--data", n.dir)...)
}

// does is lb that must succeed.
func (n *node) does(args ...string) string {
	n.f.t.Helper()
	for tries := 5; ; tries-- {
		code, out, said := n.lb("", args...)
		if code == 0 {
			return out
		}
		if tries == 0 || !strings.Contains(said, "nothing was changed") || !n.slipped() {
			n.f.t.Fatalf("%s: lb %s ended with %d: %s", n.letter, strings.Join(args, " "), code, said)
		}
		pause(n.f.t, 2*time.Second) // the addresses have no owner at this moment, because the machine stood still: asked for again, as an operator would
	}
}

// stood tells whether the node says that it did not run for a while: its machine stood still.
func (n *node) stood() bool { return n.told("woke", "restless") }

// slipped tells whether the owner may have changed when nobody wanted it to: the machine stood still, or a single processor of it did, so that the witness's answers came too late.
func (n *node) slipped() bool { return n.told("woke", "restless", "lease_lost") }

// told tells whether one of these decisions is in the node's timeline.
func (n *node) told(codes ...string) bool {
	return slices.ContainsFunc(n.timeline(), func(e appliance.PairEvent) bool { return slices.Contains(codes, e.Code) })
}

// status is what the node says of the pair; zero when it says nothing.
func (n *node) status() (s appliance.PairStatus) {
	if code, body := n.api(http.MethodGet, "pair", ""); code == http.StatusOK {
		_ = json.Unmarshal(body, &s)
	}
	return s
}

// api asks the node's interface over its control socket, as its command line does; 0: it does not answer.
func (n *node) api(method, path, body string) (code int, answer []byte) {
	r, err := http.NewRequest(method, "http://appliance/lbadmin/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(n.dir, "control.sock"))
	}}}
	got, err := client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer got.Body.Close()
	answer, err = io.ReadAll(got.Body)
	if err != nil {
		return 0, nil
	}
	return got.StatusCode, answer
}

// ownKey is the fingerprint that the node shows.
func (n *node) ownKey() string {
	var s struct {
		Key string `json:"host_key"`
	}
	_ = json.Unmarshal([]byte(n.does("pair", "--json")), &s)
	return s.Key
}

// signal sends a signal to the program, past ip netns exec, which has become it.
func (n *node) signal(s syscall.Signal) { _ = n.cmd.cmd.Process.Signal(s) }

// couple is a pair of ours with a web service on the floating address, in the laboratory.
type couple struct {
	*field
	a, b *node
}

// pairUp makes the pair.
func (f *field) pairUp() *couple {
	f.t.Helper()
	return f.strangers().join()
}

// strangers are two appliances that know nothing of each other, of which a has services that servers behind the gateway's address serve.
func (f *field) strangers() *couple {
	f.t.Helper()
	startWith(f.t, f.on(f.gate, binary, "sample", "http", "--listen", labGateway+":8081")...)
	c := &couple{field: f, a: f.evenkeel("a"), b: f.evenkeel("b")}
	c.a.does("service", "add", "WEB", "--address", labService, "--ports", "80", "--protocol", "http", "--check", "none")
	c.a.does("server", "add", "WEB", "S1", "--address", labGateway, "--port", "8081")
	f.slowServer()
	c.a.does("service", "add", "SLOW", "--address", labService, "--ports", "81", "--protocol", "http", "--check", "none")
	c.a.does("server", "add", "SLOW", "S2", "--address", labGateway, "--port", "8082")
	c.a.does("service", "add", "WEB6", "--address", labService6, "--ports", "80", "--protocol", "http", "--check", "none")
	c.a.does("server", "add", "WEB6", "S1", "--address", labGateway, "--port", "8081")
	c.a.does("apply")
	return c
}

// join makes a pair of them, with a as its Primary.
func (c *couple) join() *couple {
	c.t.Helper()
	code, key, said := c.a.lb(labPassword+"\n", "pair", "add", labB, "--password-stdin")
	key = strings.TrimSpace(key)
	if code != 1 || !strings.HasPrefix(key, "SHA256:") || key != c.b.ownKey() {
		c.t.Fatalf("without the peer's key: %d %q %s", code, key, said)
	}
	if code, _, said := c.a.lb(labPassword+"\n", "pair", "add", labB, "--password-stdin", "--host-key", key); code != 0 {
		c.t.Fatalf("pair add: %d %s", code, said)
	}
	c.settle("a")
	return c
}

// settle waits until that node is active, the other passive, and both say that they are in sync. A machine that stood still may have made it the other: it is asked for it then.
func (c *couple) settle(active string) {
	c.t.Helper()
	why := c.settled(active, 40*time.Second)
	if why == "" {
		return
	}
	if !c.slipped() {
		c.t.Fatal(why)
	}
	c.hands(other(active))
}

// settled waits for that, and returns what there is instead.
func (c *couple) settled(active string, within time.Duration) (why string) {
	var s, o appliance.PairStatus
	for end := time.Now().Add(within); time.Now().Before(end); {
		s, o = c.of(active).status(), c.of(other(active)).status()
		if s.Self.State == appliance.Active && o.Self.State == appliance.Passive && s.Settings.InSync && o.Settings.InSync {
			return ""
		}
	}
	return fmt.Sprintf("%s is not active beside a passive peer in sync:\n%+v\n%+v", active, s, o)
}

// stood tells whether one of them says that it did not run for a while.
func (c *couple) stood() bool { return c.a.stood() || c.b.stood() }

func (c *couple) slipped() bool { return c.a.slipped() || c.b.slipped() }

// taken is how often a node took the addresses, as far as n knows.
func (c *couple) taken(n *node) (times int) {
	for _, e := range n.timeline() {
		switch e.Code {
		case "took_over", "took_vacant", "elected", "given":
			times++
		}
	}
	return times
}

func TestPairIsMadeAndSurvivesADeadNode(t *testing.T) {
	c := lay(t).pairUp()
	p, w := c.probe(labService+":80"), c.watch(labService)
	pause(t, time.Second)
	fault := time.Now()
	c.a.cmd.kill()
	eventually(t, 10*time.Second, "b is active", func() bool { return c.b.status().Self.State == appliance.Active })
	pause(t, time.Second)
	list, seen := p.end(), w.end()
	gap, failed := outage(list, fault)
	t.Logf("kill: outage %v, %d of %d attempts failed; %v", gap, failed, len(list), judge(seen))
	if v := judge(seen); v.changes == 0 || v.overlap != 0 {
		t.Errorf("%v, want a change and never two owners", v)
	}
	c.a.begin()
	c.settle("b")
}
