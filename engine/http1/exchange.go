package http1

import (
	"net/netip"

	"evenkeel/engine/cache"
	"evenkeel/engine/compress"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// upKind is what of the request is still to come.
type upKind uint8

const (
	upDone upKind = iota
	upLength
	upChunked
)

// downKind is what of the response is still to come.
type downKind uint8

const (
	downHead downKind = iota
	downNone
	downLength
	downChunked
	downClose // until the server closes
)

// exchange is one request and its response; it exists only while the request is served.
type exchange struct {
	next     *exchange // in the pool
	choice   wire.Choice
	link     *link          // the server connection, nil when there is none
	tried    []*wire.Server // that failed for this request
	client   netip.AddrPort // as it counts for persistence and hashing
	session  []byte         // what the client showed, see wire.Query
	edits    []*rules.Edit  // of the response's header
	route    int            // as rules decided, for wire.Query
	key      uint64         // of what the scheduler chooses by
	held     []byte         // what was sent, or is to be sent once connected, so that it can be sent again
	upLeft   int64          // of the request's body (upLength)
	downLeft int64          // of the response's body (downLength)
	passed   int64          // of a body until close
	in, out  uint64         // bytes not yet counted
	clientAt wire.Time      // when the client last made progress
	serverAt wire.Time      // when the server last made progress, or began to owe; a head is one piece of progress
	sentAt   wire.Time      // when the head was sent
	dialedAt wire.Time      // when a server was dialed first, or zero
	evictBy  wire.Time      // when the grace of an eviction ends, or zero

	upMoved, downMoved int64   // what the splices had moved when they were looked at
	unread             backlog // what the server has still to take

	stay                 stay
	account              account
	upChunks, downChunks chunks
	encoder              *compress.Encoder // of the response's body; nil: it passes as it is
	search               search            // for the end of the response head
	flight               *cache.Flight     // others wait for the response; nil: nobody may
	kept                 *cache.Entry      // what becomes of the response for others; nil: nothing
	sent                 map[string]string // fields of the request of a flight, by lower-case name
	writes               string            // the key whose kept responses end with this request's success
	interim              uint8
	coding               compress.Coding // that the client wants
	up                   upKind
	down                 downKind
	minor                byte // the client's version
	isHead               bool
	idempotent           bool
	wantsWS              bool
	expects              bool // the client waits for 100 before it sends its body
	reframed             bool // a chunked answer is decoded and written anew
	picked               bool // to be released
	connecting           bool
	pooled               bool // the server connection was used before
	replay               bool // held is all that was sent
	answered             bool // the server has sent something
	answering            bool // a part of the final answer went to the client
	clientKeeps          bool // the client's connection stays open behind the response
	serverKeeps          bool
	upSplice, downSplice bool
	downPaused           bool
	tunnel               bool
	copies               bool // a tunnel whose bytes the kernel cannot move
	upEnded, downEnded   bool // of a tunnel
}

// clientMustWait tells whether nothing of the client can be taken now, so that it is better not read.
func (x *exchange) clientMustWait() bool {
	return x.up == upDone || x.waits() || x.connecting || x.link != nil && x.link.conn.Queued() > 0
}
