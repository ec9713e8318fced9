// Package sshd is the appliance's own SSH endpoint. It owns the port, the host key and sign-in there, and nothing else: each kind of sign-in is a Door that leads to one
// subsystem, whose work is done by who gave the door. There is no shell, no command, no terminal, no forwarding and no environment. Whatever is refused is recorded.
package sshd

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

// Port is where the appliance listens unless it is told otherwise.
const Port = 22

// The limits of who has not signed in, and of everyone.
const (
	handshakeTime  = 30 * time.Second // to sign in, with a password that waits for its turn
	mostStrangers  = 24               // connections that have not signed in
	mostBySource   = 6                // of them from one address
	mostInDoor     = 8                // connections behind one door
	idleTime       = 3 * time.Minute  // longer than an apply may take
	strangersBytes = 256 << 10        // that a connection may move before it has signed in
	usualBytes     = 1 << 30
	tries          = 3
	mostRefusals   = 16
	closingTime    = 2 * time.Second // for the last words of a subsystem to arrive
	acceptPause    = 100 * time.Millisecond
)

// Door is one kind of sign-in, and the one subsystem that it leads to. The errors of Password and Key are told to the client in their sentence.
type Door struct {
	User      string
	Subsystem string
	// Password tells whether the password opens the door; it slows guesses down and records them. nil: no password does.
	Password func(ctx context.Context, from netip.Addr, password string) error
	// Key tells whether the ed25519 key (as in authorized_keys, without comment) opens the door; the client has proven that it has it. nil: no key does.
	Key func(ctx context.Context, from netip.Addr, key string) error
	// Serve does the work until the client ends it; the Session is closed afterwards. Its error is logged.
	Serve func(context.Context, Session) error
	Bytes int64         // that a connection may move in each direction; 0: 1 GiB
	Time  time.Duration // that a connection may last; 0: without end, as long as it is not idle
	// Newest says that where too many connections are behind the door, the oldest one makes room for the next: those that the network cut off are not known to be dead.
	Newest bool
}

// Session is the open subsystem of a client that has signed in.
type Session struct {
	io.ReadWriteCloser
	From netip.AddrPort
	User string
	Key  string // by which it signed in; "": by password
}

// Options of a Server.
type Options struct {
	Listener net.Listener       // required; Run closes it
	HostKey  ed25519.PrivateKey // required
	Doors    []Door
	// Known tells whether an address is the peer's: strangers cannot take its place in the queue. nil: nobody is.
	Known func(netip.Addr) bool
	Audit func(context.Context, appliance.AuditEntry) error // nil: refusals are only logged
	Log   *slog.Logger                                      // nil: nothing is logged
	Now   func() time.Time                                  // nil: time.Now
}

// Server is the endpoint. Run owns its goroutines.
type Server struct {
	listener net.Listener
	signer   ssh.Signer
	doors    []Door
	known    func(netip.Addr) bool
	events   *events
	log      *slog.Logger

	mu        sync.Mutex // guards what follows
	conns     map[*conn]struct{}
	strangers map[netip.Addr]int
	inside    map[string]int // by user
	entered   uint64         // how many signed in ever
}

// New returns a server that does nothing before Run.
func New(o Options) (*Server, error) {
	signer, err := ssh.NewSignerFromKey(o.HostKey)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "open the SSH endpoint", Message: "The host key cannot be used.", Err: err}
	}
	s := &Server{
		listener: o.Listener, signer: signer, doors: o.Doors, known: o.Known, log: o.Log,
		conns: map[*conn]struct{}{}, strangers: map[netip.Addr]int{}, inside: map[string]int{},
	}
	if s.known == nil {
		s.known = func(netip.Addr) bool { return false }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("component", "sshd")
	s.events = newEvents(o.Audit, s.log, o.Now)
	return s, nil
}

// Listen binds the address. Kinds: conflict when it is taken, denied without the right, invalid when it is none of this machine's.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	e := &appliance.Error{
		Kind: appliance.Conflict, Op: "open the SSH endpoint", Err: err, Message: fmt.Sprintf("The address %s for SSH is not free: another program, perhaps OpenSSH, has it.", address),
		Hint: "Choose another port with --ssh, for example --ssh :6622; the other node of a pair is told that port.",
	}
	switch {
	case errors.Is(err, syscall.EACCES):
		e.Kind, e.Message, e.Hint = appliance.Denied, fmt.Sprintf("There is no right to listen on %s.", address), "Ports below 1024 need CAP_NET_BIND_SERVICE; or choose another with --ssh."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Kind, e.Message, e.Hint = appliance.Invalid, fmt.Sprintf("No interface of this machine has the address of %s.", address), "ip address shows which there are."
	case !errors.Is(err, syscall.EADDRINUSE):
		e.Kind, e.Message, e.Hint = appliance.Invalid, fmt.Sprintf("%q is not an address to listen on.", address), "Write it as 0.0.0.0:"+strconv.Itoa(Port)+"."
	}
	return nil, e
}

// Fingerprint is what is shown of the host key: both nodes' pages and consoles show the same.
func (s *Server) Fingerprint() string { return ssh.FingerprintSHA256(s.signer.PublicKey()) }

// HostKey returns the public host key as in authorized_keys.
func (s *Server) HostKey() string { return authorized(s.signer.PublicKey()) }

// Address is where the server listens.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// Run serves until the context ends; then every connection is closed and waited for.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.closeAll)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		raw, err := s.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				raw.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			s.closeAll()
			return &appliance.Error{Kind: appliance.Internal, Op: "accept SSH connections", Err: err}
		case err != nil: // no descriptor is free: others give theirs back
			s.log.Warn("connection not accepted", "error", err)
			wait(ctx, acceptPause)
			continue
		}
		c, ok := s.admit(ctx, raw)
		if !ok {
			raw.Close()
			continue
		}
		all.Go(func() { s.serve(ctx, c) })
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (s *Server) closeAll() {
	s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *Server) door(user string) *Door {
	for i := range s.doors {
		if s.doors[i].User == user {
			return &s.doors[i]
		}
	}
	return nil
}
