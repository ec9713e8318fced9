package sshd

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint is a running server whose password is "right" for door, and whose key is the one of the rig for pair.
type endpoint struct {
	*Server
	t       *testing.T
	address string
	key     ssh.Signer

	mu      sync.Mutex
	entries []appliance.AuditEntry
}

func open(t *testing.T, change ...func(*Options)) *endpoint {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{t: t, address: l.Addr().String(), key: signer(t)}
	o := Options{Listener: l, HostKey: key(t), Audit: e.audit, Doors: []Door{
		{User: "door", Subsystem: "echo", Password: e.password, Serve: echo},
		{User: "pair", Subsystem: "echo", Key: e.opens, Serve: echo, Bytes: 1 << 20},
		{User: "broken", Subsystem: "echo", Password: e.password, Serve: func(context.Context, Session) error { panic("broken") }},
	}}
	for _, f := range change {
		f(&o)
	}
	if e.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *endpoint) password(_ context.Context, _ netip.Addr, password string) error {
	if password != "right" {
		return &appliance.Error{Kind: appliance.Denied, Message: "User name or password is wrong."}
	}
	return nil
}

func (e *endpoint) opens(_ context.Context, _ netip.Addr, key string) error {
	if key != authorized(e.key.PublicKey()) {
		return &appliance.Error{Kind: appliance.Conflict, Message: "The pair was broken."}
	}
	return nil
}

func (e *endpoint) audit(_ context.Context, entry appliance.AuditEntry) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.entries = append(e.entries, entry)
	return nil
}

// told waits until an entry with that outcome has the text.
func (e *endpoint) told(outcome, text string) {
	e.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); wait(e.t.Context(), 5*time.Millisecond) {
		e.mu.Lock()
		for _, entry := range e.entries {
			if entry.Outcome == outcome && strings.Contains(entry.Detail, text) {
				e.mu.Unlock()
				return
			}
		}
		e.mu.Unlock()
	}
	e.t.Errorf("nothing %s with %q: %+v", outcome, text, e.entries)
}

func echo(_ context.Context, s Session) error {
	_, err := io.Copy(s, s)
	return err
}

func key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signer(t *testing.T) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dial signs in; banner is what the server said meanwhile.
func (e *endpoint) dial(user string, by ssh.AuthMethod) (c *ssh.Client, banner string, err error) {
	e.t.Helper()
	c, err = ssh.Dial("tcp", e.address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{by}, Timeout: 10 * time.Second,
		BannerCallback:  func(text string) error { banner += text; return nil },
		HostKeyCallback: ssh.FixedHostKey(e.signer.PublicKey()),
	})
	if err == nil {
		e.t.Cleanup(func() { c.Close() })
	}
	return c, banner, err
}

func (e *endpoint) inside(user string, by ssh.AuthMethod) *ssh.Client {
	e.t.Helper()
	c, _, err := e.dial(user, by)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// subsystem opens it and says something, which must come back.
func subsystem(t *testing.T, c *ssh.Client) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.RequestSubsystem("echo"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "hello"); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if b, err := io.ReadAll(out); err != nil || string(b) != "hello" {
		t.Fatalf("%q, %v", b, err)
	}
}

func TestPasswordAndKeyEachOpenTheirOwnDoor(t *testing.T) {
	e := open(t)
	subsystem(t, e.inside("door", ssh.Password("right")))
	subsystem(t, e.inside("pair", ssh.PublicKeys(e.key)))
	e.told("done", "")
	for _, try := range []struct {
		user string
		by   ssh.AuthMethod
		said string
	}{
		{"door", ssh.Password("wrong"), "evenkeel: denied: User name or password is wrong."},
		{"door", ssh.PublicKeys(e.key), ""},
		{"pair", ssh.Password("right"), ""},
		{"pair", ssh.PublicKeys(signer(t)), "evenkeel: conflict: The pair was broken."},
		{"root", ssh.Password("right"), ""},
		{"root", ssh.PublicKeys(e.key), ""},
		{"door", ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil }), ""},
	} {
		_, banner, err := e.dial(try.user, try.by)
		if err == nil || strings.TrimSpace(banner) != try.said {
			t.Errorf("%s: %v, said %q", try.user, err, banner)
		}
	}
	e.told("refused", "The pair was broken.")
	for _, entry := range e.entries {
		if strings.Contains(entry.Detail+entry.Subject, "right") || strings.Contains(entry.Detail, "wrong") {
			t.Errorf("a password is in the record: %+v", entry)
		}
	}
}

func TestOnlyTheSubsystemIsThere(t *testing.T) {
	e := open(t)
	c := e.inside("door", ssh.Password("right"))
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"shell":     s.Shell(),
		"env":       s.Setenv("LD_PRELOAD", "/tmp/x"),
		"pty-req":   s.RequestPty("xterm", 24, 80, nil),
		"subsystem": s.RequestSubsystem("sftp"),
	} {
		if err == nil {
			t.Errorf("%s was given", what)
		}
		e.told("refused", "There is no "+what+" here.")
	}
	if ok, err := s.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{"id"})); ok || err != nil {
		t.Error("exec was given", err)
	}
	if ok, err := s.SendRequest("auth-agent-req@openssh.com", true, nil); ok || err != nil {
		t.Error("an agent was taken", err)
	}
	if _, err := c.Dial("tcp", e.address); err == nil {
		t.Error("a connection was forwarded")
	}
	e.told("refused", "There is no direct-tcpip here.")
	if l, err := c.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
		t.Error("a port was forwarded")
	}
	if _, err := c.NewSession(); err == nil {
		t.Error("a second session was given")
	}
}

