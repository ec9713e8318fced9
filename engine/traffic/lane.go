package traffic

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"evenkeel/engine/wire"
)

// Lane is one loop's end of the log: it numbers, formats and queues lines. It belongs to its loop; nothing here waits or allocates.
type Lane struct {
	log    *Log
	ring   *ring
	record wire.Record
	prefix uint64 // of every ID of this loop and run
	last   uint64 // ID
	line   []byte
	stamp  []byte
	second int64 // that stamp was written for
	name   []byte
}

// Lane returns the end for another loop. It may be called before Run only.
func (l *Log) Lane() *Lane {
	n := &Lane{log: l, ring: newRing(), prefix: rand.Uint64(), line: make([]byte, 0, 2*MaxLine), stamp: make([]byte, 0, 32), name: make([]byte, 0, 40)}
	l.lanes = append(l.lanes, n)
	return n
}

// Blank returns the lane's record, to be filled.
func (n *Lane) Blank() *wire.Record { return &n.record }

// NewID returns the next number.
func (n *Lane) NewID() uint64 {
	n.last++
	return n.last
}

// AppendID appends a number as text: which run and loop, then the number, both in hexadecimal.
func (n *Lane) AppendID(dst []byte, id uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n.prefix)
	for _, c := range b {
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	dst = append(dst, '-')
	digits := 8
	for digits < 16 && id>>(4*digits) != 0 {
		digits++
	}
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, hex[id>>(4*i)&15])
	}
	return dst
}

// Write queues the line of a record, which ended at a time.
func (n *Lane) Write(service string, at time.Time, r *wire.Record) {
	n.setStamp(at)
	n.name = n.AppendID(n.name[:0], r.ID)
	e := Entry{Record: r, Stamp: n.stamp, Service: service, Name: n.name}
	n.line = AppendLine(n.line[:0], &e)
	before, ok := n.ring.put(n.line)
	if ok && (before <= 0 || before < ringSize/2 && before+4+len(n.line) >= ringSize/2) {
		n.log.wake()
	}
}

// setStamp writes the time; within one second only the milliseconds are written anew.
func (n *Lane) setStamp(at time.Time) {
	if s := at.Unix(); s != n.second || len(n.stamp) == 0 {
		n.second = s
		n.stamp = AppendStamp(n.stamp[:0], at)
		return
	}
	ms := at.Nanosecond() / int(time.Millisecond)
	tail := n.stamp[len(n.stamp)-4:]
	tail[0], tail[1], tail[2] = byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10)
}
