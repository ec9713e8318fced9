package story

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// keepalived is a node of the pair that is measured beside ours: keepalived with its address, and a web server that is there on both nodes.
type keepalived struct {
	f      *field
	letter string
	dir    string
	cmd    *process
}

// advert is how often the other product's active node says that it is there: its users' usual 1 s, or the fastest that it takes.
const advert = "1"

func (f *field) keepalived(letter, state string, priority int) *keepalived {
	f.t.Helper()
	k := &keepalived{f: f, letter: letter, dir: temporary(f.t)}
	text := fmt.Sprintf(`global_defs { vrrp_garp_master_refresh 60 }
vrrp_instance lab {
  state %s
  interface eth0
  virtual_router_id 77
  priority %d
  advert_int %s
  virtual_ipaddress { %s/24 }
}
`, state, priority, advert, labService)
	if err := os.WriteFile(filepath.Join(k.dir, "keepalived.conf"), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	startWith(f.t, f.on(f.node(letter), binary, "sample", "http", "--listen", "0.0.0.0:80")...)
	k.begin()
	return k
}

func (k *keepalived) begin() {
	k.cmd = startWith(k.f.t, k.f.on(k.f.node(k.letter), "keepalived", "--dont-fork", "--use-file", filepath.Join(k.dir, "keepalived.conf"),
		"--pid", filepath.Join(k.dir, "pid"), "--vrrp_pid", filepath.Join(k.dir, "vrrp"), "--checkers_pid", filepath.Join(k.dir, "checkers"), "--log-console", "--no-syslog")...)
}

// has tells whether the node has the address.
func (f *field) has(letter, address string) bool {
	code, out, _ := command(f.t, "", "ip", "-n", f.node(letter), "-o", "addr", "show", "to", address)
	return code == 0 && out != ""
}

func TestPairLaboratoryMeasuresKeepalived(t *testing.T) {
	need(t, "keepalived")
	f := lay(t)
	a := f.keepalived("a", "MASTER", 150)
	f.keepalived("b", "BACKUP", 100)
	eventually(t, 20*time.Second, "a has the address", func() bool { return f.has("a", labService) && !f.has("b", labService) })
	p, w := f.probe(labService+":80"), f.watch(labService)
	pause(t, 500*time.Millisecond)
	fault := time.Now()
	f.port("v-a", false)
	eventually(t, 20*time.Second, "b has the address", func() bool { return f.has("b", labService) })
	pause(t, 2*time.Second)
	list, seen := p.end(), w.end()
	gap, failed := outage(list, fault)
	t.Logf("link down: outage %v, %d of %d attempts failed; %v", gap, failed, len(list), judge(seen))
	if gap < time.Second || gap > 10*time.Second {
		t.Errorf("the laboratory says %v; keepalived waits for three adverts of %s s", gap, advert)
	}
	_ = a
}

// pause lets the laboratory's traffic run for a while: what it measures is what happens in that time.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}
