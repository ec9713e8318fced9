package compress

import (
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The effort: fast before small, since the loop waits for it. The windows bound the memory of an encoder.
const (
	gzipLevel     = 3
	brotliQuality = 3
	brotliWindow  = 18 // bits
	zstdWindow    = 256 << 10
)

// coder is what the libraries' writers have in common.
type coder interface {
	io.WriteCloser
	Flush() error
}

// Encoder codes one body. It is used for one at a time and comes from a Pool.
type Encoder struct {
	coding Coding
	coder  coder
	out    tail
}

// tail collects what the library writes.
type tail struct{ b []byte }

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	return len(b), nil
}

// Coding returns what the encoder makes.
func (e *Encoder) Coding() Coding { return e.coding }

// Append codes b and appends to out what is ready of it. With flush everything is, so that a client can read all that was given.
func (e *Encoder) Append(out, b []byte, flush bool) []byte {
	e.out.b = out
	_, _ = e.coder.Write(b) // tail never fails
	if flush && len(b) > 0 {
		_ = e.coder.Flush()
	}
	return e.take()
}

// End appends the end of the coded body.
func (e *Encoder) End(out []byte) []byte {
	e.out.b = out
	_ = e.coder.Close()
	return e.take()
}

func (e *Encoder) take() []byte {
	b := e.out.b
	e.out.b = nil
	return b
}

func (e *Encoder) reset() {
	switch c := e.coder.(type) {
	case *gzip.Writer:
		c.Reset(&e.out)
	case *brotli.Writer:
		c.Reset(&e.out)
	case *zstd.Encoder:
		c.Reset(&e.out)
	}
}

func newEncoder(c Coding) *Encoder {
	e := &Encoder{coding: c}
	switch c {
	case Gzip:
		w, err := gzip.NewWriterLevel(&e.out, gzipLevel)
		if err != nil {
			return nil
		}
		e.coder = w
	case Brotli:
		e.coder = brotli.NewWriterOptions(&e.out, brotli.WriterOptions{Quality: brotliQuality, LGWin: brotliWindow})
	case Zstd:
		w, err := zstd.NewWriter(&e.out, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil
		}
		e.coder = w
	default:
		return nil
	}
	return e
}

// MaxEncoders is how many bodies a Pool codes at the same time. An encoder holds about 1 MiB; what comes beyond is sent as it is.
const MaxEncoders = 64

// Pool is the encoders of one loop. The zero value is ready; it is not safe for concurrent use.
type Pool struct {
	idle [Zstd + 1][]*Encoder
	used int
}

// Get returns an encoder, or nil when too many are in use.
func (p *Pool) Get(c Coding) *Encoder {
	if c == Identity || p.used >= MaxEncoders {
		return nil
	}
	list := p.idle[c]
	if len(list) == 0 {
		e := newEncoder(c)
		if e != nil {
			p.used++
		}
		return e
	}
	e := list[len(list)-1]
	list[len(list)-1] = nil
	p.idle[c] = list[:len(list)-1]
	p.used++
	e.reset()
	return e
}

// maxIdle is how many encoders of a kind wait for further use.
const maxIdle = 8

// Put gives an encoder back; its body need not be complete.
func (p *Pool) Put(e *Encoder) {
	p.used--
	e.out.b = nil
	if len(p.idle[e.coding]) < maxIdle {
		p.idle[e.coding] = append(p.idle[e.coding], e)
	}
}
