package story

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// segment makes two hosts on one Ethernet segment: the appliance's (eth0 192.168.0.10) and a client's (eth0 192.168.0.20). It returns how to run a command on each.
func segment(t *testing.T) (onAppliance, onClient func(args ...string) []string) {
	t.Helper()
	needRoot(t)
	need(t, "ip")
	lb, client := fmt.Sprintf("ek-lb-%d", os.Getpid()), fmt.Sprintf("ek-cl-%d", os.Getpid())
	for _, name := range []string{lb, client} {
		must(t, "ip", "netns", "add", name)
		t.Cleanup(func() { must(t, "ip", "netns", "del", name) })
		must(t, "ip", "-n", name, "link", "set", "lo", "up")
	}
	must(t, "ip", "link", "add", "eth0", "netns", lb, "type", "veth", "peer", "name", "eth0", "netns", client)
	must(t, "ip", "-n", lb, "addr", "add", "192.168.0.10/24", "dev", "eth0")
	must(t, "ip", "-n", client, "addr", "add", "192.168.0.20/24", "dev", "eth0")
	must(t, "ip", "-n", lb, "link", "set", "eth0", "up")
	must(t, "ip", "-n", client, "link", "set", "eth0", "up")
	on := func(name string) func(args ...string) []string {
		return func(args ...string) []string { return append([]string{"ip", "netns", "exec", name}, args...) }
	}
	return on(lb), on(client)
}

func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	code, out, said := command(t, "", name, args...)
	if code != 0 {
		t.Fatalf("%s %s ended with %d: %s", name, strings.Join(args, " "), code, said)
	}
	return out
}

func TestNamespaceServiceAddressComesAndGoesWithItsService(t *testing.T) {
	need(t, "curl")
	lb, client := segment(t)
	dir := t.TempDir()
	if code, _, said := run(t, "correct horse battery\n", "setup", "--data", dir, "--password-stdin"); code != 0 {
		t.Fatal(said)
	}
	real := startWith(t, client(binary, "sample", "http", "--listen", "192.168.0.20:8081")...)
	appliance := startWith(t, lb(binary, "serve", "--data", dir, "--webui", "192.168.0.10:9443")...)
	lbctl := func(args ...string) (int, string, string) {
		return run(t, "", append([]string{"lb"}, append(args, "--data", dir)...)...)
	}
	eventually(t, 20*time.Second, "the appliance serves", func() bool {
		_, err := os.Stat(filepath.Join(dir, "control.sock"))
		return err == nil
	})
	if code, _, said := lbctl("service", "add", "WEB", "--address", "192.168.7.188", "--ports", "80", "--protocol", "http"); code != 1 || !strings.Contains(said, "192.168.0.10/24") {
		t.Errorf("an address in no network of ours: %d %s", code, said)
	}
	if code, _, said := lbctl("service", "add", "WEB", "--address", "192.168.0.20", "--ports", "80", "--protocol", "http"); code == 0 {
		if code, _, said = lbctl("apply"); code != 1 {
			t.Errorf("an address that another machine has: %d %s", code, said)
		}
		lbctl("service", "delete", "WEB")
	} else if !strings.Contains(said, "192.168.0.20") {
		t.Errorf("an address that another machine has: %s", said)
	}
	for _, args := range [][]string{
		{"service", "add", "WEB", "--address", "192.168.0.188", "--ports", "80", "--protocol", "http"},
		{"server", "add", "WEB", "IIS1", "--address", "192.168.0.20", "--port", "8081"},
		{"apply"},
	} {
		if code, _, said := lbctl(args...); code != 0 {
			t.Fatalf("lb %s ended with %d: %s", strings.Join(args, " "), code, said)
		}
	}
	if shown := must(t, "ip", lb("ip", "-br", "addr", "show", "dev", "eth0")[1:]...); !strings.Contains(shown, "192.168.0.188/32") {
		t.Errorf("192.168.0.188 is not on eth0: %s", shown)
	}
	eventually(t, 10*time.Second, "the client gets an answer through 192.168.0.188", func() bool {
		code, body, _ := command(t, "", "ip", client("curl", "-sS", "-m", "2", "http://192.168.0.188/")[1:]...)
		return code == 0 && body != ""
	})
	for _, args := range [][]string{{"service", "delete", "WEB"}, {"apply"}} {
		if code, _, said := lbctl(args...); code != 0 {
			t.Fatalf("lb %s ended with %d: %s", strings.Join(args, " "), code, said)
		}
	}
	if shown := must(t, "ip", lb("ip", "-br", "addr", "show", "dev", "eth0")[1:]...); strings.Contains(shown, "192.168.0.188") || !strings.Contains(shown, "192.168.0.10/24") {
		t.Errorf("after the service is gone eth0 has: %s", shown)
	}
	_, _ = real, appliance
}

func TestFullDiskIsASentenceAndTrafficGoesOn(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, "mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", dir)
	t.Cleanup(func() { must(t, "umount", "-l", dir) })
	p, c := served(t, dir)
	t.Cleanup(p.kill)
	c.must(t, 200, "PUT", "settings", `{"allow_loopback":true,"apply_at_once":true}`, "If-Match", "*")
	address := freeAddress(t)
	server := freeAddress(t)
	sample(t, "http", server, "")
	host, number, _ := strings.Cut(address, ":")
	_, serverPort, _ := strings.Cut(server, ":")
	var s struct {
		ID string `json:"id"`
	}
	c.must(t, 201, "POST", "virtual-services", `{"label":"Web","address":"`+host+`","ports":"`+number+`","protocol":"http","real_servers":[{"label":"a","address":"127.0.0.1","port":`+serverPort+`}]}`).into(t, &s)
	fill(t, filepath.Join(dir, "ballast"))
	var refused answer
	for i := range 200 {
		refused = c.do(t, "PATCH", "virtual-services/"+s.ID, fmt.Sprintf(`{"limits":{"max_connections":%d}}`, 1000+i), "If-Match", "*")
		if refused.status != 200 {
			break
		}
	}
	if refused.status != 503 || !strings.Contains(string(refused.body), "full") {
		t.Errorf("a commit on a full disk: %d %s", refused.status, refused.body)
	}
	before := c.services(t)["Web"].Limits.MaxConnections
	if code, body, said := command(t, "", "curl", "-sS", "http://"+address+"/"); code != 0 || body == "" {
		t.Errorf("traffic stopped: %s", said)
	}
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "commits work again", func() bool {
		a, err := c.try("PATCH", "virtual-services/"+s.ID, fmt.Sprintf(`{"limits":{"max_connections":%d}}`, before+1), "If-Match", "*")
		return err == nil && a.status == 200
	})
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size >= 512; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

func TestDamagedDatabaseComesBackFromItsSnapshotLoudly(t *testing.T) {
	dir := t.TempDir()
	p, c := served(t, dir)
	c.must(t, 201, "POST", "virtual-services", `{"label":"Kept","address":"127.0.0.1","ports":"`+port(t)+`","protocol":"tcp"}`)
	p.stop(t)
	file := filepath.Join(dir, "evenkeel.db")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += 7 {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(file + "-wal")
	_ = os.Remove(file + "-shm")
	_, c = served(t, dir)
	if _, kept := c.services(t)["Kept"]; !kept {
		t.Error("the service did not come back from the snapshot")
	}
	if a := c.must(t, 200, "GET", "alerts", ""); !strings.Contains(string(a.body), "store_restored") {
		t.Errorf("no alert tells it: %s", a.body)
	}
}
