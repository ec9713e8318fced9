package story

import (
	endian "encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// meetings are faults in which both nodes, or a third, want the addresses at once.
func meetings() []fault {
	return []fault{
		slowRequest(),
		{
			name: "both started at once", moves: either, full: 200, short: 1,
			inject: func(r *round) {
				r.a.cmd.kill()
				r.b.cmd.kill()
				r.a.launch()
				r.b.launch()
				r.a.serves()
				r.b.serves()
			},
		},
		{
			name: "killed in the middle of a takeover", moves: chaos, full: 50, short: 2,
			inject: func(r *round) {
				r.owner.cmd.kill()
				pause(r.t, 140*time.Millisecond+time.Duration(r.draw.IntN(120))*time.Millisecond)
				r.other.cmd.kill()
				r.owner.launch()
				r.other.launch()
				r.owner.serves()
				r.other.serves()
			},
		},
		{
			name: "kill -9, and a third machine has the address", moves: either, full: 20, short: 1, lasts: 1500 * time.Millisecond,
			inject: func(r *round) {
				must(r.t, "ip", "-n", r.gate, "addr", "add", labService+"/32", "dev", "eth0")
				r.at = time.Now()
				r.owner.cmd.kill()
			},
			heal: func(r *round) {
				r.keep["early"] = r.other.status().Self.State == appliance.Active
				must(r.t, "ip", "-n", r.gate, "addr", "del", labService+"/32", "dev", "eth0")
				eventually(r.t, 20*time.Second, "the address is free and is taken", func() bool { return r.other.status().Self.State == appliance.Active })
				r.owner.begin()
			},
			check: func(r *round, t tally) (bad []string) {
				if r.keep["early"].(bool) {
					bad = append(bad, "the address was taken although a third machine has it")
				}
				return bad
			},
		},
		peerIsOff(),
		{
			name: "the heartbeat's key is changed", moves: stays, full: 20, short: 1, lasts: time.Second,
			inject: func(r *round) {
				if code, body := r.owner.api(http.MethodPost, "pair/rotate-key", ""); code != http.StatusOK {
					r.t.Errorf("rotate-key: %d %s", code, body)
				}
			},
			heal: func(r *round) {
				eventually(r.t, 30*time.Second, "the key is changed on both", func() bool { return r.a.status().KeyChange == "" && r.b.status().KeyChange == "" })
			},
		},
	}
}

// peerIsOff is the death of an owner while the witness is silent: the other node cannot know, until the operator says so.
func peerIsOff() fault {
	knows := func(r *round, verb ...string) {
		for _, n := range []string{r.field.a, r.field.b} { // its packets still find the gateway, which does not answer questions
			must(r.t, "ip", append(append([]string{"-n", n, "neigh"}, verb...), "dev", "eth0")...)
		}
	}
	return fault{
		name: "kill -9, the witness is silent, the operator takes over", moves: moves, full: 20, short: 1,
		inject: func(r *round) {
			hardware := strings.TrimSpace(must(r.t, "ip", r.on(r.gate, "cat", "/sys/class/net/eth0/address")[1:]...))
			knows(r, "replace", labGateway, "lladdr", hardware, "nud", "permanent")
			r.spoil(`iifname "v-gate" arp operation reply drop; iifname "v-gate" icmpv6 type nd-neighbor-advert drop;`)
			pause(r.t, time.Second)
			r.owner.cmd.kill()
			pause(r.t, time.Second)
			code, _, _ := r.other.lb("", "pair", "active", "self")
			r.keep["refused"] = code != 0 && r.other.status().Self.State != appliance.Active
			r.at = time.Now()
			r.other.does("pair", "active", "self", "--peer-is-off")
		},
		heal: func(r *round) {
			r.couple.heal()
			knows(r, "del", labGateway)
			r.owner.begin()
		},
		check: func(r *round, t tally) (bad []string) {
			if !r.keep["refused"].(bool) {
				bad = append(bad, "the addresses were taken before the operator said that the peer is off")
			}
			return bad
		},
	}
}

// attacks come from a third machine on the network.
func attacks() []fault {
	return []fault{{
		name: "heartbeats forged and replayed", moves: stays, full: 20, short: 1, lasts: 3 * time.Second,
		inject: func(r *round) {
			r.keep["before"] = rejected(r)
			stop, sent := make(chan struct{}), make(chan int, 1)
			r.keep["stop"], r.keep["sent"] = stop, sent
			frame := r.eavesdrop()
			go func() {
				if err := inside(r.client, func() { sent <- flood(frame, stop, r.draw) }); err != nil {
					sent <- 0
				}
			}()
		},
		heal: func(r *round) { close(r.keep["stop"].(chan struct{})) },
		check: func(r *round, t tally) (bad []string) {
			sent, after := <-r.keep["sent"].(chan int), rejected(r)
			if sent == 0 || after == r.keep["before"].(uint64) {
				bad = append(bad, fmt.Sprintf("%d sent, %d rejected", sent, after-r.keep["before"].(uint64)))
			}
			r.t.Logf("forged and replayed: %d datagrams in %v, %d counted as rejected", sent, time.Since(r.at).Round(time.Second), after-r.keep["before"].(uint64))
			return bad
		},
	}}
}

// rejected counts the datagrams that the passive node has thrown away.
func rejected(r *round) (n uint64) {
	for _, count := range r.other.status().Rejected {
		n += count
	}
	return n
}

// eavesdrop returns a heartbeat of the owner's, as a frame.
func (r *round) eavesdrop() (frame []byte) {
	r.t.Helper()
	within(r.t, r.sw, func() {
		fd, err := tap("v-" + r.owner.letter)
		if err != nil {
			return
		}
		defer unix.Close(fd)
		b := make([]byte, 2048)
		for end := time.Now().Add(5 * time.Second); frame == nil && time.Now().Before(end); {
			n, from, err := unix.Recvfrom(fd, b, 0)
			link, ok := from.(*unix.SockaddrLinklayer)
			if err != nil || !ok || link.Pkttype == unix.PACKET_OUTGOING || n < 42 {
				continue
			}
			if endian.BigEndian.Uint16(b[12:]) == unix.ETH_P_IP && b[23] == unix.IPPROTO_UDP && endian.BigEndian.Uint16(b[36:]) == 6694 {
				frame = append([]byte(nil), b[:n]...)
			}
		}
	})
	if frame == nil {
		r.t.Error("no heartbeat was overheard")
	}
	return frame
}

// flood sends a heartbeat over and over, every second one with a bit that is another, and tells how many. It runs in the attacker's namespace.
func flood(frame []byte, stop <-chan struct{}, draw *rand.Rand) (sent int) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil || len(frame) < 60 {
		return 0
	}
	defer unix.Close(fd)
	index, err := linkIndex(fd, "eth0")
	if err != nil {
		return 0
	}
	copy(frame[6:12], []byte{2, 0, 0, 0, 0, 0x66})
	frame[40], frame[41] = 0, 0 // no checksum
	to := &unix.SockaddrLinklayer{Ifindex: index, Halen: 6}
	copy(to.Addr[:], frame[:6])
	every := 10 // a hundredth of a second's
	if os.Getenv("EVENKEEL_LAB") != "" {
		every = 1000
	}
	for next := time.Now(); ; next = next.Add(10 * time.Millisecond) {
		for range every {
			other := append([]byte(nil), frame...)
			if sent%2 == 0 {
				other[42+draw.IntN(len(other)-42)] ^= 1 << draw.IntN(8)
			}
			if unix.Sendto(fd, other, 0, to) == nil {
				sent++
			}
		}
		select {
		case <-stop:
			return sent
		case <-time.After(time.Until(next)):
		}
	}
}
