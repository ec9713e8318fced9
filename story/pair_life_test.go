package story

import (
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestPairIsBrokenAndTheActiveNodeGoesOnServing(t *testing.T) {
	c := lay(t).pairUp()
	p, w := c.probeFor(labService+":80", time.Millisecond, unheard), c.watch(labService)
	pause(t, 500*time.Millisecond)
	stood, t0 := c.slipped(), time.Now()
	c.a.does("pair", "break")
	eventually(t, 10*time.Second, "both are alone", func() bool { return !c.a.status().Paired && !c.b.status().Paired })
	pause(t, unheard+time.Second)
	list, seen := p.end(), w.end()
	gap, failed := outage(list, t0)
	t.Logf("break: outage %v, %d of %d attempts failed; %v", gap, failed, len(list), judge(seen))
	if v := judge(seen); v.changes != 0 || v.overlap != 0 || failed > 0 && !stood {
		t.Errorf("%v, and %d attempts failed, want none", v, failed)
	}
	if !c.has("a", labService) || c.has("b", labService) {
		t.Error("the address is not where the service is")
	}
	if out := c.b.does("services"); strings.Contains(out, "WEB") {
		t.Errorf("the node that left still has the service:\n%s", out)
	}
	if list[len(list)-1].good != true {
		t.Error("the service does not answer after the pair was broken")
	}
	c.b.cmd.stop(t)
	c.b.begin()
	if s := c.b.status(); s.Paired || s.Self.State != appliance.Alone {
		t.Errorf("after a restart: %+v", s.Self)
	}
}

func TestPairGoesOnWhenANewProgramTakesOver(t *testing.T) {
	c := lay(t).pairUp()
	p, w := c.probe(labService+":80"), c.watch(labService)
	pause(t, 500*time.Millisecond)
	t0 := time.Now()
	heir := startWith(t, c.on(c.field.a, binary, "serve", "--data", c.a.dir, "--webui", labA+":9443", "--ssh", labA+":22", "--takeover")...)
	eventually(t, 20*time.Second, "the new program serves", func() bool { return strings.Contains(heir.stderr.String(), "taken over") })
	eventually(t, 20*time.Second, "a node is active", func() bool {
		return c.a.status().Self.State == appliance.Active || c.b.status().Self.State == appliance.Active
	})
	active := "b"
	if c.a.status().Self.State == appliance.Active {
		active = "a"
	}
	c.settle(active)
	pause(t, time.Second)
	list, seen := p.end(), w.end()
	gap, failed := outage(list, t0)
	t.Logf("takeover: outage %v, %d of %d attempts failed; %v", gap, failed, len(list), judge(seen))
	if v := judge(seen); v.overlap != 0 {
		t.Errorf("%v, want never two owners", v)
	}
	c.b.does("pair", "active", map[string]string{"a": "self", "b": "peer"}[active])
	c.settle(map[string]string{"a": "b", "b": "a"}[active])
	p = c.probe(labService + ":80")
	pause(t, time.Second)
	if list = p.end(); !list[len(list)-1].good {
		t.Error("the service does not answer after the next switch")
	}
}
