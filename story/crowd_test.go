package story

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestAtTheDescriptorLimitThePagesStillAnswer: more clients than descriptors pause accepting; the WebUI, the command line and those who are in go on.
func TestAtTheDescriptorLimitThePagesStillAnswer(t *testing.T) {
	need(t, "prlimit")
	dir := t.TempDir()
	p, c := served(t, dir)
	c.must(t, 200, "PUT", "settings", `{"allow_loopback":true,"apply_at_once":true}`, "If-Match", "*")
	server := freeAddress(t)
	sample(t, "hl7", server, "")
	_, serverPort, _ := net.SplitHostPort(server)
	service := port(t)
	c.must(t, 201, "POST", "virtual-services", `{"label":"Crowd","address":"127.0.0.1","ports":"`+service+`","protocol":"tcp","check":"none","real_servers":[{"label":"a","address":"127.0.0.1","port":`+serverPort+`}]}`)
	p.stop(t)
	web := freeAddress(t)
	limited := startWith(t, "prlimit", "--nofile=400:400", binary, "serve", "--data", dir, "--webui", web, "--fallback", freeAddress(t))
	c.base = "https://" + web + "/lbadmin/api/v1/"
	eventually(t, 20*time.Second, "the appliance serves", func() bool {
		a, err := c.try("GET", "status", "")
		return err == nil && a.status == 200
	})
	for range 500 { // most of them stay in the kernel's queue
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+service, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	eventually(t, 20*time.Second, "accepting is paused and said", func() bool { return strings.Contains(limited.stderr.String(), "accepting paused") })
	c.http.CloseIdleConnections()
	c.must(t, 200, "GET", "status", "")
	if code, out, said := run(t, "", "lb", "status", "--data", dir); code != 0 || !strings.Contains(out, "Crowd") {
		t.Errorf("the command line: %d %s %s", code, out, said)
	}
}
