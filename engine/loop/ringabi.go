package loop

// What linux/io_uring.h defines, as far as it is used here.

// sqe is struct io_uring_sqe.
type sqe struct {
	op       uint8
	flags    uint8
	priority uint16
	fd       int32
	offset   uint64
	addr     uint64
	length   uint32
	opFlags  uint32
	user     uint64
	group    uint16
	_        uint16
	total    uint32 // of a multishot receive: after so many bytes it ends
	_        [2]uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	user   uint64
	result int32
	flags  uint32
}

// ringParams is struct io_uring_params.
type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, other uint32

	_  [3]uint32
	sq sqOffsets
	cq cqOffsets
}

// sqOffsets is struct io_sqring_offsets.
type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32

	_ uint64
}

// cqOffsets is struct io_cqring_offsets.
type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32

	_ uint64
}

// bufferRegistration is struct io_uring_buf_reg.
type bufferRegistration struct {
	addr         uint64
	entries      uint32
	group, flags uint16
	_            [3]uint64
}

// offeredBuffer is struct io_uring_buf; the tail of the ring lies in the first one.
type offeredBuffer struct {
	addr   uint64
	length uint32
	id     uint16
	_      uint16 // the tail
}

const (
	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupDisabled     = 1 << 6
	setupSubmitAll    = 1 << 7
	setupTaskRunFlag  = 1 << 9
	setupSingleIssuer = 1 << 12
	setupDeferTaskRun = 1 << 13
	setupNoArray      = 1 << 16

	featureSingleMap = 1 << 0
	featureNoDrop    = 1 << 1
	featureExtArg    = 1 << 8
	featureSkip      = 1 << 11

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerEnable     = 12
	registerBufferRing = 22

	opNop    = 0
	opPoll   = 6
	opCancel = 14
	opSend   = 26
	opRecv   = 27

	sqeBufferSelect = 1 << 5
	sqeSkipSuccess  = 1 << 6
	recvPollFirst   = 1 << 0
	recvMultishot   = 1 << 1

	cqeBuffer      = 1 << 0
	cqeMore        = 1 << 1
	cqeBufferShift = 16

	sqOverflow = 1 << 1
	sqTaskRun  = 1 << 2

	mapRings = 0
	mapSQEs  = 0x10000000
)

// waitArg is struct io_uring_getevents_arg.
type waitArg struct {
	mask     uint64
	maskSize uint32
	_        uint32
	patience uint64
}
