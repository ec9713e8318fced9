// Package mllp is the codec of HL7 version 2 over MLLP (Minimal Lower Layer Protocol, release 1): frames, the message
// header, and acknowledgements. It does no I/O of its own beyond the reader and writer it is given; deadlines are the caller's.
//
// A frame is 0x0B, the message, 0x1C, 0x0D. Neither 0x0B nor 0x1C may occur inside a message.
package mllp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The bytes that frame a message.
const (
	startBlock     = 0x0B
	endBlock       = 0x1C
	carriageReturn = 0x0D
	lineFeed       = 0x0A
)

// DefaultMaxMessage is the bound of a message in bytes when ReaderOptions names none: documents in OBX segments can be large.
const DefaultMaxMessage = 16 << 20

// ErrTooLarge says that a message exceeds the reader's bound. Nothing more can be read from that connection.
var ErrTooLarge = errors.New("the message is larger than allowed")

// FrameError says that the peer does not speak MLLP. Nothing more can be read from that connection.
type FrameError struct {
	Reason string // one sentence without a full stop
}

// Error returns the reason.
func (e *FrameError) Error() string { return e.Reason }

// ReaderOptions says how a Reader is made.
type ReaderOptions struct {
	MaxMessage int // bytes of one message without its frame; zero means DefaultMaxMessage
}

// Reader takes frames from a stream. It is not safe for concurrent use.
type Reader struct {
	in      *bufio.Reader
	max     int
	message []byte
}

// NewReader returns a Reader that buffers r.
func NewReader(r io.Reader, options ReaderOptions) *Reader {
	if options.MaxMessage <= 0 {
		options.MaxMessage = DefaultMaxMessage
	}
	return &Reader{in: bufio.NewReader(r), max: options.MaxMessage}
}

// Next returns the next message without its frame; the bytes stay valid until the next call. CR and LF between frames are
// skipped, because many senders add them. Errors: io.EOF between frames, io.ErrUnexpectedEOF inside one, ErrTooLarge,
// *FrameError, and whatever the stream returned.
func (r *Reader) Next() ([]byte, error) {
	if err := r.skipToStart(); err != nil {
		return nil, err
	}
	r.message = r.message[:0]
	for {
		part, err := r.in.ReadSlice(endBlock)
		if len(part) > 0 && part[len(part)-1] == endBlock {
			part = part[:len(part)-1]
		}
		if bytes.IndexByte(part, startBlock) >= 0 {
			return nil, &FrameError{Reason: "a new message began before the last one ended"}
		}
		if len(r.message)+len(part) > r.max {
			return nil, ErrTooLarge
		}
		r.message = append(r.message, part...)
		switch {
		case err == nil:
			if err := r.finish(); err != nil {
				return nil, err
			}
			return r.message, nil
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return nil, inside(err)
		}
	}
}

// skipToStart consumes line ends and the start block.
func (r *Reader) skipToStart() error {
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		switch b {
		case startBlock:
			return nil
		case carriageReturn, lineFeed:
		default:
			return &FrameError{Reason: fmt.Sprintf("a message must begin with 0x0B, not with %s", r.sample(b))}
		}
	}
}

// sample quotes what came instead of a start block, so that a web server behind the port is recognised by its answer.
func (r *Reader) sample(first byte) string {
	rest, _ := r.in.Peek(min(r.in.Buffered(), 31))
	return fmt.Sprintf("%.48q", append([]byte{first}, rest...))
}

// finish consumes the carriage return behind the end block.
func (r *Reader) finish() error {
	b, err := r.in.ReadByte()
	if err != nil {
		return inside(err)
	}
	if b != carriageReturn {
		return &FrameError{Reason: fmt.Sprintf("the end of a message must be 0x1C 0x0D, not 0x1C 0x%02X", b)}
	}
	return nil
}

// inside turns an end of stream within a frame into io.ErrUnexpectedEOF.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// AppendFrame appends message in its frame to dst. A message that holds 0x0B or 0x1C cannot be framed: *FrameError.
func AppendFrame(dst, message []byte) ([]byte, error) {
	if bytes.IndexByte(message, startBlock) >= 0 || bytes.IndexByte(message, endBlock) >= 0 {
		return dst, &FrameError{Reason: "a message must not hold the bytes 0x0B or 0x1C"}
	}
	dst = append(dst, startBlock)
	dst = append(dst, message...)
	return append(dst, endBlock, carriageReturn), nil
}

// Write sends message in its frame with one call of w.Write. Errors: *FrameError, and whatever the stream returned.
func Write(w io.Writer, message []byte) error {
	frame, err := AppendFrame(make([]byte, 0, len(message)+3), message)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}