func TestSessionServesAfterRefusals(t *testing.T) {
	e := open(t)
	c := e.inside("door", ssh.Password("right"))
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Setenv("A", "b"); err == nil {
		t.Error("env was given")
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.RequestSubsystem("echo"); err != nil {
		t.Fatal(err)
	}
	if err := s.RequestSubsystem("echo"); err == nil {
		t.Error("two subsystems in one session")
	}
	in.Close()
	if _, err := io.ReadAll(out); err != nil {
		t.Error(err)
	}
}

func TestAskingWithoutEndIsEnded(t *testing.T) {
	e := open(t)
	c := e.inside("door", ssh.Password("right"))
	for range mostRefusals { // the last one is still answered; the client's library may wait without end for a channel that it asks for while the connection ends
		if _, _, err := c.OpenChannel("direct-tcpip", nil); err == nil {
			t.Fatal("given")
		}
	}
	if err := c.Wait(); err == nil {
		t.Error("still there")
	}
}

func TestBytesOfAConnectionAreLimited(t *testing.T) {
	e := open(t)
	c := e.inside("pair", ssh.PublicKeys(e.key))
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.RequestSubsystem("echo"); err != nil {
		t.Fatal(err)
	}
	var read sync.WaitGroup
	defer read.Wait()
	read.Go(func() { _, _ = io.Copy(io.Discard, out) })
	for range 64 {
		if _, err := in.Write(make([]byte, 64<<10)); err != nil {
			c.Close()
			return
		}
	}
	t.Error("more bytes went through than may")
	c.Close()
}

func TestStrangersHaveFewPlacesAndThePeerItsOwn(t *testing.T) {
	var known sync.Map
	e := open(t, func(o *Options) {
		o.Known = func(netip.Addr) bool { _, ok := known.Load("peer"); return ok }
	})
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	hold := func() bool {
		c, err := net.Dial("tcp", e.address)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1)) // the version, or the end
		return err == nil
	}
	for i := range mostBySource {
		if !hold() {
			t.Fatalf("connection %d was refused", i)
		}
	}
	if hold() {
		t.Error("one more than may")
	}
	e.told("refused", "Too many connections")
	known.Store("peer", true)
	subsystem(t, e.inside("pair", ssh.PublicKeys(e.key)))
}

func TestGarbageAndVersionsAreEnded(t *testing.T) {
	e := open(t)
	for _, say := range []string{"GET / HTTP/1.1\r\n\r\n", "SSH-1.5-old\r\n", "SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("x", 1<<20)} {
		c, err := net.Dial("tcp", e.address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, say)
		_ = c.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
			t.Errorf("%.20q: the connection stays", say)
		}
		c.Close()
	}
	subsystem(t, e.inside("door", ssh.Password("right")))
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestDefectOfASubsystemEndsItsConnectionOnly(t *testing.T) {
	e := open(t)
	c := e.inside("broken", ssh.Password("right"))
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestSubsystem("echo"); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("still there")
	}
	subsystem(t, e.inside("door", ssh.Password("right")))
}

func TestBusyPortIsASentence(t *testing.T) {
	e := open(t)
	_, err := Listen(e.address)
	if appliance.KindOf(err) != appliance.Conflict || !strings.Contains(err.Error(), e.address) || !strings.Contains(appliance.ErrorsOf(err)[0].Hint, "--ssh") {
		t.Error(err)
	}
}

type secrets map[string][]byte

func (s secrets) Secret(_ context.Context, name string, make func() ([]byte, error)) ([]byte, error) {
	if s[name] == nil {
		s[name], _ = make()
	}
	return s[name], nil
}

func TestHostKeyStays(t *testing.T) {
	s := secrets{}
	a, err := HostKey(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := HostKey(t.Context(), s); err != nil || !a.Equal(b) {
		t.Error("another key", err)
	}
	s[hostKeySecret] = []byte("short")
	if _, err := HostKey(t.Context(), s); appliance.KindOf(err) != appliance.Internal {
		t.Error(err)
	}
}

func TestRefusalsAreRecordedWithinLimits(t *testing.T) {
	now, n := time.Unix(1, 0), 0
	var last appliance.AuditEntry
	e := newEvents(func(_ context.Context, entry appliance.AuditEntry) error { n++; last = entry; return nil }, open(t).log, func() time.Time { return now })
	for range 1000 {
		e.refused(t.Context(), netip.Addr{}, "ssh_channel", "x", "No.")
	}
	if n != eventsAtOnce {
		t.Fatalf("%d recorded", n)
	}
	now = now.Add(eventEvery)
	e.refused(t.Context(), netip.Addr{}, "ssh_channel", "x", "No.")
	if n != eventsAtOnce+1 || !strings.Contains(last.Detail, "980") {
		t.Error(n, last.Detail)
	}
}
