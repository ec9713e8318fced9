package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// outcome is the result of one probe in words.
type outcome struct {
	good    bool
	ours    bool   // bad, but through a fault of this appliance: it proves nothing about the server
	what    string // the first sentence, without its full stop
	more    string // further sentences, complete, or ""
	lasting bool   // "for 3 min" can follow what
}

var unchecked = outcome{good: true, what: "Not checked; always up"}

func good(format string, args ...any) outcome {
	return outcome{good: true, what: fmt.Sprintf(format, args...)}
}

func bad(format string, args ...any) outcome { return outcome{what: fmt.Sprintf(format, args...)} }

// sentence returns all of it.
func (o outcome) sentence() string {
	if o.more == "" {
		return o.what + "."
	}
	return o.what + ". " + o.more
}

// standing returns the sentence of a server that has been bad for so long and so many checks in a row.
func (o outcome) standing(d time.Duration, checks int) string {
	how := fmt.Sprintf("for %s (%d checks)", span(d), checks)
	if o.lasting {
		o.what += " " + how
		return o.sentence()
	}
	return o.sentence() + " Down " + how + "."
}

// span writes a time as people say it: 12 s, 3 min, 5 h, 4 days.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(1, int(d/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// brief writes how long an answer took: 1 ms at least, seconds from ten on.
func brief(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
	return fmt.Sprintf("%d ms", rounded(d)/time.Millisecond)
}

// rounded is a time as brief writes it, as long as that is less than ten seconds.
func rounded(d time.Duration) time.Duration {
	return max(1, (d+time.Millisecond/2)/time.Millisecond) * time.Millisecond
}

// unopened says why a connection could not be opened.
func (a *attempt) unopened(err error) outcome {
	var name *net.DNSError
	switch {
	case exhausted(err):
		return ours(err)
	case errors.As(err, &name):
		return bad("The name %s could not be resolved", inert(a.host))
	case errors.Is(err, syscall.ECONNREFUSED):
		return outcome{what: fmt.Sprintf("Connection refused on port %d", a.port), more: "The machine answers, the service does not.", lasting: true}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return outcome{what: "No route to " + a.host, more: "The machine may be off, or a router on the way does not know it.", lasting: true}
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return outcome{what: "A firewall on this appliance forbids connections to " + a.address()}
	case timedOut(err):
		return outcome{
			what: fmt.Sprintf("No answer from %s within %s", a.host, a.within()),
			more: "The machine may be off or a firewall drops the packets.", lasting: true,
		}
	}
	return bad("Port %d could not be opened: %s", a.port, inert(cause(err)))
}

// unanswered says why an open connection did not bring what was awaited, such as "an HTTP answer".
func (a *attempt) unanswered(err error, awaited string) outcome {
	switch {
	case exhausted(err):
		return ours(err)
	case timedOut(err):
		return outcome{what: fmt.Sprintf("Port %d opened, but %s did not come within %s", a.port, awaited, a.within())}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return bad("The server reset the connection before %s came", awaited)
	case ended(err):
		return bad("The server closed the connection before %s came", awaited)
	}
	return bad("Port %d opened, but %s could not be read: %s", a.port, awaited, inert(cause(err)))
}

func ours(err error) outcome {
	return outcome{ours: true, what: "The check could not be made, because this appliance ran out of something: " + cause(err)}
}

// exhausted tells whether this appliance lacks descriptors, ports or memory.
func exhausted(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return false
	}
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL, syscall.EAGAIN:
		return true
	}
	return false
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &n) && n.Timeout()
}

// cause returns the kernel's words when there are some, else the error's.
func cause(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e.Error()
	}
	return err.Error()
}

// maxQuoted is how many characters of foreign text get into a sentence.
const maxQuoted = 80

// quoted returns foreign text in quotes, on one line, printable and cut.
func quoted(text string) string {
	return strconv.Quote(cut(text))
}

// inert is quoted without the quotes.
func inert(text string) string { return escaped(cut(text)) }

// escaped returns text on one line and printable. It cuts late: codecs cut what they quote.
func escaped(text string) string {
	q := strconv.Quote(text[:min(len(text), 4*maxQuoted)])
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func cut(text string) string {
	end, n := 0, 0
	for end < len(text) && n < maxQuoted {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
		n++
	}
	if end < len(text) {
		return text[:end] + "…"
	}
	return text
}
