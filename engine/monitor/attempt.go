package monitor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"evenkeel/appliance"
)

// attempt is one probe under way. One goroutine uses it.
type attempt struct {
	prepared
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	now      func() time.Time
	scripts  *scripts
	at       func(context.Context) (netip.Addr, error) // where the host name leads; nil: the system looks it up
	found    netip.Addr                                // what at has said
	trace    *transcript                               // nil: nobody reads along
	started  time.Time
	conn     net.Conn      // as opened; nil before
	peer     io.ReadWriter // what the codecs talk to: conn, or TLS on it
	release  func() bool   // undoes the context's hold on conn
	farewell func()        // done before FIN, such as reading the rest of an answer; may be nil
}

func (m *Monitor) attempt(p prepared) *attempt {
	return &attempt{prepared: p, dial: m.dial, now: m.now, scripts: m.scripts, started: m.now()}
}

// probe makes the attempt. The connection stays open until end, so that a polite close is not part of the time it took.
func (a *attempt) probe(ctx context.Context) (appliance.Probe, outcome) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	o := a.run(ctx)
	if a.release != nil {
		a.release()
	}
	return appliance.Probe{At: a.started, Good: o.good, Took: a.took(), Sentence: o.sentence()}, o
}

func (a *attempt) run(ctx context.Context) outcome {
	if a.broken != "" {
		return bad("%s", a.broken)
	}
	if o, ok := a.locate(ctx); !ok {
		return o
	}
	switch a.kind {
	case appliance.MonitorNone:
		a.trace.say("nothing to do")
		return unchecked
	case appliance.MonitorConnect:
		return a.connect(ctx)
	case appliance.MonitorHTTP, appliance.MonitorHTTPS:
		return a.web(ctx)
	case appliance.MonitorDICOM:
		return a.echo(ctx)
	case appliance.MonitorHL7:
		return a.hl7Probe(ctx)
	case appliance.MonitorLDAP:
		return a.bind(ctx)
	case appliance.MonitorSMTP:
		return a.mail(ctx)
	case appliance.MonitorDNS:
		return a.resolve(ctx)
	case appliance.MonitorMySQL:
		return a.mysql(ctx)
	case appliance.MonitorPostgreSQL:
		return a.postgreSQL(ctx)
	case appliance.MonitorRedis:
		return a.ping(ctx)
	case appliance.MonitorGRPC:
		return a.health(ctx)
	case appliance.MonitorScript:
		return a.runScript(ctx)
	}
	return bad("This version does not know the check %s", quoted(string(a.kind)))
}

// took is the time since the attempt began.
func (a *attempt) took() time.Duration { return a.now().Sub(a.started) }

// within is the timeout in words.
func (a *attempt) within() string { return appliance.Duration(a.timeout).String() }

// connect is the check that a TCP connection opens.
func (a *attempt) connect(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	return good("Port %d opened in %s", a.port, brief(a.took()))
}

// open connects; reading and writing then end with the context. When it cannot, it returns why and false.
func (a *attempt) open(ctx context.Context) (outcome, bool) { return a.openOver(ctx, "tcp") }

// openOver is open with a network of its own, such as "udp".
func (a *attempt) openOver(ctx context.Context, network string) (outcome, bool) {
	if a.port == 0 || a.host == "" {
		return bad("There is no port or address to check"), false
	}
	a.trace.say("connect to %s", a.place())
	conn, err := a.dial(ctx, network, a.place())
	if err != nil {
		a.trace.say("no connection: %s", inert(err.Error()))
		return a.unopened(err), false
	}
	a.trace.say("connected from %s", conn.LocalAddr())
	a.conn, a.peer = conn, conn
	if a.trace != nil {
		a.peer = overheard{conn, a.trace}
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	a.release = context.AfterFunc(ctx, a.expire)
	return outcome{}, true
}

// expire makes what reads or writes return at once.
func (a *attempt) expire() { _ = a.conn.SetDeadline(time.Unix(1, 0)) }

// The bounds of a polite close.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// end closes the connection as TCP wants it: FIN, then what still arrives is read, because closing over unread bytes would send a reset.
func (a *attempt) end(ctx context.Context) {
	if a.conn == nil {
		return
	}
	_ = a.conn.SetDeadline(time.Now().Add(lingerTime))
	defer context.AfterFunc(ctx, a.expire)()
	if a.farewell != nil {
		a.farewell()
	}
	if half, ok := a.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, a.conn, lingerBytes)
	}
	_ = a.conn.Close()
}

// ended tells whether the peer finished sending.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}
