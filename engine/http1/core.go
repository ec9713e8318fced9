package http1

import (
	"sync/atomic"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// Options are what a core is made of.
type Options struct {
	Service wire.Service
	Client  wire.Conn
	Idle    *IdlePool           // the loop's; never nil
	Secure  bool                // the client came by TLS
	Stream  bool                // the client is a stream of HTTP/2: one request, whose body may begin long after its head
	Ruled   Ruled               // nil: the service has no rules
	Refused func(reason string) // told once for each request that is turned away; may be nil
	// Recorder is told of each request when it is over; nil: nobody is.
	Recorder wire.Recorder
	// Site is what all fields but Client come to, made once by NewSite for the clients of a service on a loop that come in the same way, which saves each of them
	// the memory; nil: those fields count.
	Site *Site
}

// Site is what the clients of one service that come in the same way have in common on one loop.
type Site struct {
	service  wire.Service
	pool     *IdlePool
	refused  func(reason string)
	recorder wire.Recorder
	ruled    Ruled
	secure   bool
	stream   bool
}

// NewSite returns the site that the options describe.
func NewSite(o Options) *Site {
	return &Site{service: o.Service, pool: o.Idle, refused: o.Refused, recorder: o.Recorder, ruled: o.Ruled, secure: o.Secure, stream: o.Stream}
}

// core serves one client connection. Between two requests it holds nothing but itself.
type core struct {
	*Site
	client   wire.Conn
	own      *link     // parked for this client alone, nil when there is none
	x        *exchange // the request that is being served, nil between two
	since    wire.Time // when the client last did something, between two requests
	begun    wire.Time // when the first byte of an incomplete head was seen, or zero
	waited   wire.Time // since when it waits for another who fetches the same, or zero
	armed    wire.Time // when the client's timer fires, or zero; never later than what is due
	search   search    // for the end of an incomplete head
	unread   backlog   // what the client has still to take
	counted  bool      // the rules have seen this head already: it waited for the first chunk of its body
	ended    bool      // the client has finished sending
	leftover bool      // the driver keeps bytes of the client that were offered and not taken
	paused   bool      // the client is paused
	closing  bool      // no further request is to be served
	served   bool      // a request was served
	over     bool      // the client's connection was closed; nothing more is to happen
}

var _ wire.Core = (*core)(nil)

// New returns the core of a connection that was just accepted.
func New(o Options) wire.Core {
	if o.Site == nil {
		o.Site = NewSite(o)
	}
	k := &core{Site: o.Site, client: o.Client}
	k.since = k.now()
	k.arm(k.limits().ClientTimeout.D())
	return k
}

func (k *core) now() wire.Time            { return k.pool.loop.Now() }
func (k *core) limits() *appliance.Limits { return &k.service.Config().Limits }
func (k *core) isServer(c wire.Conn) bool { return k.x != nil && k.x.link != nil && c == k.x.link.conn }
func (k *core) server() wire.Conn         { return k.x.link.conn }
func add(counter *uint64, n uint64)       { atomic.AddUint64(counter, n) }
func (k *core) gone(c wire.Conn) bool     { return k.over || c != k.client && !k.isServer(c) }
func (k *core) arm(d time.Duration)       { k.armAt(k.now().Add(d)) }
func (k *core) countRefused()             { add(&k.service.Counters().Refused, 1) }
func cookieName(p *appliance.Persistence) string {
	if p.Kind.Sealed() {
		return p.CookieName
	}
	return ""
}

// armAt makes sure that the timer fires at t or before; what is due is looked at then.
func (k *core) armAt(t wire.Time) {
	if k.armed == 0 || t < k.armed {
		k.armed = t
		k.client.WakeAt(t)
	}
}

// Received takes bytes of the client or of its server.
func (k *core) Received(c wire.Conn, b []byte) int {
	switch {
	case k.gone(c):
		return len(b)
	case c == k.client:
		return k.fromClient(b)
	}
	return k.fromServer(b)
}

func (k *core) fromClient(b []byte) int {
	taken := 0
	if k.x != nil && k.x.copies {
		return k.tunnelUp(b)
	}
	if k.x == nil {
		taken = k.begin(b)
		if k.over {
			return len(b)
		}
		if k.x == nil {
			switch k.leftover = taken < len(b); {
			case k.ended && !k.paused:
				k.shut()
			case k.begun != 0:
				k.client.Acknowledge()
			}
			return taken
		}
	}
	taken += k.forwardBody(b[taken:])
	if k.over {
		return len(b)
	}
	k.x.in += uint64(taken)
	if k.x.up != upDone {
		k.client.Acknowledge()
	}
	if k.leftover = taken < len(b); k.leftover && k.x.clientMustWait() {
		if !k.x.waits() {
			k.pause()
		}
	} else if k.ended && k.x.up != upDone {
		k.refuseAs(wire.EndClientClosed, request.Bad("the client closed within a request's body"))
	}
	return taken
}

func (k *core) pause() {
	if !k.paused {
		k.paused = true
		k.client.Pause()
	}
}

func (k *core) resume() {
	if k.paused {
		k.paused = false
		k.client.Resume()
	}
}

// Ended tells that one side has finished sending.
func (k *core) Ended(c wire.Conn) {
	switch {
	case k.gone(c):
	case c == k.client:
		k.clientEnded()
	default:
		k.serverEnded()
	}
}

// clientEnded: a client that has sent its request whole gets its answer; half a request is given up.
func (k *core) clientEnded() {
	k.ended = true
	switch x := k.x; {
	case x == nil:
		if !k.paused {
			k.shut()
		}
	case x.waits() && !k.stream: // nobody is left to wait for an answer, as far as can be told
		k.shut()
	case x.tunnel:
		k.tunnelEnded(k.client)
	case x.up != upDone && !(k.leftover && x.clientMustWait()):
		k.refuseAs(wire.EndClientClosed, request.Bad("the client closed within a request's body"))
	}
}

// Broken tells that a connection failed or could not be made.
func (k *core) Broken(c wire.Conn, err error) {
	switch {
	case k.gone(c):
	case c == k.client:
		k.over = true
		k.drop()
	case k.x.connecting:
		k.x.link = nil
		k.dialFailed(err)
	default:
		k.look(k.now())
		k.x.link = nil
		k.serverLost()
	}
}

// Drained lets the side go on that waited for c.
func (k *core) Drained(c wire.Conn) {
	switch x := k.x; {
	case k.gone(c):
	case c != k.client:
		x.clientAt, x.serverAt = k.now(), k.now()
		k.resume()
	case x == nil:
		k.since = k.now()
		k.resume()
	default:
		x.clientAt, x.serverAt = k.now(), k.now()
		if x.downPaused {
			x.downPaused = false
			k.server().Resume()
		}
	}
}

// Evict ends the session politely: at once between two requests, otherwise behind the answer, which gets a while.
func (k *core) Evict(server *wire.Server) {
	x := k.x
	switch {
	case k.over || server != nil && (x == nil || x.choice.Server != server):
	case x == nil && k.begun == 0 && !k.leftover:
		k.shut()
	case x != nil && x.tunnel:
		k.endTunnel(wire.EndEvicted)
	default:
		k.closing = true
		if x != nil && x.evictBy == 0 {
			x.evictBy = k.now().Add(evictGrace)
			k.armAt(x.evictBy)
		}
	}
}

// evictGrace is how long an answer may still take when the session was asked to end.
const evictGrace = 30 * time.Second

// shut closes the client's connection politely.
func (k *core) shut() {
	k.over = true
	k.drop()
	k.client.Close()
}

// abort resets the client's connection: an answer that was begun cannot be finished, and the client must see that.
func (k *core) abort() {
	k.over = true
	k.drop()
	k.client.Abort()
}

// refuse turns a request away: nothing (more) of it is forwarded, and the connection ends.
func (k *core) refuse(v request.Verdict) {
	k.countRefused()
	if k.refused != nil {
		k.refused(v.Reason)
	}
	k.recordRefusal(v)
	x := k.x
	if x != nil && x.answering {
		k.abort()
		return
	}
	answer := request.AppendPage(k.pool.loop.Scratch(), v, x == nil || !x.isHead, k.service.Config().HTTP.ErrorPage)
	add(&k.service.Counters().BytesOut, uint64(len(answer)))
	if x != nil {
		x.account.out += uint64(len(answer))
	}
	k.client.Send(answer)
	k.shut()
}

// drop gives up the request at hand and destroys its server connection.
func (k *core) drop() {
	if k.over {
		k.leaveOwn()
	}
	x := k.x
	if x == nil {
		return
	}
	k.look(k.now())
	x.leaveQueue(k.now())
	if x.link != nil {
		k.server().Abort()
		x.link = nil
	}
	k.settle()
	k.x = nil
	k.pool.release(x)
}

// settle counts what the exchange did and gives its server back.
func (k *core) settle() {
	x := k.x
	k.count()
	k.closeAccount()
	if x.picked {
		x.picked = false
		k.service.Release(x.choice)
	}
}

// count adds what was moved since the last time to the counters of the service and of the server.
func (k *core) count() {
	x, all := k.x, k.service.Counters()
	x.account.in, x.account.out = x.account.in+x.in, x.account.out+x.out
	add(&all.BytesIn, x.in)
	add(&all.BytesOut, x.out)
	if x.choice.Server != nil {
		one := &x.choice.Server.Counters
		add(&one.BytesIn, x.in)
		add(&one.BytesOut, x.out)
	}
	x.in, x.out = 0, 0
}
