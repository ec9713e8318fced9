// Package wire is the contract between protocol cores and the drivers that move bytes for them (a completion-style contract: the core is told
// "these bytes have arrived, take them now", and says "send this", "connect", "close", "wake me at"). A core does no I/O, so it is tested and fuzzed
// without sockets; a driver knows no protocol. Everything of one connection happens on one loop, one call at a time: nothing here locks.
package wire

import (
	"net/netip"
	"time"
)

// Time is the loop's monotonic clock in nanoseconds, read once per turn of the loop. Zero means never.
type Time int64

// Add returns t + d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Core is the state of one protocol for one client connection and the server connections that it opened. The driver calls it; after Broken, or after the
// core called Close or Abort, no further call for that connection is made.
type Core interface {
	// Received hands over bytes that arrived on c. b is the driver's and valid during the call only; the core may overwrite what it takes. It returns how many it
	// took; the driver keeps the rest (at most KeepLimit bytes) and offers it again, together with what arrives later, when more arrives or Resume is called. A paused
	// connection is offered nothing.
	Received(c Conn, b []byte) (taken int)
	// Ended tells that the peer has finished sending (FIN) and that every byte before it was offered. Sending on c remains possible (half-close).
	Ended(c Conn)
	// Drained tells that everything given to Send is with the kernel, after a Send had to leave bytes queued.
	Drained(c Conn)
	// Connected tells that a Dial succeeded.
	Connected(c Conn)
	// Broken tells that a Dial failed or that an established connection failed (reset, unreachable); c is gone. err is a syscall.Errno where the kernel gave one.
	Broken(c Conn, err error)
	// Woken tells that the time given to WakeAt has come; the timer is off then.
	Woken(c Conn)
	// Spliced tells that SpliceTo from c is over: moved bytes went over; ended when the peer of c finished sending first (Ended is not told again then).
	// Otherwise reading of c goes on as before. It is not called when one of the two was closed or broke meanwhile.
	Spliced(c Conn, moved int64, ended bool)
	// Evict asks the session to end because the operator or an Apply wants it: politely with FIN (server nil), or only if it is using that server.
	Evict(server *Server)
}

// KeepLimit is how many bytes that a core did not take a driver keeps; it stops reading until they are taken.
const KeepLimit = 64 << 10

// OneRead is the most that a driver reads at once. What the receiver does not take of it has to wait in memory, for thousands of slow ones too.
const OneRead = 28 << 10

// Conn is one connection as its core sees it. Handles compare equal with == exactly when they are the same connection.
type Conn interface {
	// Send gives b to the kernel, keeps a copy of what does not fit, and returns how many bytes are queued now. b is the caller's again at return.
	// A core pauses the other side while its peer's queue is not empty, so queues stay small.
	Send(b []byte) (queued int)
	// Queued returns how many bytes wait for the kernel.
	Queued() int
	// Unacknowledged returns how many bytes the kernel holds that the peer has not acknowledged yet. It costs a system call: for timers, not for each message.
	// A core whose timer fires compares it to see that a slow peer still reads.
	Unacknowledged() int
	// Acknowledge has the kernel acknowledge what came first on an accepted connection now, where it would keep that for the bytes that go back (tcp(7), TCP_QUICKACK):
	// a peer may wait for it before it sends the rest (RFC 896). To be called when more must come before anything can be answered; it costs a system call at most once.
	Acknowledge()
	// Pause stops offering bytes of c; Ended and Broken may be told later too.
	Pause()
	// Resume undoes Pause; bytes that were kept are offered again, from the loop, not from within Resume.
	Resume()
	// CloseWrite sends FIN when the queue is empty; receiving goes on.
	CloseWrite()
	// Close ends c politely: queue, FIN, then what still arrives is thrown away for at most two seconds, so that a last answer is not destroyed by a reset. The core is told nothing more.
	Close()
	// Abort ends c at once with a reset; the queue is dropped. The core is told nothing more.
	Abort()
	// WakeAt sets the one timer of c, replacing what was set; zero turns it off. Its resolution is that of the loop's wheel (10 ms), never early.
	WakeAt(t Time)
	// SpliceTo moves n bytes (n < 0: until the peer finishes) from c to another connection inside the kernel, beginning with what was offered and not taken,
	// and respects what the other still has queued. Until Spliced is called nothing of c is offered; both may be closed or broken meanwhile.
	// WakeAt of c is still honoured; Moved tells progress.
	SpliceTo(to Conn, n int64)
	// Moved returns how many bytes the running or last SpliceTo of c has moved: a core whose timer fires in a splice compares it to see silence.
	Moved() int64
	// Quiet tells that nothing is known to have come of the peer behind what was offered last. Only then may a connection that is kept for reuse serve somebody else:
	// what a server says unasked must not become the answer to the next request.
	Quiet() bool
	// Raw tells that what is given to Send reaches the peer as it is and what the peer sends is offered as it came: only such connections take part in SpliceTo,
	// from or to. A connection in TLS, or a stream within HTTP/2, is not raw; its bytes are copied.
	Raw() bool
	// Bind makes core the one that is told about c from now on (a pooled server connection changes hands).
	Bind(core Core)
	// Peer and Local return the two ends.
	Peer() netip.AddrPort
	Local() netip.AddrPort
}

// Loop is what a core may ask of the loop it lives on.
type Loop interface {
	Now() Time
	// Dial opens a connection to a server; Connected or Broken follows, from the loop. An error at once (no descriptors, unreachable) is returned instead.
	Dial(to netip.AddrPort, core Core) (Conn, error)
	// Scratch returns an empty slice with room for at least 64 KiB to build output in; it is valid until the core returns.
	Scratch() []byte
	// Soon runs t in the loop's next turn, before the loop sleeps: for what must not happen within the call at hand. A task may be given again at any time.
	Soon(t Task)
	// Hold notes that the connections of the loop hold so many bytes more beside what the loop itself keeps for them, or fewer when n is negative: the state of TLS, the
	// streams of HTTP/2 and what waits in them. When all of it is too much, no more clients are accepted for a while.
	Hold(n int)
}

// Task is what a core that stands between another core and its connection does by itself, such as offering again bytes that it kept.
type Task interface{ Run() }
