package monitor

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// transcript is what a person reads of one probe, a line for each step. A nil transcript takes everything and keeps nothing.
type transcript struct {
	now   func() time.Time
	start time.Time
	text  strings.Builder
	lines int
	over  bool // the verdict is written
}

// maxLines bounds a transcript; a server may drip bytes.
const maxLines = 100

func (t *transcript) say(format string, args ...any) {
	if t == nil || t.over || t.lines > maxLines {
		return
	}
	t.lines++
	if t.lines > maxLines {
		t.text.WriteString("         …\n")
		return
	}
	t.line(fmt.Sprintf(format, args...))
}

func (t *transcript) line(text string) {
	fmt.Fprintf(&t.text, "%6d ms  %s\n", t.now().Sub(t.start).Milliseconds(), text)
}

// verdict writes the last line, whatever came before.
func (t *transcript) verdict(o outcome) {
	word := "bad"
	if o.good {
		word = "good"
	}
	t.line("verdict: " + word + ". " + o.sentence())
	t.over = true
}

// String returns all lines.
func (t *transcript) String() string { return t.text.String() }

// overheard is a connection that tells a transcript what goes over it.
type overheard struct {
	net.Conn
	trace *transcript
}

// Read tells what was received.
func (o overheard) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	if n > 0 {
		o.trace.say("received %d bytes: %s", n, quoted(string(b[:n])))
	}
	if err != nil {
		o.trace.say("nothing more: %s", inert(err.Error()))
	}
	return n, err
}

// Write tells what was sent.
func (o overheard) Write(b []byte) (int, error) {
	o.trace.say("send %d bytes: %s", len(b), quoted(string(b)))
	return o.Conn.Write(b)
}
