package cli

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal is a traffic log.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) write(lines ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, lines...)
}

func (j *journal) Last(_, contains string, limit int, _ bool) (out []string, whole bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if strings.Contains(l, contains) {
			out = append(out, l)
		}
	}
	return out[max(0, len(out)-limit):], true, nil
}

// paper keeps what a command writes, while it runs.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *paper) read() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func TestALogIsFollowedUntilInterrupted(t *testing.T) {
	dir, written := filepath.Join(t.TempDir(), "appliance"), &journal{}
	stop, err := startWith(context.Background(), dir, written)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	written.write("1 a", "2 b", "3 a")
	ctx, interrupt := context.WithCancel(t.Context())
	out, ended := &paper{}, make(chan int, 1)
	var complaints paper
	go func() {
		ended <- Run(ctx, Options{Args: strings.Fields("logs --contains a --limit 1 --follow"), Stdin: strings.NewReader(""), Stdout: out, Stderr: &complaints, Data: dir})
	}()
	want := func(text string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); out.read() != text; {
			select {
			case code := <-ended:
				t.Fatalf("it ended with %d: %s", code, complaints.read())
			case <-time.After(5 * time.Millisecond):
			}
			if time.Now().After(end) {
				t.Fatalf("%q was written, want %q", out.read(), text)
			}
		}
	}
	want("3 a\n")
	written.write("4 a", "5 b", "6 a \x1b[31m")
	want("3 a\n4 a\n6 a ?[31m\n")
	written.write("7 a")
	want("3 a\n4 a\n6 a ?[31m\n7 a\n")
	interrupt()
	if code := <-ended; code != exitDone {
		t.Errorf("interrupted, it ended with %d: %s", code, complaints.read())
	}
}

func TestMoreLinesAtOnceThanCanBeShownAreSaid(t *testing.T) {
	var many []string
	for i := range burst {
		many = append(many, fmt.Sprint(i))
	}
	for _, c := range []struct {
		shown, newest []string
		fresh         int
		gap           bool
	}{
		{nil, many, burst, false}, {[]string{"0"}, many, burst - 1, false}, {[]string{"x"}, many, burst, true}, {[]string{"x"}, many[:3], 3, false}, {[]string{"999"}, many, 0, false},
	} {
		if fresh, gap := behind(c.shown, c.newest); len(fresh) != c.fresh || gap != c.gap {
			t.Errorf("behind %v: %d, %v", c.shown, len(fresh), gap)
		}
	}
}
