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

func TestPairIsBrokenWhileTheSecondaryIsActive(t *testing.T) {
	c := lay(t).pairUp()
	c.a.does("pair", "active", "peer")
	owner, _ := c.calm()
	if owner != c.b {
		t.Fatal("the Secondary is not active")
	}
	w, p := c.watch(labService), c.probe(labService+":80")
	<-p.served
	at := time.Now()
	c.b.does("pair", "break")
	eventually(t, 20*time.Second, "both are alone", func() bool { return !c.a.status().Paired && !c.b.status().Paired })
	pause(t, time.Second)
	gap, _ := outage(p.end(), at)
	if v := judge(w.end()); v.changes != 0 || v.overlap != 0 || !c.has("b", labService) || c.has("a", labService) {
		t.Errorf("%v; the address is on a: %v, on b: %v", v, c.has("a", labService), c.has("b", labService))
	}
	t.Logf("break: %v without an answer", gap)
	c.b.cmd.kill()
	pause(t, 500*time.Millisecond)
	if c.has("a", labService) {
		t.Error("the node that left the pair took the address")
	}
	c.b.begin()
	eventually(t, 20*time.Second, "the node that kept the services serves them alone", func() bool {
		text, err := c.request(labService+":80", "/")
		return err == nil && strings.HasPrefix(text, "HTTP/1.1 200")
	})
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

func TestPairFindsARestoredSnapshot(t *testing.T) {
	c := lay(t).pairUp()
	snapshot := temporary(t)
	c.b.cmd.stop(t)
	must(t, "cp", "-a", c.b.dir+"/.", snapshot)
	c.b.begin()
	c.calm()
	for i := range 3 {
		c.a.does("service", "add", fmt.Sprintf("LATER%d", i), "--address", labService, "--ports", fmt.Sprint(9000+i), "--protocol", "tcp", "--check", "none")
	}
	c.a.does("apply")
	eventually(t, 20*time.Second, "b has what was added", func() bool { return strings.Contains(fmt.Sprint(c.b.labels()), "LATER2") })
	c.b.cmd.kill()
	must(t, "find", c.b.dir, "-mindepth", "1", "-delete")
	must(t, "cp", "-a", snapshot+"/.", c.b.dir)
	w := c.watch(labService)
	c.b.begin()
	owner, _ := c.calm()
	eventually(t, 20*time.Second, "the restored node has what was added since", func() bool { return strings.Contains(fmt.Sprint(c.b.labels()), "LATER2") })
	if v := judge(w.end()); owner != c.a || v.changes != 0 || v.overlap != 0 {
		t.Errorf("%s is active: %v", owner.letter, v)
	}
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

// crowded tries the death of an owner of five hundred addresses more.
func (c *couple) crowded() {
	c.t.Helper()
	f := manyAddresses()
	f.probes = c.spread(500)
	record(c.t, c.trials(f, laboratory(f)))
}
