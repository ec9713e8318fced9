package dicom

import (
	"bufio"
	"errors"
	"io"
)

// ErrReleaseRequested says that the peer wants to end the association in order: answer with a *ReleaseResponse and close.
var ErrReleaseRequested = errors.New("the peer asked to release the association")

// maxCommand bounds a command set; real ones have some hundred bytes.
const maxCommand = 64 << 10

// Link carries whole messages (a command set, maybe a data set) over an established association, one after the other in each
// direction. One goroutine may receive while another sends.
type Link struct {
	in     *Reader
	out    io.Writer
	chunk  int     // longest fragment that fits the peer's maximum
	values []Value // of the last P-DATA-TF, not yet taken
	set    *incoming
	frame  []byte // outgoing unit, reused
}

// NewLink returns a Link over an association whose units come from in and go to out. peerMax is what the peer announced in
// its user information; zero means without limit.
func NewLink(in *Reader, out io.Writer, peerMax uint32) *Link {
	length := uint32(DefaultMaxPDU)
	if peerMax != 0 {
		length = min(length, max(peerMax, minMaxPDU))
	}
	return &Link{in: in, out: out, chunk: int(length-valueHeader) &^ 1}
}

// Receive returns the next command set and its presentation context. What is left of the last message's data set is dropped
// first. When HasDataSet, the data set follows through DataSet. Errors: ErrReleaseRequested, *Aborted, *ProtocolError, io.EOF
// when the stream ends between units, and whatever the stream returned.
func (l *Link) Receive() (context byte, c Command, err error) {
	if l.set != nil {
		if _, err := l.set.WriteTo(io.Discard); err != nil {
			return 0, Command{}, err
		}
		l.set = nil
	}
	var bytes []byte
	for {
		v, err := l.next()
		if err != nil {
			return 0, Command{}, err
		}
		switch {
		case !v.Command:
			return 0, Command{}, nonsense("a data set came without its command")
		case len(bytes) > 0 && v.Context != context:
			return 0, Command{}, nonsense("a command set changes from presentation context %d to %d", context, v.Context)
		case len(bytes)+len(v.Fragment) > maxCommand:
			return 0, Command{}, nonsense("a command set is longer than %d bytes", maxCommand)
		}
		context = v.Context
		bytes = append(bytes, v.Fragment...)
		if v.Last {
			break
		}
	}
	if c, err = DecodeCommand(bytes); err != nil {
		return 0, Command{}, err
	}
	if c.HasDataSet {
		l.set = &incoming{link: l, context: context}
	}
	return context, c, nil
}

// DataSet returns the data set of the message that Receive returned last; it streams. Its errors are those of Receive, with
// io.ErrUnexpectedEOF when the stream ends before the data set does. Without a data set it is empty.
func (l *Link) DataSet() io.Reader {
	if l.set == nil {
		return eof{}
	}
	return l.set
}

// Send sends c on a presentation context, and set behind it unless it is nil; c.HasDataSet is set accordingly.
func (l *Link) Send(context byte, c Command, set io.Reader) error {
	c.HasDataSet = set != nil
	if err := l.sendCommand(context, AppendCommand(nil, c)); err != nil || set == nil {
		return err
	}
	buffered := bufio.NewReaderSize(set, l.chunk)
	for last := false; !last; {
		head := pduHeader + valueHeader
		l.reserve(head + l.chunk)
		n, err := io.ReadFull(buffered, l.frame[head:head+l.chunk])
		if err == nil {
			_, err = buffered.Peek(1)
		}
		last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		if err := l.flush(context, false, last, n); err != nil {
			return err
		}
	}
	return nil
}

func (l *Link) sendCommand(context byte, encoded []byte) error {
	for len(encoded) > 0 {
		n := min(len(encoded), l.chunk)
		head := pduHeader + valueHeader
		l.reserve(head + n)
		copy(l.frame[head:], encoded[:n])
		encoded = encoded[n:]
		if err := l.flush(context, true, len(encoded) == 0, n); err != nil {
			return err
		}
	}
	return nil
}

// reserve makes the outgoing frame n bytes long.
func (l *Link) reserve(n int) {
	if cap(l.frame) < n {
		l.frame = make([]byte, n)
	}
	l.frame = l.frame[:n]
}

// flush sends the fragment of n bytes that stands in the frame.
func (l *Link) flush(context byte, command, last bool, n int) error {
	head, mark := begin(l.frame[:0], typeTransfer)
	appendValueHeader(head, context, command, last, n)
	frame, err := finish(l.frame[:pduHeader+valueHeader+n], mark)
	if err != nil {
		return err
	}
	_, err = l.out.Write(frame)
	return err
}

// next returns the next value.
func (l *Link) next() (Value, error) {
	if len(l.values) == 0 {
		unit, err := l.in.Next()
		if err != nil {
			return Value{}, err
		}
		switch unit := unit.(type) {
		case *Transfer:
			l.values = unit.Values
		case *ReleaseRequest:
			return Value{}, ErrReleaseRequested
		case *Aborted:
			return Value{}, unit
		default:
			return Value{}, nonsense("an association unit came within the association")
		}
	}
	v := l.values[0]
	l.values = l.values[1:]
	return v, nil
}

// incoming is a data set on its way.
type incoming struct {
	link    *Link
	context byte
	rest    []byte // of the current fragment
	last    bool   // the current fragment is the last
	err     error  // sticky
}

// Read returns bytes of the data set.
func (s *incoming) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// WriteTo writes fragment by fragment, without a copy.
func (s *incoming) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		for len(s.rest) == 0 {
			if err := s.advance(); errors.Is(err, io.EOF) {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		n, err := w.Write(s.rest)
		total += int64(n)
		s.rest = s.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// advance takes the next fragment, or returns io.EOF behind the last.
func (s *incoming) advance() error {
	if s.err != nil {
		return s.err
	}
	if s.last {
		s.err = io.EOF
		return s.err
	}
	v, err := s.link.next()
	switch {
	case err != nil:
		s.err = cut(err)
	case v.Command || v.Context != s.context:
		s.err = nonsense("a data set is interrupted by another message")
	default:
		s.rest, s.last = v.Fragment, v.Last
	}
	return s.err
}

// eof is an empty stream.
type eof struct{}

// Read returns io.EOF.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }
