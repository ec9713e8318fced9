package loop

import "golang.org/x/sys/unix"

// chunk is a queue of bytes: b[off:] waits.
type chunk struct {
	b   []byte
	off int
}

func (k *chunk) waiting() []byte { return k.b[k.off:] }

// buffers are the memory of one loop: what every connection shares, and chunks for the few that have bytes waiting.
type buffers struct {
	shared  []byte // to read into
	scratch []byte // for cores to build output in
	small   []*chunk
	large   []*chunk
	used    int // bytes of chunks that connections have
}

const (
	smallChunk = 4 << 10
	largeChunk = 64 << 10
	keptSmall  = 256 // free chunks that are kept
	keptLarge  = 64
)

// add appends b to k, which may be nil, and returns the queue.
func (p *buffers) add(k *chunk, b []byte) *chunk {
	if k == nil {
		k = p.get(len(b))
	}
	if need := len(k.b) + len(b); need > cap(k.b) {
		if live := len(k.b) - k.off; live+len(b) <= cap(k.b) {
			copy(k.b, k.waiting())
			k.b, k.off = k.b[:live], 0
		} else {
			bigger := p.get(max(live+len(b), 2*cap(k.b)))
			bigger.b = append(bigger.b, k.waiting()...)
			p.put(k)
			k = bigger
		}
	}
	k.b = append(k.b, b...)
	return k
}

func (p *buffers) get(size int) *chunk {
	k := (*chunk)(nil)
	switch {
	case size <= smallChunk:
		k = take(&p.small, smallChunk)
	case size <= largeChunk:
		k = take(&p.large, largeChunk)
	default:
		k = &chunk{b: make([]byte, 0, size)}
	}
	p.used += cap(k.b)
	return k
}

func take(list *[]*chunk, size int) *chunk {
	n := len(*list)
	if n == 0 {
		return &chunk{b: make([]byte, 0, size)}
	}
	k := (*list)[n-1]
	(*list)[n-1] = nil
	*list = (*list)[:n-1]
	return k
}

// put takes k back; nil is allowed.
func (p *buffers) put(k *chunk) {
	if k == nil {
		return
	}
	k.b, k.off = k.b[:0], 0
	p.used -= cap(k.b)
	switch {
	case cap(k.b) == smallChunk && len(p.small) < keptSmall:
		p.small = append(p.small, k)
	case cap(k.b) == largeChunk && len(p.large) < keptLarge:
		p.large = append(p.large, k)
	}
}

// pipe is a pipe for splicing: an empty one is in the pool, one with bytes belongs to a connection.
type pipe struct{ r, w int32 }

const (
	pipeSize  = 256 << 10
	keptPipes = 32
)

func (l *Loop) getPipe() (pipe, bool) {
	if n := len(l.pipes); n > 0 {
		p := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return p, true
	}
	var fds [2]int
	if l.noPipes || unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return pipe{}, false
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // refused beyond the user's limit: the default serves
	return pipe{int32(fds[0]), int32(fds[1])}, true
}

func (l *Loop) putPipe(p pipe) {
	if len(l.pipes) < keptPipes {
		l.pipes = append(l.pipes, p)
		return
	}
	p.close()
}

func (p pipe) close() {
	sysClose(p.r)
	sysClose(p.w)
}
