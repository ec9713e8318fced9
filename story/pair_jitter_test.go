package story

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance/realtime"
)

// lateWire stands between a switch and one of its ports. It holds every frame back for a time that it draws, so that frames overtake one another, and lets some come twice.
type lateWire struct {
	port, bridge string
	most         time.Duration // that a frame is held back
	doubled      int           // of a hundred frames
	draw         *rand.Rand
	fds          [2]int // of the port, and of the relay's own end at the switch
	held         frames
	stop, done   chan struct{}
}

// frame is one that is held back.
type frame struct {
	due   time.Time
	fd    int // to which it goes
	bytes []byte
}

// frames are a heap, soonest first.
type frames []frame

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (f frames) Len() int           { return len(f) }
func (f frames) Less(i, j int) bool { return f[i].due.Before(f[j].due) }
func (f frames) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frames) Push(x any)        { *f = append(*f, x.(frame)) }
func (f *frames) Pop() any {
	last := len(*f) - 1
	out := (*f)[last]
	*f = (*f)[:last]
	return out
}

// detour puts a relay at a port such as v-a or h-b, and begins to carry.
func (f *field) detour(port string, most time.Duration, doubled int, seed uint64) *lateWire {
	f.t.Helper()
	r := &lateWire{port: port, bridge: "br0", most: most, doubled: doubled, draw: rand.New(rand.NewPCG(seed, 0)), stop: make(chan struct{}), done: make(chan struct{})}
	if port[0] == 'h' {
		r.bridge = "br1"
	}
	inner, outer := "i"+port, "o"+port
	must(f.t, "ip", "-n", f.sw, "link", "add", inner, "type", "veth", "peer", "name", outer)
	must(f.t, "ip", "-n", f.sw, "link", "set", inner, "up")
	must(f.t, "ip", "-n", f.sw, "link", "set", outer, "master", r.bridge, "up")
	within(f.t, f.sw, func() {
		for i, name := range []string{port, inner} {
			fd, err := ends(name)
			if err != nil {
				f.t.Errorf("relay at %s: %v", name, err)
				close(r.done)
				return
			}
			r.fds[i] = fd
		}
		go r.carry()
	})
	must(f.t, "ip", "-n", f.sw, "link", "set", port, "nomaster")
	return r
}

// straighten takes the relay away, with the frames that it still holds.
func (f *field) straighten(r *lateWire) {
	f.t.Helper()
	close(r.stop)
	<-r.done
	must(f.t, "ip", "-n", f.sw, "link", "set", r.port, "master", r.bridge)
	must(f.t, "ip", "-n", f.sw, "link", "del", "i"+r.port)
	for _, fd := range r.fds {
		unix.Close(fd)
	}
}

// ends opens a port for frames as they are, with what the kernel still has to do to them: checksums, and cutting them into packets.
func ends(port string) (int, error) {
	fd, err := tap(port)
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1)
		}
	}
	return fd, err
}

// carry takes frames in at either end, and puts them out at the other when they are due.
func (r *lateWire) carry() {
	defer close(r.done)
	_ = realtime.Lock(realtime.Heartbeat)
	b := make([]byte, 70_000)
	poll := []unix.PollFd{{Fd: int32(r.fds[0]), Events: unix.POLLIN}, {Fd: int32(r.fds[1]), Events: unix.POLLIN}}
	for {
		select {
		case <-r.stop:
			return
		default:
		}
		wait := 20 * time.Millisecond
		if len(r.held) > 0 {
			wait = max(0, time.Until(r.held[0].due))
		}
		timeout := unix.NsecToTimespec(int64(wait))
		_, _ = unix.Ppoll(poll, &timeout, nil)
		for i, fd := range r.fds {
			r.take(fd, r.fds[1-i], b)
		}
		for now := time.Now(); len(r.held) > 0 && !r.held[0].due.After(now); {
			f := heap.Pop(&r.held).(frame)
			_, _ = unix.Write(f.fd, f.bytes) // a switch drops what it has no room for
		}
	}
}

// take reads what waits at one end, for the other.
func (r *lateWire) take(from, to int, b []byte) {
	for range 64 {
		n, _, err := unix.Recvfrom(from, b, unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		copies := 1
		if r.draw.IntN(100) < r.doubled {
			copies = 2
		}
		for range copies {
			due := time.Now().Add(time.Duration(r.draw.Int64N(int64(r.most))))
			heap.Push(&r.held, frame{due, to, append([]byte(nil), b[:n]...)})
		}
	}
}

// jitters are wires on which frames are late, overtake one another and come twice.
func jitters() (out []fault) {
	for _, c := range []struct {
		most time.Duration
		o    outcome
	}{{10 * time.Millisecond, stays}, {30 * time.Millisecond, stays}, {50 * time.Millisecond, chaos}} {
		out = append(out, fault{
			name: fmt.Sprintf("up to %v of jitter at every port, 2 %% doubled", c.most), moves: c.o, full: 20, short: 1, lasts: 5 * time.Second, every: 10 * time.Millisecond, rough: true,
			inject: func(r *round) {
				var relays []*lateWire
				for _, port := range []string{"v-a", "v-b", "h-a", "h-b"} {
					relays = append(relays, r.detour(port, c.most, 2, r.draw.Uint64()))
				}
				r.keep["relays"] = relays
			},
			heal: func(r *round) {
				for _, one := range r.keep["relays"].([]*lateWire) {
					r.straighten(one)
				}
			},
		})
	}
	return out
}
