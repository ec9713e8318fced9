package traffic

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestRingKeepsOrderAroundItsEnd(t *testing.T) {
	r := newRing()
	var want, got bytes.Buffer
	for i := range 3000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%997))
		if _, ok := r.put([]byte(line)); !ok {
			t.Fatalf("line %d found no room", i)
		}
		want.WriteString(line)
		if i%700 == 0 {
			got.Write(r.take(nil))
		}
	}
	if got.Write(r.take(nil)); !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes came out of %d, or others", got.Len(), want.Len())
	}
	if r.head.Load() < ringSize {
		t.Error("the ring never went round")
	}
}

// TestRingWakesWheneverTheWriterMayHaveSeenNothing: a line that is put behind the writer's last look must tell that nothing waited.
func TestRingWakesWheneverTheWriterMayHaveSeenNothing(t *testing.T) {
	r, done, woken := newRing(), make(chan int), make(chan struct{}, 1)
	const lines = 200_000
	go func() {
		taken := 0
		for taken < lines {
			<-woken
			taken += countLines(r.take(nil))
		}
		done <- taken
	}()
	for sent := 0; sent < lines; {
		before, ok := r.put([]byte("x\n"))
		if ok {
			sent++
		}
		if ok && before <= 0 {
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	}
	if n := <-done; n != lines {
		t.Errorf("%d of %d lines", n, lines)
	}
}
