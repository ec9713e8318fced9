package story

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// breaking is Break while the Secondary is active: it keeps the services, and nobody notices.
func breaking() fault { return fault{name: "Break while the Secondary is active", full: 20, short: 1} }

func TestPairIsBrokenWhileTheSecondaryIsActive(t *testing.T) {
	f := breaking()
	if !chosen(f.name) {
		t.Skip("not chosen")
	}
	row := newRow(f.name)
	for range laboratory(f) {
		t.Run("trial", func(t *testing.T) { row.add(lay(t).pairUp().parts()) })
	}
	record(t, row)
}

// parts breaks a pair.
func (c *couple) parts() (out tally) {
	c.a.does("pair", "active", "peer")
	owner, _ := c.calm()
	if owner != c.b {
		c.t.Fatal("the Secondary is not active")
	}
	w, p := c.watch(labService), c.probe(labService+":80")
	<-p.served
	at := time.Now()
	c.b.does("pair", "break")
	eventually(c.t, 20*time.Second, "both are alone", func() bool { return !c.a.status().Paired && !c.b.status().Paired })
	pause(c.t, time.Second)
	out.gap, out.failed = outage(p.end(), at)
	if out.verdict = judge(w.end()); out.changes != 0 || out.overlap != 0 || !c.has("b", labService) || c.has("a", labService) {
		c.t.Errorf("%v; the address is on a: %v, on b: %v", out.verdict, c.has("a", labService), c.has("b", labService))
	}
	c.b.cmd.kill()
	pause(c.t, 500*time.Millisecond)
	if c.has("a", labService) {
		c.t.Error("the node that left the pair took the address")
	}
	c.b.begin()
	eventually(c.t, 20*time.Second, "the node that kept the services serves them alone", func() bool {
		text, err := c.request(labService+":80", "/")
		return err == nil && strings.HasPrefix(text, "HTTP/1.1 200")
	})
	return out
}

// labels are those of the services that a node has saved.
func (n *node) labels() (list []string) {
	var services []appliance.VirtualService
	_, body := n.api(http.MethodGet, "virtual-services", "")
	_ = json.Unmarshal(body, &services)
	for i := range services {
		list = append(list, services[i].Label)
	}
	return list
}

// snapshots are what happens when a node's disk is put back as it was some time ago. The last service that was added since is known to both before.
func snapshots(album map[*node]string) []fault {
	added := 0
	add := func(r *round) {
		added++
		label := fmt.Sprintf("LATER%d", added)
		r.keep["label"] = label
		r.owner.does("service", "add", label, "--address", labService, "--ports", fmt.Sprint(9000+added), "--protocol", "tcp", "--check", "none")
		r.owner.does("apply")
		eventually(r.t, 20*time.Second, "both nodes have what was added", func() bool { return slices.Contains(r.other.labels(), label) })
	}
	knows := func(restored func(*round) *node) func(*round, tally) []string {
		return func(r *round, _ tally) (bad []string) {
			if !slices.Contains(restored(r).labels(), r.keep["label"].(string)) {
				bad = append(bad, "the restored node does not have what was added since")
			}
			return bad
		}
	}
	owner, other := func(r *round) *node { return r.owner }, func(r *round) *node { return r.other }
	return []fault{
		{
			name: "an old snapshot of the passive node is restored", moves: stays, full: 20, short: 1, check: knows(other),
			inject: func(r *round) {
				add(r)
				r.other.cmd.kill()
				r.other.restore(album)
			},
		},
		{
			name: "kill -9, and back from an old snapshot", moves: moves, full: 20, short: 1, check: knows(owner),
			inject: func(r *round) {
				add(r)
				r.owner.cmd.kill()
			},
			heal: func(r *round) { r.owner.restore(album) },
		},
	}
}

// album has a copy of each node's disk.
func (c *couple) album() map[*node]string {
	list := map[*node]string{}
	for _, n := range []*node{c.a, c.b} {
		list[n] = temporary(c.t)
		n.cmd.stop(c.t)
		must(c.t, "cp", "-a", n.dir+"/.", list[n])
		n.begin()
		c.calm()
	}
	return list
}

// restore starts a dead node with the disk that it had.
func (n *node) restore(album map[*node]string) {
	must(n.f.t, "find", n.dir, "-mindepth", "1", "-not", "-name", "lost+found", "-delete")
	must(n.f.t, "cp", "-a", album[n]+"/.", n.dir)
	n.begin()
}

// spread adds so many services, each on an address of its own, in one revision, and returns the last address.
func (c *couple) spread(count int) (last string) {
	c.t.Helper()
	var config map[string]any
	file := filepath.Join(temporary(c.t), "config.json")
	c.a.does("export", file)
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	cluster := config["cluster"].(map[string]any)
	list := cluster["virtual_services"].([]any)
	web := slices.IndexFunc(list, func(s any) bool { return s.(map[string]any)["label"] == "WEB" })
	model, err := json.Marshal(list[web])
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range count {
		var one map[string]any
		_ = json.Unmarshal(model, &one)
		last = fmt.Sprintf("10.77.%d.%d", 1+i/250, 1+i%250)
		one["address"], one["label"], one["id"] = last, fmt.Sprintf("CROWD%d", i), fmt.Sprintf("%016x", 0xc0de0000+i)
		for j, s := range one["real_servers"].([]any) {
			s.(map[string]any)["id"] = fmt.Sprintf("%016x", 0xbeef0000+i*8+j)
		}
		list = append(list, one)
	}
	cluster["virtual_services"] = list
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.a.does("import", file)
	c.a.does("apply")
	return last
}

// crowded tries faults on a pair with five hundred addresses more.
func (c *couple) crowded(list []fault) {
	c.t.Helper()
	last := c.spread(500)
	for i := range list {
		list[i].probes = last
	}
	c.all(list)
}
