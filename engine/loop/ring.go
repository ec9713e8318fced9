package loop

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is one io_uring with a ring of buffers to receive into (io_uring(7)). It belongs to the thread that enabled it. Receives are done in enter and wait alone, and
// submissions are issued there in order: so a send that must not wait (MSG_DONTWAIT) is over when enter returns, and its bytes are free.
type ring struct {
	fd int32

	sqHead, sqTail, sqFlags *uint32
	sqMask                  uint32
	sqes                    []sqe
	tail                    uint32 // of what is filled; *sqTail is what the kernel was told

	cqHead, cqTail *uint32
	cqMask         uint32
	cqes           []cqe

	memory  [3][]byte // mapped: the rings, the submissions, the buffers
	buffers []byte
	offered *[ringBuffers]offeredBuffer
	given   uint16 // how many buffers were given to the kernel, ever

	patience unix.Timespec
	waiting  waitArg
}

const (
	ringEntries     = 1024
	ringCompletions = 4 * ringEntries
	ringBuffers     = 128                // a power of two
	ringBufferSize  = 24 << 10           // who fills one moves bulk and goes to epoll for good; most answers of a web server do not
	mostAhead       = 2 * ringBufferSize // of one connection, without the loop having seen it
	pageSize        = 4 << 10
)

// openRing makes a ring that is still disabled. The error is the kernel's: EINVAL before Linux 6.17, ENOSYS or EPERM where it is not allowed.
func openRing() (*ring, syscall.Errno) {
	if errno := probeRing(); errno != 0 {
		return nil, errno
	}
	return newRing(setupDisabled | setupSubmitAll | setupTaskRunFlag | setupSingleIssuer | setupDeferTaskRun)
}

// probeRing tries whether the kernel bounds what a multishot receive brings. One that does looks at the descriptor next, which is none.
func probeRing() syscall.Errno {
	r, errno := newRing(0)
	if errno != 0 {
		return errno
	}
	defer r.close()
	s, _ := r.next()
	s.op, s.fd, s.flags, s.priority, s.total = opRecv, -1, sqeBufferSelect, recvMultishot, mostAhead
	r.enter(enterGetEvents)
	switch e, ok := r.pop(); {
	case !ok:
		return unix.EOPNOTSUPP
	case e.result != -int32(unix.EBADF):
		return syscall.Errno(max(0, -e.result))
	}
	return 0
}

func newRing(flags uint32) (*ring, syscall.Errno) {
	p := ringParams{cqEntries: ringCompletions, flags: flags | setupCQSize | setupNoArray}
	fd, _, errno := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, ringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, errno
	}
	r := &ring{fd: int32(fd)}
	const wanted = featureSingleMap | featureNoDrop | featureExtArg | featureSkip
	if p.features&wanted != wanted {
		errno = unix.EOPNOTSUPP
	}
	if errno == 0 {
		errno = r.mapRings(&p)
	}
	if errno == 0 {
		errno = r.mapBuffers()
	}
	if errno != 0 {
		r.close()
		return nil, errno
	}
	return r, 0
}

func (r *ring) mapRings(p *ringParams) (errno syscall.Errno) {
	rings, errno := r.shared(0, mapRings, int(p.cq.cqes)+int(p.cqEntries)*int(unsafe.Sizeof(cqe{})))
	if errno != 0 {
		return errno
	}
	places, errno := r.shared(1, mapSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})))
	if errno != 0 {
		return errno
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&rings[offset])) }
	r.sqHead, r.sqTail, r.sqFlags, r.sqMask = at(p.sq.head), at(p.sq.tail), at(p.sq.flags), *at(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = at(p.cq.head), at(p.cq.tail), *at(p.cq.mask)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&places[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&rings[p.cq.cqes])), p.cqEntries)
	return 0
}

