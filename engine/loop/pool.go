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
	free    [chunkClasses][]*chunk
	used    int // bytes of chunks that connections have
}

// Chunks are of 4, 8, 12 and so on up to 64 KiB, so that what waits for thousands of slow peers takes not much more memory than it is long; of each kind some free ones
// are kept.
const (
	chunkStep    = 4 << 10
	chunkClasses = 16
	chunksKept   = 512 << 10 // bytes
)

// classOf returns which chunks have room for size bytes: those of classOf + 1 steps.
func classOf(size int) int { return max(0, size-1) / chunkStep }

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
	if i := classOf(size); i < chunkClasses {
		k = take(&p.free[i], (i+1)*chunkStep)
	} else {
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
	if i := classOf(cap(k.b)); i < chunkClasses && cap(k.b) == (i+1)*chunkStep && len(p.free[i]) < chunksKept/cap(k.b) {
		p.free[i] = append(p.free[i], k)
	}
}

// pipe is a pipe for splicing: an empty one is in the pool, one with bytes belongs to a connection.
type pipe struct{ r, w int32 }

const (
	pipeSize  = 256 << 10
	keptPipes = 32
	mostPipes = 256 // with bytes in them, which slow receivers can make last; beyond it bytes are copied
)

func (l *Loop) getPipe() (pipe, bool) {
	if l.piped >= mostPipes {
		return pipe{}, false
	}
	p, ok := l.readyPipe()
	if ok {
		l.piped++
	}
	return p, ok
}

func (l *Loop) readyPipe() (pipe, bool) {
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
	l.piped--
	if len(l.pipes) < keptPipes {
		l.pipes = append(l.pipes, p)
		return
	}
	p.close()
}

// dropPipe closes a pipe with bytes in it.
func (l *Loop) dropPipe(p pipe) {
	l.piped--
	p.close()
}

func (p pipe) close() {
	sysClose(p.r)
	sysClose(p.w)
}
