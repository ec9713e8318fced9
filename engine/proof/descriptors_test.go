package proof

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestIdleConnectionsUpToTheDescriptorLimit: who comes when the descriptors are used up waits, operators are told, those who are in are served, and when some leave the
// others come in.
func TestIdleConnectionsUpToTheDescriptorLimit(t *testing.T) {
	const files, comers = 3000, 1800
	server := listening(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "in\n")
		copyBack(c)
	})
	config, address := before(t, appliance.TCP, server)
	s := examine(t, order{Config: config, Loops: 2, Files: files})
	at := s.vitals()
	crowd := &silent{came: make(chan int, comers)}
	t.Cleanup(crowd.leaveAll)
	crowd.come(t, address, comers)
	s.until("operators are told that no descriptor is left", 20*time.Second, func(v vitals) bool { return v.Alerts["descriptor_limit"] != "" })
	full := s.vitals()
	inside := crowd.settled()
	if inside == 0 || inside >= comers || full.Files >= files-100 {
		t.Errorf("%d of %d are in, with %d descriptors of %d", inside, comers, full.Files, files)
	}
	if n := full.Said["accepting paused, no descriptors left"]; n < 1 || n > 2*4 { // loops, and a few times because the last descriptors come and go
		t.Errorf("it was logged %d times", n)
	}
	calm := s.vitals()
	for i := range 50 { // nobody who is in feels it
		if err := echoed(crowd.of(i), fmt.Appendf(nil, "session %d", i)); err != nil {
			t.Error(err)
		}
	}
	crowd.settled()
	busy := s.vitals()
	left := crowd.leave(800)
	recovered := s.until("the others are in and operators are told that it is over", 30*time.Second, func(v vitals) bool {
		return v.Alerts["descriptor_limit"] == "" && crowd.count() == comers
	})
	crowd.leaveAll()
	took := s.until("everything is given back", 30*time.Second, func(v vitals) bool { return v.Files <= at.Files+pooledPipes })
	tell(t, "28 idle TCP connections", fmt.Sprintf("%d clients at a limit of %d descriptors", comers, files),
		fmt.Sprintf("%d are in with %d descriptors, %.1f KiB each; the others wait, %.0f %% of a processor meanwhile; %d leave, and all others are in and the alert is gone behind %.1f s; all returned in %.1f s",
			inside, full.Files, kibibytes(full.Heap, at.Heap, inside), 100*float64(busy.CPU-calm.CPU)/float64(max(time.Millisecond, busy.Status.At.Sub(calm.Status.At))), left, recovered.Seconds(), took.Seconds()))
}

// silent are sessions that say nothing.
type silent struct {
	list []net.Conn
	came chan int // who was let in
	in   []int
}

func (k *silent) come(t *testing.T, address string, n int) {
	t.Helper()
	for i := range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		k.list = append(k.list, c)
		go func() {
			if line, err := bufio.NewReaderSize(c, 16).ReadString('\n'); err == nil && line == "in\n" {
				k.came <- i
			}
		}()
	}
}

// count returns how many were let in since the beginning.
func (k *silent) count() int {
	for {
		select {
		case i := <-k.came:
			k.in = append(k.in, i)
		default:
			return len(k.in)
		}
	}
}

// settled waits until nobody more comes in.
func (k *silent) settled() int {
	look := time.NewTicker(300 * time.Millisecond)
	defer look.Stop()
	for {
		was := k.count()
		<-look.C
		if was > 0 && k.count() == was {
			return was
		}
	}
}

// of returns the i-th of those who are in.
func (k *silent) of(i int) net.Conn { return k.list[k.in[i]] }

// leave has the last n of those who are in leave.
func (k *silent) leave(n int) int {
	for _, i := range k.in[len(k.in)-min(n, len(k.in)):] {
		k.list[i].Close()
	}
	return min(n, len(k.in))
}

func (k *silent) leaveAll() {
	for _, c := range k.list {
		c.Close()
	}
}
