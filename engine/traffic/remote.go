package traffic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"evenkeel/appliance"
)

const (
	remoteRoom    = 4 << 20 // bytes of lines that may wait for the receiver
	connectWithin = 10 * time.Second
	sendWithin    = 10 * time.Second
	firstPause    = time.Second // between two tries to connect; it doubles
	longestPause  = 30 * time.Second
	lastWords     = time.Second // for what waits when the log ends
)

// remote sends lines to a syslog receiver. The writer queues; run sends. A receiver that is slow or away costs lines, never time.
type remote struct {
	changed chan struct{} // something is queued, or the settings are others

	mu       sync.Mutex // guards what follows
	settings *settings
	lines    []byte // that wait, whole lines
	dropped  uint64 // lines that found no room, not yet told to the receiver
	ever     uint64 // dropped in all
	fault    string // that was told
}

func newRemote() *remote { return &remote{changed: make(chan struct{}, 1)} }

func (r *remote) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// use takes the settings of now on.
func (r *remote) use(s *settings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settings == s {
		return
	}
	r.settings = s
	if s.Remote == "" {
		r.lines, r.dropped = nil, 0
	}
	r.wake()
}

// queue takes a batch of whole lines, or as many as there is room for.
func (r *remote) queue(batch []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fits := len(batch)
	if room := remoteRoom - len(r.lines); fits > room {
		fits = bytes.LastIndexByte(batch[:max(room, 0)], '\n') + 1
		lost := uint64(countLines(batch[fits:]))
		r.dropped, r.ever = r.dropped+lost, r.ever+lost
	}
	r.lines = append(r.lines, batch[:fits]...)
	r.wake()
}

func (r *remote) lost() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ever
}

// take returns what waits, and how many lines were dropped before.
func (r *remote) take() (s *settings, lines []byte, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines, dropped = r.lines, r.dropped
	r.lines, r.dropped = nil, 0
	return r.settings, lines, dropped
}

// putBack returns lines that could not be sent to the front, as far as there is room.
func (r *remote) putBack(lines []byte, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if over := len(lines) + len(r.lines) - remoteRoom; over > 0 { // the oldest go
		cut := len(lines)
		if over < len(lines) {
			if n := bytes.IndexByte(lines[over:], '\n'); n >= 0 {
				cut = over + n + 1
			}
		}
		lost := uint64(countLines(lines[:cut]))
		dropped, r.ever = dropped+lost, r.ever+lost
		lines = lines[cut:]
	}
	r.lines = append(bytes.Clone(lines), r.lines...)
	r.dropped += dropped
}

// run sends until the context ends, and then for a moment what still waits.
func (r *remote) run(ctx context.Context, l *Log) {
	var to receiver
	defer to.close()
	pause := time.Duration(0)
	for {
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			r.send(last, &to)
			cancel()
			return
		}
		err := r.send(ctx, &to)
		r.tell(l, err)
		if err == nil {
			pause = 0
			continue
		}
		r.wake()
		pause = min(max(2*pause, firstPause), longestPause)
	}
}

// send delivers everything that waits; on an error what was not sent waits again.
func (r *remote) send(ctx context.Context, to *receiver) error {
	for {
		s, lines, dropped := r.take()
		if s == nil || s.Remote == "" {
			to.close()
			return nil
		}
		if len(lines) == 0 && dropped == 0 {
			return nil
		}
		if dropped > 0 {
			note := fmt.Appendf(AppendStamp(nil, time.Now()), " dropped=%d why=\"the receiver did not take them in time\"\n", dropped)
			lines = append(note, lines...)
		}
		sent, err := to.deliver(ctx, s, lines)
		if err != nil {
			if dropped > 0 && sent == 0 { // the note is made anew
				sent = bytes.IndexByte(lines, '\n') + 1
			} else {
				dropped = 0
			}
			r.putBack(lines[sent:], dropped)
			return err
		}
	}
}

// codeRemote is the code of the alert that tells of a receiver that cannot be reached.
const codeRemote = "traffic_log_remote"

