package story

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// kept is what a node has saved, and whether all of it runs there.
type kept struct {
	cluster string // as JSON
	runs    bool
}

func (c *client) kept(t *testing.T) kept {
	t.Helper()
	var whole struct {
		Cluster json.RawMessage `json:"cluster"`
	}
	c.must(t, 200, "GET", "configuration", "").into(t, &whole)
	var plan struct {
		Changes []json.RawMessage `json:"changes"`
	}
	c.must(t, 200, "GET", "pending", "").into(t, &plan)
	var compact bytes.Buffer
	if err := json.Compact(&compact, whole.Cluster); err != nil {
		t.Fatal(err)
	}
	return kept{compact.String(), len(plan.Changes) == 0}
}

// randomEdit changes something on a node, and applies it.
func (c *couple) randomEdit(r *rand.Rand, i int) {
	c.t.Helper()
	id := c.a.rest().services(c.t)["WEB"].ID
	switch r.IntN(4) {
	case 0:
		c.edit("PATCH", "virtual-services/"+id+"?apply=true", fmt.Sprintf(`{"limits":{"max_connections":%d}}`, 1000+i))
	case 1:
		var servers []string
		for n := range 1 + r.IntN(30) {
			servers = append(servers, fmt.Sprintf(`{"label":"S%d","address":%q,"port":%d,"weight":%d}`, n, labGateway, 8081+n, 1+r.IntN(100)))
		}
		c.edit("PATCH", "virtual-services/"+id+"?apply=true", `{"real_servers":[`+strings.Join(servers, ",")+`]}`)
	case 2: // large, so that it is cut in the middle
		page := strings.Repeat(fmt.Sprintf("<p>%d %d</p>", i, r.Uint64()), 1+r.IntN(1500))
		c.edit("PUT", "settings?apply=true", written(c.t, appliance.Settings{FallbackPage: page}))
	case 3:
		c.edit("PATCH", "virtual-services/"+id+"?apply=true", fmt.Sprintf(`{"persistence":{"timeout":"%dm"}}`, 1+r.IntN(100)))
	}
}

// edit changes something on a. While the machine stands still nobody may be active, or b: an operator waits then, or has a be active again.
func (c *couple) edit(method, path, body string) {
	c.t.Helper()
	for tries := 5; ; tries-- {
		answer := c.a.rest().do(c.t, method, path, body, "If-Match", "*")
		if answer.status == 200 {
			return
		}
		if answer.status != 409 || tries == 0 || !c.slipped() {
			c.t.Fatalf("%s %s: %d %s", method, path, answer.status, answer.body)
		}
		if pause(c.t, time.Second); c.b.status().Self.State == appliance.Active {
			_, _, _ = c.b.lb("", "pair", "active", "peer") // or the next try says why not
		}
	}
}

// TestPairSettingsAreWholeThroughCuts edits at speed while the network between the nodes is cut now and then, and while the passive node dies now and then: whenever it
// is asked it has a revision that was made, and behind the last it runs the same.
func TestPairSettingsAreWholeThroughCuts(t *testing.T) {
	const seed = 20261121
	edits := 100
	if wholeLaboratory() {
		edits = 1000
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	c := lay(t).pairUp()
	a, b := c.a.rest(), c.b.rest()
	made := map[string]bool{a.kept(t).cluster: true}
	cut, behind := false, time.Duration(0)
	seen := map[string]bool{}
	for i := range edits {
		switch r.IntN(12) {
		case 0:
			c.spoil("tcp dport 22 drop", "tcp sport 22 drop")
			cut = true
		case 1:
			c.port("v-b", false)
			cut = true
		case 2:
			c.b.cmd.kill()
			c.b.begin()
		case 3, 4, 5, 6:
			if cut {
				c.heal()
				c.port("v-b", true)
				if cut = false; r.IntN(3) == 0 {
					want, healed := a.kept(t), time.Now()
					eventually(t, 30*time.Second, "the passive node catches up", func() bool { return b.kept(t) == want })
					behind = max(behind, time.Since(healed))
				}
			}
		}
		c.randomEdit(r, i)
		made[a.kept(t).cluster] = true
		now := b.kept(t).cluster
		if seen[now] = true; !made[now] {
			t.Fatalf("edit %d: the passive node has what nobody made: %.300s", i, now)
		}
	}
	c.heal()
	c.port("v-b", true)
	begin := time.Now()
	want := a.kept(t)
	eventually(t, 30*time.Second, "the passive node has, and runs, what the active one does", func() bool {
		s, o := c.a.status(), c.b.status()
		return b.kept(t) == want && s.Settings.InSync && o.Settings.InSync && s.Self.Hash == o.Self.Hash && s.Self.Revision == o.Self.Revision
	})
	t.Logf("%d edits; the passive node was seen at %d of them; equal at most %v behind the network's return, and %v behind the last", edits, len(seen), behind, time.Since(begin))
	var longest time.Duration
	for i := range 10 {
		c.randomEdit(r, edits+i)
		begin, want := time.Now(), a.kept(t)
		eventually(t, 30*time.Second, "an edit is there", func() bool { return b.kept(t) == want })
		longest = max(longest, time.Since(begin))
	}
	t.Logf("10 more, without cuts: saved and running on the passive node at most %v behind the answer to the edit", longest)
}
