package proof

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/engine/wire/wiretest"
)

var update = flag.Bool("update", false, "write ACCEPTED.md anew")

// TestNothingOfABrokenRequestIsForwarded sends every broken request to the engine and to HAProxy. The table in ACCEPTED.md is what was seen; what it says of the
// engine must be so today.
func TestNothingOfABrokenRequestIsForwarded(t *testing.T) {
	r := record(t)
	haproxy, version := haproxy(t, r.address)
	us := ours(t, r.address)
	var table strings.Builder
	fmt.Fprintf(&table, "# Broken requests\n\nWhat became of each: the status that the client got, and whether anything was forwarded to a server. HAProxy %s, in its default configuration.\n\n| request | Evenkeel | HAProxy |\n|---|---|---|\n", version)
	accepted := [2]int{}
	for _, in := range refused() {
		var cells [2]string
		for i, address := range []string{us, haproxy} {
			status := exchange(t, address, in.sent)
			_, raw := r.take()
			cells[i] = status
			if len(raw) > 0 {
				accepted[i]++
				cells[i] += ", **forwarded**"
			}
		}
		if strings.Contains(cells[0], "forwarded") || !strings.HasPrefix(cells[0], "4") && !strings.HasPrefix(cells[0], "5") {
			t.Errorf("%s: %s", in.name, cells[0])
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", in.name, cells[0], cells[1])
	}
	fmt.Fprintf(&table, "\nOf %d, Evenkeel forwards %d and HAProxy %d.\n", len(refused()), accepted[0], accepted[1])
	if *update {
		if err := os.WriteFile("ACCEPTED.md", []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known, err := os.ReadFile("ACCEPTED.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.SplitAfter(table.String(), "\n") {
		if cells := strings.SplitN(line, " | ", 3); len(cells) == 3 && !bytes.Contains(known, []byte(cells[0]+" | "+cells[1]+" | ")) {
			t.Errorf("ACCEPTED.md is not what is seen today: %s", line)
		}
	}
}

// exchange sends everything at once and returns the status of the first answer, or how the connection ended without one. The client sends FIN behind it, so that
// a proxy that waits for more gives up.
func exchange(t *testing.T, address, sent string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte(sent))
	_ = c.(*net.TCPConn).CloseWrite()
	answer := make([]byte, 64)
	n, _ := c.Read(answer)
	for n < 12 && n > 0 {
		more, err := c.Read(answer[n:])
		if n += more; err != nil {
			break
		}
	}
	if n < 12 {
		return "closed"
	}
	return string(answer[9:12])
}

var numbered = regexp.MustCompile(`version ([0-9]+\.[0-9]+\.[0-9]+)`)

func haproxy(t *testing.T, server netip.AddrPort) (address, version string) {
	t.Helper()
	path := program(t, "haproxy")
	port := strconv.Itoa(int(wiretest.Port(t, 1)))
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	config := "global\n maxconn 100\ndefaults\n mode http\n timeout connect 4s\n timeout client 10s\n timeout server 10s\n option forwardfor\nlisten proof\n bind 127.0.0.1:" + port + "\n server s " + server.String() + "\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-v").Output()
	if err != nil {
		t.Fatal(err)
	}
	m := numbered.FindSubmatch(out)
	if m == nil {
		t.Fatalf("no version in %s", out)
	}
	address = "127.0.0.1:" + port
	run(t, address, path, "-db", "-f", file)
	return address, string(m[1])
}
