package bench

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWatchSeesAProcessorThatStandsStill: here it is taken from the watch by a thread that goes before even that.
func TestWatchSeesAProcessorThatStandsStill(t *testing.T) {
	w := watchProcessors()
	stood := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		err := errors.Join(pin(0), unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 2}, 0))
		for end := time.Now().Add(5 * time.Millisecond); err == nil && time.Now().Before(end); {
		}
		stood <- err
	}()
	stopped := <-stood
	calm, err := w.stop()
	switch err := errors.Join(stopped, err); {
	case errors.Is(err, unix.EPERM) && os.Getenv("EVENKEEL_TEST_REQUIRE") != "all":
		t.Skip("this needs the right to set a real-time priority")
	case err != nil:
		t.Fatal(err)
	case calm:
		t.Error("calm, though a processor stood still for 5 ms")
	}
}
