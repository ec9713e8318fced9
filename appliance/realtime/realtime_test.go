package realtime

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// told is set where the test runs in a process of its own, on as many processors as it was given.
const told = "EVENKEEL_TEST_PRIORITY"

func TestPriorityFitsTheProcessors(t *testing.T) {
	if os.Getenv(told) != "" {
		err := Lock(Heartbeat)
		a, bad := unix.SchedGetAttr(0, 0)
		if bad != nil {
			t.Fatal(bad)
		}
		fmt.Printf("on %d: policy %d, priority %d, nice %d, error %v.\n", runtime.NumCPU(), a.Policy, a.Priority, a.Nice, err)
		return
	}
	few := "on 1: policy 0, priority 0, nice -20, error <nil>."
	some := "policy 2, priority 20, nice 0, error <nil>."
	share := "policy 6, priority 0, nice 0, error <nil>."
	for processors, want := range map[int][]string{1: {few, share}, runtime.NumCPU(): {share, some}} { // other threads may have taken the shares
		t.Run(fmt.Sprint(processors), func(t *testing.T) {
			said := confined(t, processors)
			if strings.Contains(said, "error operation not permitted") || strings.Contains(said, "error permission denied") {
				t.Skip("priorities need CAP_SYS_NICE")
			}
			if !slices.ContainsFunc(want, func(one string) bool { return strings.Contains(said, one) }) {
				t.Errorf("%s\nwant one of %q", said, want)
			}
		})
	}
}

// confined runs this test on so many of the machine's processors, with the usual priority, and returns what it says.
func confined(t *testing.T, processors int) string {
	t.Helper()
	runtime.LockOSThread() // the child inherits from this thread, which ends with the test
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for i := 0; some.Count() < min(processors, all.Count()); i++ {
		if all.IsSet(i) {
			some.Set(i)
		}
	}
	if some.Count() < processors {
		t.Skip("this machine has fewer processors")
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		t.Fatal(err)
	}
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPriorityFitsTheProcessors$")
	cmd.Env = append(os.Environ(), told+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
