// Package demo holds sample servers that really speak what hospitals' systems speak: DICOM storage and worklist, HL7 v2 over
// MLLP, and HTTP; and a generator of DICOM objects. The demo and the tests put them behind virtual services.
//
// What a sample has acknowledged has been written to its folder, if it has one, and survives the death of the process (not
// that of the machine: nothing is synced).
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"evenkeel/appliance"
)

// Kind says what a sample speaks.
type Kind string

// The kinds of samples.
const (
	DICOM    Kind = "dicom"    // C-ECHO and C-STORE, any AE title, any transfer syntax
	HL7      Kind = "hl7"      // HL7 v2 over MLLP, every message is accepted
	Worklist Kind = "worklist" // C-ECHO and C-FIND on the modality worklist
	HTTP     Kind = "http"     // HTTP/1.1
)

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool {
	switch k {
	case DICOM, HL7, Worklist, HTTP:
		return true
	}
	return false
}

// Options says which sample is opened.
type Options struct {
	Kind   Kind
	Listen string           // IP address and port; port 0 lets the kernel choose
	Label  string           // how the sample names itself; empty means its kind
	Keep   string           // folder for what DICOM and HL7 samples receive, made when it is missing; empty keeps nothing
	Log    *slog.Logger     // nil is silent
	Now    func() time.Time // of worklist items and acknowledgements; nil means time.Now
}

// server is one protocol's side of a sample.
type server interface {
	// run serves until the listener is closed, and returns when every connection has ended.
	run(listener net.Listener) error
	// close ends every connection and whatever is open besides; it is idempotent and makes run end.
	close() error
}

// Sample is one sample server, bound since Open. Its methods may be called from any goroutine; Run only once.
type Sample struct {
	listener net.Listener
	server   server
	log      *slog.Logger
	served   atomic.Int64
}

// Open binds a sample; Run serves. Errors: conflict (the port is taken), denied, invalid.
func Open(options Options) (*Sample, error) {
	const op = "open sample"
	if !options.Kind.Valid() {
		return nil, &appliance.Error{Kind: appliance.Invalid, Op: op, Field: "kind", Message: fmt.Sprintf("There is no sample %q.", options.Kind), Hint: "They are dicom, hl7, worklist and http."}
	}
	if options.Label == "" {
		options.Label = string(options.Kind)
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	options.Log = options.Log.With("component", "sample", "sample", options.Label)
	listener, err := listen(options.Listen)
	if err != nil {
		return nil, err
	}
	s := &Sample{listener: listener, log: options.Log}
	if s.server, err = newServer(options, &s.served); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return s, nil
}

func newServer(options Options, served *atomic.Int64) (server, error) {
	switch options.Kind {
	case HL7:
		return openReceiver(options, served)
	case HTTP:
		return newWeb(options, served), nil
	case Worklist:
		return newCrowd(&provider{service: &schedule{now: options.Now, served: served}}, options.Log), nil
	}
	archive, err := openArchive(options.Keep, served)
	if err != nil {
		return nil, err
	}
	return newCrowd(&provider{service: archive}, options.Log), nil
}

// listen binds address. net.Listen does not set SO_REUSEPORT, so that a taken port is noticed.
func listen(address string) (net.Listener, error) {
	const op = "open sample"
	plain := address
	if strings.HasPrefix(plain, ":") {
		plain = "0.0.0.0" + plain
	}
	if _, err := netip.ParseAddrPort(plain); err != nil {
		return nil, &appliance.Error{Kind: appliance.Invalid, Op: op, Field: "listen", Message: fmt.Sprintf("%q is not an IP address with a port.", address), Hint: "Write it as 127.0.0.1:8080.", Err: err}
	}
	listener, err := net.Listen("tcp", address)
	if err == nil {
		return listener, nil
	}
	e := &appliance.Error{Kind: appliance.Unavailable, Op: op, Subject: address, Field: "listen", Message: fmt.Sprintf("The sample cannot listen on %s.", address), Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Kind, e.Message, e.Hint = appliance.Conflict, fmt.Sprintf("Port %s is already in use.", address), "End the program that uses it, or choose another port."
	case errors.Is(err, syscall.EACCES):
		e.Kind, e.Hint = appliance.Denied, "Choose a port above 1023."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Kind, e.Hint = appliance.Invalid, "Choose an address of this machine."
	}
	return nil, e
}

// Addr returns the address that is listened on.
func (s *Sample) Addr() netip.AddrPort {
	bound := s.listener.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())
}

// Served returns how many objects were stored, messages accepted, worklists queried or requests answered.
func (s *Sample) Served() int64 { return s.served.Load() }

// Run serves until ctx ends or the sample is closed, closes every connection, and returns when all has ended: nil then, the
// listener's error otherwise.
func (s *Sample) Run(ctx context.Context) error {
	over, watched := make(chan struct{}), make(chan struct{})
	go s.closeWith(ctx, over, watched)
	err := s.server.run(s.listener)
	close(over)
	<-watched
	_ = s.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return &appliance.Error{Kind: appliance.Unavailable, Op: "run sample", Err: err}
}

// closeWith closes the sample when ctx ends before it is over.
func (s *Sample) closeWith(ctx context.Context, over <-chan struct{}, watched chan<- struct{}) {
	defer close(watched)
	select {
	case <-ctx.Done():
		_ = s.Close()
	case <-over:
	}
}

// Close stops listening and closes every connection. It does not wait: Run does. It is idempotent.
func (s *Sample) Close() error {
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, s.server.close())
}