// tell says once that the receiver cannot be reached, and once that it can be again.
func (r *remote) tell(l *Log, err error) {
	fault := ""
	r.mu.Lock()
	if err != nil && r.settings != nil && r.settings.Remote != "" {
		fault = fmt.Sprintf("The syslog receiver %s cannot be reached: %v.", r.settings.Remote, err)
	}
	before := r.fault
	r.fault = fault
	r.mu.Unlock()
	switch {
	case fault == before:
	case fault == "":
		l.log.Info("syslog receiver takes the traffic log again")
		l.options.Clear(codeRemote)
	default:
		l.log.Warn("syslog receiver not reached", "error", err.Error())
		l.options.Alert(appliance.Alert{Code: codeRemote, Severity: appliance.Warning, Sentence: fault, Hint: "Lines wait for it in memory, at most 4 MB. Local Configuration, Traffic log, says where they go."})
	}
}

// receiver is the connection to a syslog receiver.
type receiver struct {
	conn     net.Conn
	settings *settings // that conn was made by
	out      []byte
}

func (r *receiver) close() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}

// deliver sends whole lines and returns how many of their bytes are with the kernel.
func (r *receiver) deliver(ctx context.Context, s *settings, lines []byte) (sent int, err error) {
	if r.settings != s || r.conn != nil && s.Transport != appliance.SyslogUDP && r.gone() {
		r.close()
	}
	if r.conn == nil {
		if r.conn, err = dial(ctx, s); err != nil {
			return 0, err
		}
		r.settings = s
	}
	conn := r.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for sent < len(lines) {
		n := r.part(s, lines[sent:])
		if err := conn.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
			return sent, err
		}
		if _, err := conn.Write(r.out); err != nil && (s.Transport != appliance.SyslogUDP || ctx.Err() != nil) {
			r.close()
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// gone tells whether the receiver has closed: it never sends anything, so whatever can be read is the end. Without a look a batch would be lost in a dead connection.
func (r *receiver) gone() bool {
	if r.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true
	}
	_, err := r.conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout()
}

// part builds the next message: one line for a datagram, otherwise as many as make about 32 KiB. It returns how much of lines they are.
func (r *receiver) part(s *settings, lines []byte) int {
	r.out = r.out[:0]
	used := 0
	for used < len(lines) && len(r.out) < 32<<10 {
		end := bytes.IndexByte(lines[used:], '\n')
		line := lines[used : used+end]
		used += end + 1
		if s.Transport == appliance.SyslogUDP {
			r.out = AppendSyslog(r.out, s.hostname, line)
			break
		}
		r.out = AppendCounted(r.out, s.hostname, line)
	}
	return used
}

func dial(ctx context.Context, s *settings) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	network := "tcp"
	if s.Transport == appliance.SyslogUDP {
		network = "udp"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, s.Remote)
	if err != nil || s.Transport != appliance.SyslogTLS {
		return conn, err
	}
	host, _, _ := net.SplitHostPort(s.Remote)
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.NoVerify} //nolint:gosec // the operator's choice, off by default
	if s.CA != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(s.CA))
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// priority is facility local0, severity informational.
const priority = "<134>1 "

// AppendSyslog appends a line as a message of RFC 5424; the line's own time is the message's.
func AppendSyslog(dst []byte, hostname string, line []byte) []byte {
	stamp, rest, _ := bytes.Cut(line, []byte{' '})
	dst = append(append(dst, priority...), stamp...)
	dst = appendHostname(append(dst, ' '), hostname)
	dst = append(dst, " evenkeel - traffic - "...)
	return append(dst, rest...)
}

// appendHostname appends what RFC 5424 allows of a name, or -.
func appendHostname(dst []byte, name string) []byte {
	before := len(dst)
	for i := 0; i < len(name) && i < 255; i++ {
		if '!' <= name[i] && name[i] <= '~' {
			dst = append(dst, name[i])
		}
	}
	if len(dst) == before {
		return append(dst, '-')
	}
	return dst
}

// AppendCounted appends a line as a message behind its length, RFC 6587, 3.4.1.
func AppendCounted(dst []byte, hostname string, line []byte) []byte {
	at := len(dst)
	dst = AppendSyslog(dst, hostname, line)
	var count [20]byte
	head := append(strconv.AppendInt(count[:0], int64(len(dst)-at), 10), ' ')
	dst = append(dst, head...)
	copy(dst[at+len(head):], dst[at:len(dst)-len(head)])
	copy(dst[at:], head)
	return dst
}
