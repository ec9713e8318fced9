package loop

import "golang.org/x/sys/unix"

// newClients is a filter of segments that drops those which ask for a connection (SYN without ACK, RFC 9293, 3.1) and lets pass what belongs to one: the kernel looks at
// each that comes to a listener from its TCP header on, and cuts it to the length that the filter returns (socket(7), SO_ATTACH_FILTER).
var newClients = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: flagSYN | flagACK},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: flagSYN, Jt: 0, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

const flagSYN, flagACK = 0x02, 0x10

// HoldOff lets a listening socket of TCP answer no more clients. Who has been answered already comes to be accepted; who has not, asks again after a while and finds
// whoever has the address then. It holds for all processes that share the socket, until LetIn.
func HoldOff(fd int) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(newClients)), Filter: &newClients[0]})
}

// LetIn undoes HoldOff; without it before, nothing happens.
func LetIn(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) }
