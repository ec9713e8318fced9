package http2

import "evenkeel/engine/wire"

// Shared is what the connections of one loop share; nothing in it is used by two loops.
type Shared struct {
	loop  wire.Loop
	head  head
	offer []byte // what a stream's core is offered
	block []byte // a header block that is being made; its first byte empties the peer's table
	free  [][]byte
}

const (
	bufferSize  = flushFrom + frameLimit + 2*frameHead
	keptBuffers = 32
)

// NewShared returns what the connections of a loop share.
func NewShared(loop wire.Loop) *Shared { return &Shared{loop: loop} }

// get returns an empty buffer.
func (p *Shared) get() []byte {
	p.loop.Hold(bufferSize)
	n := len(p.free)
	if n == 0 {
		return make([]byte, 0, bufferSize)
	}
	b := p.free[n-1]
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	return b
}

// put takes a buffer back, or nil; one that has grown large is left to the collector.
func (p *Shared) put(b []byte) {
	if b == nil {
		return
	}
	p.loop.Hold(-bufferSize)
	if cap(b) >= bufferSize && cap(b) <= 2*bufferSize && len(p.free) < keptBuffers {
		p.free = append(p.free, b[:0])
	}
}
