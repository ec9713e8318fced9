package story

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestPairOfANodeWithoutALeaseThatServedBefore has its addresses on it from the time before the pair: when it ends, they are the peer's and not still there.
func TestPairOfANodeWithoutALeaseThatServedBefore(t *testing.T) {
	f := lay(t)
	need(t, "setpriv")
	f.lesser = "a"
	c := f.pairUp()
	if !c.has("a", labService) || c.has("b", labService) {
		t.Fatal("the address is not where it was before the pair")
	}
	c.a.does("service", "add", "NEW", "--address", "10.77.0.101", "--ports", "80", "--protocol", "http", "--check", "none")
	c.a.does("server", "add", "NEW", "S1", "--address", labGateway, "--port", "8081")
	c.a.does("apply")
	eventually(t, 10*time.Second, "the address that nobody puts on is told", func() bool {
		return strings.Contains(c.a.alerts()["address_not_floating"], "10.77.0.101 (NEW) is on no interface of this node and will not float")
	})
	if out := c.a.does("pair", "--json"); !strings.Contains(out, "It stays on this node") || !strings.Contains(out, "It is on no interface of this node") {
		t.Errorf("the floating addresses: %s", out)
	}
	p, w := c.probe(labService+":80"), c.watch(labService)
	pause(t, 500*time.Millisecond)
	t0 := time.Now()
	c.a.cmd.stop(t)
	eventually(t, 10*time.Second, "b is active", func() bool { return c.b.status().Self.State == appliance.Active && c.has("b", labService) })
	if c.has("a", labService) {
		t.Error("the address is on the node that has ended")
	}
	eventually(t, 10*time.Second, "the service answers", func() bool {
		text, err := c.request(labService+":80", "/")
		return err == nil && strings.HasPrefix(text, "HTTP/1.1 200")
	})
	pause(t, time.Second)
	list, seen := p.end(), w.end()
	gap, failed := outage(list, t0)
	t.Logf("end of a node without a lease: outage %v, %d of %d attempts failed; %v", gap, failed, len(list), judge(seen))
	if v := judge(seen); v.overlap != 0 {
		t.Errorf("%v, want never two owners", v)
	}
	if !c.has("b", "10.77.0.101") {
		t.Error("the new address is not on the node that can own it")
	}
	c.a.begin()
	c.settle("b")
}
