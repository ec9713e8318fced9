package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lease is the element in the kernel that lets the floating addresses live. It has a socket of its own and messages that are made beforehand, so that a renewal costs one
// system call there and one back. It is safe for concurrent use.
type lease struct {
	mend func() error         // makes the table of the gate again
	now  func() time.Duration // bootTime, but in tests

	mu       sync.Mutex // guards what follows
	fd       int
	sequence uint32
	turn     int // which of the sets is renewed next
	renewal  [2]batch
	ending   batch
	answer   [4096]byte
}

// leaseSets hold the element by turns. While one of them is emptied and filled, older kernels may find neither the old nor the new element for an instant, and a packet
// would be lost: the other set still has its own.
var leaseSets = [2]string{"lease0", "lease1"}

// leaseKey is what packets are looked up by: any packet's mark, masked with nothing.
var leaseKey = make([]byte, 4)

func newLease(mend func() error) (*lease, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect netlink: %w", err)
	}
	l := &lease{mend: mend, now: func() time.Duration { return clock(bootTime) }, fd: fd}
	for i, set := range leaseSets {
		l.renewal[i].start()
		l.renewal[i].flush(set, 0)
		l.renewal[i].add(set)
		l.renewal[i].finish()
	}
	l.ending.start()
	l.ending.flush(leaseSets[0], 0)
	l.ending.flush(leaseSets[1], unix.NLM_F_ACK)
	l.ending.finish()
	return l, nil
}

// renew lets the floating addresses live until a reading of bootTime. It never makes a life shorter that is in force. The kernel counts in jiffies, and from when it comes
// to it: the end may be one of them (at most 10 ms) late. Where this thread did not run meanwhile, or had to wait for somebody who writes rules, it is put right at once;
// an error says that the time was over by then, and the lease with it. rebuilt tells that the table was gone.
func (l *lease) renew(until time.Duration) (rebuilt bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for missing := 1; missing > 0; missing-- {
		asked := l.now()
		if asked >= until {
			return rebuilt, errors.Join(errLate, l.talk(&l.ending))
		}
		b := &l.renewal[l.turn]
		l.turn = 1 - l.turn
		binary.BigEndian.PutUint64(b.text[b.life:], uint64(max((until-asked).Milliseconds(), 1)))
		switch err := l.talk(b); {
		case errors.Is(err, unix.ENOENT) && !rebuilt:
			if err := l.mend(); err != nil {
				return false, err
			}
			rebuilt, missing = true, 2
		case err != nil:
			return rebuilt, err
		case l.now()-asked > prompt:
			missing = len(l.renewal) + 1 // what it has got is too long: both sets anew
		}
	}
	return rebuilt, nil
}

// prompt is how long the kernel may take for a renewal that counts as it was asked for.
const prompt = 2 * time.Millisecond

// errLate says that a lease is over before it began.
var errLate = errors.New("the time was over before the kernel came to it")

// end closes the gate at once.
func (l *lease) end() (rebuilt bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.talk(&l.ending); !errors.Is(err, unix.ENOENT) {
		return false, err
	}
	if err := l.mend(); err != nil {
		return false, err
	}
	return true, l.talk(&l.ending)
}

// talk sends b and reads what the kernel thinks of it. The kernel works while it is sent: its answer is there right away.
func (l *lease) talk(b *batch) error {
	l.sequence++
	b.number(l.sequence)
	if _, err := unix.Write(l.fd, b.text); err != nil {
		return fmt.Errorf("send to nftables: %w", err)
	}
	answered := false
	for {
		n, err := unix.Read(l.fd, l.answer[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN) && answered:
			return nil
		case err != nil:
			return fmt.Errorf("read from nftables: %w", err)
		}
		number, code := verdict(l.answer[:n])
		if number != l.sequence { // of an exchange that was given up
			continue
		}
		if code != 0 {
			l.drain()
			return code
		}
		answered = true
	}
}

// drain reads the other answers to a batch that failed.
func (l *lease) drain() {
	for {
		if _, err := unix.Read(l.fd, l.answer[:]); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func (l *lease) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	fd := l.fd
	l.fd = -1
	return unix.Close(fd)
}

// verdict reads an acknowledgement of the kernel: the number of the message and its error, 0 being none.
func verdict(message []byte) (number uint32, code unix.Errno) {
	if len(message) < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(message[4:]) != unix.NLMSG_ERROR {
		return 0, 0
	}
	return binary.NativeEndian.Uint32(message[8:]), unix.Errno(-int32(binary.NativeEndian.Uint32(message[unix.SizeofNlMsghdr:])))
}

// batch is a transaction of nftables as bytes.
type batch struct {
	text    []byte
	headers []int // where its messages begin
	life    int   // where the element's life stands
}

func (b *batch) start() { b.control(unix.NFNL_MSG_BATCH_BEGIN) }

func (b *batch) finish() { b.control(unix.NFNL_MSG_BATCH_END) }

func (b *batch) control(kind uint16) {
	b.message(kind, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
}

// flush empties a set.
func (b *batch) flush(set string, flags uint16) {
	b.message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELSETELEM, flags, unix.NFPROTO_NETDEV, 0, elementsOf(set))
}

// add puts the element with a life of its own into a set.
func (b *batch) add(set string) {
	value := attribute(nil, unix.NFTA_DATA_VALUE, leaseKey)
	element := attribute(nil, unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_KEY, value)
	element = attribute(element, unix.NFTA_SET_ELEM_TIMEOUT, make([]byte, 8))
	list := attribute(nil, unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, element)
	body := attribute(elementsOf(set), unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_LIST_ELEMENTS, list)
	b.message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE|unix.NLM_F_ACK, unix.NFPROTO_NETDEV, 0, body)
	b.life = len(b.text) - 8
}

func elementsOf(set string) []byte {
	body := attribute(nil, unix.NFTA_SET_ELEM_LIST_TABLE, []byte(leaseTable+"\x00"))
	return attribute(body, unix.NFTA_SET_ELEM_LIST_SET, []byte(set+"\x00"))
}

// message appends one with both headers, that of netlink and that of netfilter.
func (b *batch) message(kind, flags uint16, family byte, resource uint16, body []byte) {
	const headers = unix.SizeofNlMsghdr + 4
	b.headers = append(b.headers, len(b.text))
	b.text = binary.NativeEndian.AppendUint32(b.text, uint32(headers+len(body)))
	b.text = binary.NativeEndian.AppendUint16(b.text, kind)
	b.text = binary.NativeEndian.AppendUint16(b.text, flags|unix.NLM_F_REQUEST)
	b.text = append(b.text, make([]byte, 8)...) // sequence, port
	b.text = append(b.text, family, unix.NFNETLINK_V0)
	b.text = binary.BigEndian.AppendUint16(b.text, resource)
	b.text = append(b.text, body...)
}

// number gives all messages the same sequence.
func (b *batch) number(sequence uint32) {
	for _, at := range b.headers {
		binary.NativeEndian.PutUint32(b.text[at+8:], sequence)
	}
}

// attribute appends one of netlink, filled up to a multiple of four.
func attribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(b)&3)...)
}
