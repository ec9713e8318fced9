package replica

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// ownNetwork marks the process that runs in a network namespace of its own.
const ownNetwork = "EVENKEEL_TEST_OWN_NETWORK"

// alone runs the test again as a process of its own in a network namespace of its own; false: it did, or may not.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownNetwork) != "" {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return true
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), ownNetwork+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if _, err := exec.LookPath("nft"); os.Geteuid() != 0 || err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("network namespaces need root, and cuts need nft")
		}
		t.Skip("network namespaces need root, and cuts need nft")
	}
	out, err := command.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
		return false
	}
	t.Logf("%s", out)
	return false
}

// filter gives the network rules that drop packets of a port, in the ways that are named; none: it is whole.
func filter(t *testing.T, port uint16, ways ...string) {
	t.Helper()
	rules := "table inet cut\ndelete table inet cut\n"
	if len(ways) > 0 {
		rules += "table inet cut {\nchain in {\ntype filter hook input priority 0\n"
		for _, way := range ways {
			rules += fmt.Sprintf("tcp %s %d drop\n", way, port)
		}
		rules += "\n}\n}\n"
	}
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}

// TestSettingsAreThereWithinASecondOfTheNetworksReturn edits while everything between the nodes is dropped in silence, in both directions or one, for times between a moment and
// several seconds: the other node has the last edit soon after the packets pass again, whatever was under way.
func TestSettingsAreThereWithinASecondOfTheNetworksReturn(t *testing.T) {
	if !alone(t) {
		return
	}
	const seed = 12
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	a, b := pairOf(t, racing((&net.Dialer{Control: impatient}).DialContext), func(s *Sender) { s.first, s.most = firstPause, mostPause })
	edit := func(i int) {
		a.commit(func(c *appliance.Config) error {
			c.Cluster.VirtualServices = []appliance.VirtualService{service("S", uint16(1000+i))}
			c.Cluster.Settings.FallbackPage = strings.Repeat(fmt.Sprintf("<p>%d %d</p>", i, random.Uint64()), 1+random.IntN(1500))
			return nil
		})
		a.apply()
	}
	edit(0)
	wantEqual(t, a, b)
	ways := [][]string{{"dport", "sport"}, {"dport"}, {"sport"}}
	var worst, all, usual time.Duration
	const cuts = 14
	for i := range cuts {
		lasts := []time.Duration{50, 200, 450, 700, 1000, 1700, 2300}[i%7] * time.Millisecond
		edited := time.Now()
		edit(3*i + 1)
		wantEqual(t, a, b)
		usual = max(usual, time.Since(edited))
		edit(3*i + 2) // is under way when the cut comes, or not
		<-time.After(time.Duration(random.IntN(60)) * time.Millisecond)
		filter(t, b.at.Port(), ways[i%3]...)
		edit(3*i + 3)
		<-time.After(lasts) // that is how long the cut is
		filter(t, b.at.Port())
		healed := time.Now()
		until(t, func() bool { return a.state().Same(b.state()) })
		took := time.Since(healed)
		t.Logf("cut for %v, %v: equal %v behind it", lasts, ways[i%3], took)
		worst, all = max(worst, took), all+took
	}
	t.Logf("equal at most %v behind the network's return, %v in the mean; without a cut at most %v behind an edit", worst, all/cuts, usual)
	if worst > 3*time.Second+usual { // what an edit takes without a cut is the machine's, and a busy one gets more than the second
		t.Errorf("it took %v", worst)
	}
}
