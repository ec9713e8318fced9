package mirror

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
)

// The frames: length (4 bytes, of what follows), kind, content. Numbers are big-endian.
const (
	frameTable  = 1 // sender: number of the table, its service's id; the receiver keeps it for the connection
	frameServer = 2 // sender: number of the server, its id
	frameRows   = 3 // sender: table, shard, rows in the order of use
	frameWhole  = 4 // sender: table, shard, 1 if more of it follows, rows: all that the shard holds
	frameSum    = 5 // sender: table, shard, digest, entries, last use of the oldest one
	frameRound  = 6 // sender: number of the round, how many tables it had
	frameAnswer = 7 // receiver: number of the round, then table and shard of each that differs
)

const (
	magic    = "EKPM\x00\x01" // with the version
	greeting = len(magic) + 8
	maxFrame = 1 << 18
	rowSize  = persist.KeySize + 4 + 8 + 8
	maxRows  = (maxFrame - 16) / rowSize
	maxName  = 128
	// maxNumber bounds tables and servers of a connection; a cluster has fewer (appliance.MaxServices services of MaxServers each would not fit any machine).
	maxNumber = 1 << 20
)

// damaged is the end of a connection by what the other side sent.
func damaged(format string, args ...any) error {
	return &appliance.Error{
		Kind: appliance.Invalid, Op: "copy the persistence table", Message: "The peer sent what no node of this version sends: " + fmt.Sprintf(format, args...) + ".",
		Hint: "Are both nodes of the same version?",
	}
}

// writer puts frames together.
type writer struct {
	to  *bufio.Writer
	buf []byte
}

// frame begins a frame.
func (w *writer) frame(kind byte) { w.buf = append(w.buf[:0], 0, 0, 0, 0, kind) }

func (w *writer) u8(n int)     { w.buf = append(w.buf, byte(n)) }
func (w *writer) u32(n int)    { w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n)) }
func (w *writer) u64(n uint64) { w.buf = binary.BigEndian.AppendUint64(w.buf, n) }
func (w *writer) text(s string) {
	w.u8(len(s))
	w.buf = append(w.buf, s...)
}

// end sends the frame on its way; Flush of the bufio.Writer sends it for good.
func (w *writer) end() error {
	binary.BigEndian.PutUint32(w.buf, uint32(len(w.buf)-4))
	_, err := w.to.Write(w.buf)
	return err
}

// reader takes frames apart. Once it was short, all it returns is zero.
type reader struct {
	from  *bufio.Reader
	frame []byte // what is left of it
	short bool
	buf   []byte
}

// next reads a frame and returns its kind. io.EOF says that the other side has ended between two frames.
func (r *reader) next() (kind byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r.from, head[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return 0, damaged("a frame of %d bytes", n)
	}
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, n, min(2*n, maxFrame))
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(r.from, r.buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	r.frame, r.short = r.buf[1:], false
	return r.buf[0], nil
}

func (r *reader) bytes(n int) []byte {
	if r.short || n > len(r.frame) {
		r.short = true
		return nil
	}
	out := r.frame[:n]
	r.frame = r.frame[n:]
	return out
}

func (r *reader) number(size int) (n uint64) {
	for _, c := range r.bytes(size) {
		n = n<<8 | uint64(c)
	}
	return n
}

func (r *reader) u32() int     { return int(r.number(4)) }
func (r *reader) text() string { return string(r.bytes(int(r.number(1)))) }
