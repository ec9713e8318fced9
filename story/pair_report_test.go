package story

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// report writes story/HA.md.
func report(t *testing.T, rows []faultRow) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `# The pair in the laboratory

Written by `+"`task test:ha`"+` on %s: kernel %s, %d processors, keepalived %s.
Client, switch, gateway and both nodes are network namespaces of one machine. The client makes a connection of its own, and a request, a thousand times a second; the outage is the
longest time between two that were answered. "Changes" and "two owners" are read from the frames that left the nodes; "neighbours" is for how long after a change frames of the client still
went to the former owner. Each figure is the worst of all trials but p50 and p99.
For keepalived a defect is that both nodes had the address on their interface before the fault was healed; its web server is a program of its own, which goes on when keepalived dies.
A trial during which the machine itself stood still for more than %v, as seen by a thread of higher priority than the nodes' heartbeats, is not counted (but looked at for two owners).

| fault | trials | p50 ms | p99 ms | worst ms | changes | two owners ms | neighbours ms | refused | trials with a defect | trials not counted |
|---|---|---|---|---|---|---|---|---|---|---|
`, time.Now().UTC().Format(time.DateOnly), kernel(), processors(), version(t, "keepalived", "--version"), stoodStill)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %d | %s | %s | %d | %d | %d |\n", r.fault, len(r.gaps), ms(r.at(50)), ms(r.at(99)), ms(r.at(100)), r.changes, ms(r.overlap), ms(r.wrong), r.refused, r.bad, r.still)
	}
	if err := os.WriteFile("HA.md", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func kernel() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

func processors() int {
	var set unix.CPUSet
	_ = unix.SchedGetaffinity(0, &set)
	return set.Count()
}

// version is what a program says of itself, its first line.
func version(t *testing.T, program, flag string) string {
	t.Helper()
	_, out, said := command(t, "", program, flag)
	first, _, _ := strings.Cut(strings.TrimSpace(out+said), "\n")
	return strings.TrimPrefix(first, "Keepalived ")
}
