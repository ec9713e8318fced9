package traffic

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// ringSize is how many bytes of lines may wait of one loop; a power of two.
const ringSize = 1 << 20

// ring carries lines from one loop to the one writer without a lock: the loop alone moves head, the writer alone moves tail. A line stands behind its length
// in four bytes, and may go round the end.
type ring struct {
	head    atomic.Uint64 // bytes written in all
	tail    atomic.Uint64 // bytes taken in all
	dropped atomic.Uint64 // lines that found no room
	buffer  []byte
}

func newRing() *ring { return &ring{buffer: make([]byte, ringSize)} }

// put copies a line in and tells how much waited before it when it was there for the writer to see; false: there was no room.
func (r *ring) put(line []byte) (before int, ok bool) {
	head := r.head.Load()
	if int(head-r.tail.Load())+4+len(line) > len(r.buffer) {
		r.dropped.Add(1)
		return 0, false
	}
	var size [4]byte
	binary.LittleEndian.PutUint32(size[:], uint32(len(line)))
	r.write(head, size[:])
	r.write(head+4, line)
	r.head.Store(head + 4 + uint64(len(line)))
	return int(head - r.tail.Load()), true // looked at behind the store: a writer that saw nothing has emptied the ring by now, and is woken
}

func (r *ring) write(at uint64, b []byte) {
	n := copy(r.buffer[at&(ringSize-1):], b)
	copy(r.buffer, b[n:])
}

func (r *ring) read(at uint64, b []byte) {
	n := copy(b, r.buffer[at&(ringSize-1):])
	copy(b[n:], r.buffer)
}

// take appends every line that waits to dst.
func (r *ring) take(dst []byte) []byte {
	for tail := r.tail.Load(); tail < r.head.Load(); {
		var size [4]byte
		r.read(tail, size[:])
		n := int(binary.LittleEndian.Uint32(size[:]))
		at := len(dst)
		dst = slices.Grow(dst, n)[:at+n]
		r.read(tail+4, dst[at:])
		tail += 4 + uint64(n)
		r.tail.Store(tail)
	}
	return dst
}
