package story

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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

// keepalived makes a node that says every so many seconds that it is there. Neither takes the address back when it is well again, as ours do not.
func (f *field) keepalived(letter, advert string, priority int) *keepalived {
	f.t.Helper()
	k := &keepalived{f: f, letter: letter, dir: temporary(f.t)}
	text := fmt.Sprintf(`global_defs {
  vrrp_garp_master_refresh 60
  vrrp_version 3
}
vrrp_instance lab {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 77
  priority %d
  advert_int %s
  virtual_ipaddress { %s/24 }
}
`, priority, advert, labService)
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

// signal sends a signal to both of its processes; the one that watches comes first, or it would start the other one again.
func (k *keepalived) signal(s syscall.Signal) {
	for _, name := range []string{"pid", "vrrp"} {
		text, err := os.ReadFile(filepath.Join(k.dir, name))
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
			_ = syscall.Kill(pid, s)
		}
	}
}

// restart is what an operator does with a dead one: its address goes, and it is started again.
func (k *keepalived) restart() {
	<-k.cmd.ended
	for _, name := range []string{"pid", "vrrp"} { // it takes a dead process that nobody has reaped yet for a running one
		_ = os.Remove(filepath.Join(k.dir, name))
	}
	_, _, _ = command(k.f.t, "", "ip", "-n", k.f.node(k.letter), "addr", "del", labService+"/24", "dev", "eth0")
	k.begin()
}

// rivalFault is a fault of keepalived's owner.
type rivalFault struct {
	name         string
	inject, heal func(*keepalived)
	lasts        time.Duration
}

func rivalFaults() []rivalFault {
	return []rivalFault{
		{"kill -9", func(k *keepalived) { k.signal(syscall.SIGKILL) }, (*keepalived).restart, time.Second},
		{"link down", func(k *keepalived) { k.f.port("v-"+k.letter, false) }, func(k *keepalived) { k.f.port("v-"+k.letter, true) }, 0},
		{"isolation", func(k *keepalived) {
			k.f.spoil(fmt.Sprintf("iifname \"v-%[1]s\" drop;\noifname \"v-%[1]s\" drop;", k.letter))
		}, func(k *keepalived) { k.f.heal() }, time.Second},
		{"frozen for 2s", func(k *keepalived) { k.signal(syscall.SIGSTOP) }, func(k *keepalived) { k.signal(syscall.SIGCONT) }, 2 * time.Second},
	}
}

// row is the name of its line in the report.
func (r rivalFault) row(advert string) string {
	return fmt.Sprintf("keepalived, advert %s s: %s", advert, r.name)
}

// rivals measures keepalived with that time between its adverts.
func (f *field) rivals(advert string, list []rivalFault) {
	f.t.Helper()
	pair := map[string]*keepalived{"a": f.keepalived("a", advert, 150), "b": f.keepalived("b", advert, 100)}
	for _, fault := range list {
		row := newRow(fault.row(advert))
		for range laboratory(rivalTrials) {
			row.add(f.rival(pair, fault))
		}
		record(f.t, row)
	}
}

// rivalTrials is how often a fault of keepalived is tried.
var rivalTrials = fault{full: 10}

// rival lives through a fault of keepalived once.
func (f *field) rival(pair map[string]*keepalived, fault rivalFault) (out tally) {
	f.t.Helper()
	for letter, k := range pair {
		select {
		case <-k.cmd.ended:
			f.t.Fatalf("%s: keepalived of node %s does not run: %s", fault.name, letter, k.cmd.stderr)
		default:
		}
	}
	one := func() bool { return f.has("a", labService) != f.has("b", labService) }
	eventually(f.t, 30*time.Second, "one has the address", one)
	owner, other := "a", "b"
	if f.has("b", labService) {
		owner, other = other, owner
	}
	w, p := f.watch(labService), f.probe(labService+":80")
	select {
	case <-p.served:
	case <-time.After(2 * time.Minute): // behind the one before, clients may ask the wrong node until the next refresh, once in 60 s
		f.t.Fatalf("%s: no answer before the fault", fault.name)
	}
	pause(f.t, 50*time.Millisecond)
	at := time.Now()
	fault.inject(pair[owner])
	for end := at.Add(10 * time.Second); !f.has(other, labService) && time.Now().Before(end); {
		pause(f.t, 10*time.Millisecond)
	}
	pause(f.t, fault.lasts-time.Since(at))
	if f.has(owner, labService) && f.has(other, labService) {
		out.bad = []string{"both have the address on their interface"}
	}
	fault.heal(pair[owner])
	eventually(f.t, 30*time.Second, "one has the address again", one)
	pause(f.t, 500*time.Millisecond)
	list := p.end()
	out.verdict = judge(w.end())
	out.gap, out.failed = outage(list, at)
	return out
}

// has tells whether the node has the address.
func (f *field) has(letter, address string) bool {
	code, out, _ := command(f.t, "", "ip", "-n", f.node(letter), "-o", "addr", "show", "to", address)
	return code == 0 && out != ""
}

// TestPairLaboratoryMeasuresKeepalived shows that the laboratory's figures are those that the other product's users know.
func TestPairLaboratoryMeasuresKeepalived(t *testing.T) {
	need(t, "keepalived")
	f := lay(t)
	got := f.rival(map[string]*keepalived{"a": f.keepalived("a", "1", 150), "b": f.keepalived("b", "1", 100)}, rivalFaults()[1])
	t.Logf("link down: outage %v, %d attempts failed; %v", got.gap, got.failed, got.verdict)
	if got.gap < time.Second || got.gap > 10*time.Second {
		t.Errorf("the laboratory says %v; keepalived waits for three adverts of 1 s", got.gap)
	}
}

// pause lets the laboratory's traffic run for a while: what it measures is what happens in that time.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}