// shared maps what the kernel and we write to.
func (r *ring) shared(n int, offset int64, size int) ([]byte, syscall.Errno) {
	b, err := unix.Mmap(int(r.fd), offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	r.memory[n] = b
	return b, errnoOf(err)
}

// mapBuffers registers the ring of buffers and offers them all. What is never filled takes no memory.
func (r *ring) mapBuffers() syscall.Errno {
	all, err := unix.Mmap(-1, 0, pageSize+ringBuffers*ringBufferSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return errnoOf(err)
	}
	r.memory[2], r.buffers, r.offered = all, all[pageSize:], (*[ringBuffers]offeredBuffer)(unsafe.Pointer(&all[0]))
	registration := bufferRegistration{addr: addressIn(all), entries: ringBuffers}
	if errno := r.register(registerBufferRing, unsafe.Pointer(&registration), 1); errno != 0 {
		return errno
	}
	for i := range ringBuffers {
		r.offer(uint16(i))
	}
	r.publish()
	return 0
}

// enable makes the calling thread the ring's.
func (r *ring) enable() syscall.Errno { return r.register(registerEnable, nil, 0) }

func (r *ring) register(op uintptr, arg unsafe.Pointer, n uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), n, 0, 0)
	return errno
}

func (r *ring) buffer(id uint16) []byte {
	return r.buffers[int(id)*ringBufferSize : (int(id)+1)*ringBufferSize]
}

// offer gives a buffer back; the kernel sees it after publish.
func (r *ring) offer(id uint16) {
	place := &r.offered[r.given%ringBuffers]
	place.addr, place.length, place.id = addressIn(r.buffer(id)), ringBufferSize, id
	r.given++
}

// publish stores the tail, 16 bits that lie behind an id: the least that can be stored atomically is both.
func (r *ring) publish() {
	first := &r.offered[0]
	var both [2]uint16
	both[0], both[1] = first.id, r.given
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&first.id)), *(*uint32)(unsafe.Pointer(&both)))
}

// next returns a cleared place for a submission, and its number.
func (r *ring) next() (*sqe, uint32) {
	for r.unseen() >= uint32(len(r.sqes)) {
		r.enter(0)
	}
	n := r.tail
	r.tail++
	s := r.place(n)
	*s = sqe{}
	return s, n
}

func (r *ring) place(n uint32) *sqe { return &r.sqes[n&r.sqMask] }

// isTaken tells whether the kernel has taken the submission of that number.
func (r *ring) isTaken(n uint32) bool { return int32(n-atomic.LoadUint32(r.sqHead)) < 0 }

// unseen is how many submissions the kernel has not taken.
func (r *ring) unseen() uint32 { return r.tail - atomic.LoadUint32(r.sqHead) }

// enter submits what is there and does not wait.
func (r *ring) enter(flags uintptr) {
	atomic.StoreUint32(r.sqTail, r.tail)
	syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unseen()), 0, flags, 0, 0)
}

// hasWork tells whether the kernel waits for being entered.
func (r *ring) hasWork() bool { return atomic.LoadUint32(r.sqFlags)&(sqTaskRun|sqOverflow) != 0 }

// look submits, and has the kernel do what it can do now, if there is anything.
func (r *ring) look() {
	if r.unseen() > 0 || r.hasWork() {
		r.enter(enterGetEvents)
	}
}

// wait submits and waits for a completion, at most that long (negative: for ever), and lets other goroutines have the processor meanwhile.
func (r *ring) wait(most time.Duration) {
	atomic.StoreUint32(r.sqTail, r.tail)
	r.waiting = waitArg{maskSize: 8}
	if most >= 0 {
		r.patience = unix.NsecToTimespec(int64(most))
		r.waiting.patience = uint64(uintptr(unsafe.Pointer(&r.patience)))
	}
	_, _, _ = syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unseen()), 1, enterGetEvents|enterExtArg,
		uintptr(unsafe.Pointer(&r.waiting)), unsafe.Sizeof(r.waiting)) // EINTR is an idle tick, ETIME the end of the patience
}

// done tells whether there are completions.
func (r *ring) done() bool { return *r.cqHead != atomic.LoadUint32(r.cqTail) }

// pop takes the oldest completion.
func (r *ring) pop() (cqe, bool) {
	if !r.done() {
		return cqe{}, false
	}
	head := *r.cqHead
	e := r.cqes[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	return e, true
}

// has tells whether a completion of that name waits to be handled.
func (r *ring) has(user uint64) bool {
	for n, end := *r.cqHead, atomic.LoadUint32(r.cqTail); n != end; n++ {
		if r.cqes[n&r.cqMask].user == user {
			return true
		}
	}
	return false
}

func (r *ring) close() {
	sysClose(r.fd)
	for _, m := range r.memory {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
}

// addressIn is where b begins, for the kernel; whoever gives it there keeps b.
func addressIn(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func errnoOf(err error) syscall.Errno {
	errno, _ := err.(syscall.Errno)
	return errno
}
