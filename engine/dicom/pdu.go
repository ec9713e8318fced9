// Package dicom is the codec of DICOM's network protocol as far as a load balancer and its sample servers need it: the upper
// layer's protocol data units (PS3.8 section 9.3), command sets (PS3.7 section 9.3 and annex E), data sets in the uncompressed
// transfer syntaxes (PS3.5 sections 7 and annex A), the header of files (PS3.10 section 7), and the client's side of C-ECHO
// and C-STORE. It does no I/O of its own beyond the reader and writer it is given; deadlines are the caller's.
package dicom

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Types of protocol data units, PS3.8 section 9.3.1.
const (
	typeAssociateRequest = 1
	typeAssociateAccept  = 2
	typeAssociateReject  = 3
	typeTransfer         = 4
	typeReleaseRequest   = 5
	typeReleaseResponse  = 6
	typeAbort            = 7
)

const (
	// DefaultMaxPDU is the length of a P-DATA-TF that is announced and accepted when options name none.
	DefaultMaxPDU = 128 << 10
	// maxAssociate bounds an association request: 128 contexts with some dozens of transfer syntaxes each fit.
	maxAssociate = 512 << 10
	// minMaxPDU is the smallest maximum a peer may ask for; below it nothing sensible fits.
	minMaxPDU = 16
	// pduHeader is type, a reserved byte and a length of four bytes.
	pduHeader = 6
	// valueHeader is what precedes a fragment: a length of four bytes, the context id and the control byte.
	valueHeader = 6
)

// ProtocolError says that the peer broke the protocol or does not speak DICOM. Nothing more can be read from that connection.
type ProtocolError struct {
	Reason string // one clause without a full stop
}

// Error returns the reason.
func (e *ProtocolError) Error() string { return e.Reason }

func nonsense(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...)}
}

// PDU is one of *AssociateRequest, *AssociateAccept, *Rejected, *Transfer, *ReleaseRequest, *ReleaseResponse and *Aborted.
type PDU interface {
	// appendPDU appends the encoded unit.
	appendPDU(dst []byte) ([]byte, error)
}

// Value is a presentation data value: a fragment of a command set or a data set.
type Value struct {
	Context  byte // presentation context id, odd
	Command  bool // a command set, otherwise a data set
	Last     bool // the last fragment
	Fragment []byte
}

// Transfer is a P-DATA-TF.
type Transfer struct {
	Values []Value // at least one
}

// ReleaseRequest is an A-RELEASE-RQ.
type ReleaseRequest struct{}

// ReleaseResponse is an A-RELEASE-RP.
type ReleaseResponse struct{}

// ReaderOptions says how a Reader is made.
type ReaderOptions struct {
	MaxPDU int // longest P-DATA-TF accepted; zero means DefaultMaxPDU
}

// Reader takes units from a stream. It is not safe for concurrent use.
type Reader struct {
	in     *bufio.Reader
	max    int
	buffer []byte
}

// NewReader returns a Reader that buffers r.
func NewReader(r io.Reader, options ReaderOptions) *Reader {
	if options.MaxPDU <= 0 {
		options.MaxPDU = DefaultMaxPDU
	}
	return &Reader{in: bufio.NewReader(r), max: options.MaxPDU}
}

// Next returns the next unit; fragments stay valid until the next call. Errors: io.EOF between units, io.ErrUnexpectedEOF
// inside one, *ProtocolError, and whatever the stream returned.
func (r *Reader) Next() (PDU, error) {
	var header [pduHeader]byte
	if n, err := io.ReadFull(r.in, header[:]); err != nil {
		if n > 0 && !plausibleType(header[0]) {
			return nil, r.foreign(header[:n])
		}
		return nil, err
	}
	kind, length := header[0], binary.BigEndian.Uint32(header[2:])
	if err := r.checkHeader(header[:], kind, length); err != nil {
		return nil, err
	}
	body, err := r.body(int(length))
	if err != nil {
		return nil, err
	}
	return decodeBody(kind, body)
}

// checkHeader refuses lengths before a byte is stored for them.
func (r *Reader) checkHeader(header []byte, kind byte, length uint32) error {
	limit := uint32(4)
	switch kind {
	case typeAssociateRequest, typeAssociateAccept:
		limit = maxAssociate
	case typeTransfer:
		limit = uint32(r.max)
	case typeAssociateReject, typeReleaseRequest, typeReleaseResponse, typeAbort:
		if length != 4 {
			return nonsense("a unit of type %d must be 4 bytes long, not %d", kind, length)
		}
	default:
		return r.foreign(header)
	}
	if length > limit {
		return nonsense("a unit of type %d announces %d bytes, more than the %d allowed", kind, length, limit)
	}
	return nil
}

// body reads n bytes into the buffer, which grows only as bytes arrive: an announced length costs nothing.
func (r *Reader) body(n int) ([]byte, error) {
	const step = 64 << 10
	for have := 0; have < n; {
		next := min(n, have+step)
		if cap(r.buffer) < next {
			grown := make([]byte, max(next, min(2*cap(r.buffer), n)))
			copy(grown, r.buffer[:have])
			r.buffer = grown
		}
		r.buffer = r.buffer[:cap(r.buffer)]
		if _, err := io.ReadFull(r.in, r.buffer[have:next]); err != nil {
			return nil, cut(err)
		}
		have = next
	}
	return r.buffer[:n], nil
}

// Write encodes p and sends it with one call of w.Write. Errors: *ProtocolError when p cannot be expressed, and whatever the
// stream returned.
func Write(w io.Writer, p PDU) error {
	frame, err := p.appendPDU(nil)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}

func plausibleType(kind byte) bool { return kind >= typeAssociateRequest && kind <= typeAbort }

// foreign quotes what came instead of a unit, so that a web server behind the port is recognised by its answer.
func (r *Reader) foreign(start []byte) error {
	rest, _ := r.in.Peek(min(r.in.Buffered(), 32))
	return nonsense("the bytes %.32q are not DICOM", append(bytes.Clone(start), rest...))
}

// cut turns an end of stream within a unit into io.ErrUnexpectedEOF.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
