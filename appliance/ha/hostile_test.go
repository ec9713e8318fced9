package ha

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

// TestFloodCostsLittle sends at up to 100,000 datagrams a second, as from the peer's own address: what has the wrong magic is dropped before it costs the node anything,
// and what has a wrong code costs at most 40 % of a core; the node keeps its lease.
func TestFloodCostsLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		at    int // the byte that is wrong
		most  time.Duration
		count bool
	}{"magic": {0, time.Microsecond, false}, "code": {beat.Size - 1, 4 * time.Microsecond, true}} {
		t.Run(name, func(t *testing.T) {
			c := newCouple(t, func(o *Options) { // without a witness, whose answers would depend on others
				o.Settings = appliance.NewHeartbeat()
				o.Settings.Witness = appliance.WitnessNone
			})
			c.left.start(t)
			until(t, "left is active", func() bool { return c.left.Activity() == appliance.Active })
			s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(c.left.paths[0].Peer))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ring, err := beat.NewRing([]appliance.HeartbeatKey{newKey(1)})
			if err != nil {
				t.Fatal(err)
			}
			b := beat.Seal(make([]byte, beat.Most), &beat.Beat{Kind: beat.Heartbeat, Cluster: 0xc1, Node: 0xb, Boot: 1 << 40, Nonce: 1, Sequence: 1}, ring)
			b[tt.at] ^= 1
			flood := func() (sent int, cost time.Duration) {
				before, begin := c.left.usage(), time.Now()
				for past := time.Duration(0); past < time.Second; past = time.Since(begin) {
					if float64(sent) >= past.Seconds()*100_000 {
						continue
					}
					if _, err := s.WriteToUDPAddrPort(b, c.left.paths[0].Local); err != nil {
						t.Fatal(err)
					}
					sent++
				}
				return sent, (c.left.usage() - before) / time.Duration(max(sent, 1))
			}
			sent, cost := flood()
			for try := 0; try < 20 && sent < 50_000; try++ { // a machine that is too busy to send so many: what comes alone costs the loop a turn
				sent, cost = flood()
			}
			t.Logf("%d datagrams, %v of the loop's thread for each", sent, cost)
			if sent >= 50_000 && cost > slower*tt.most {
				t.Errorf("a datagram costs %v, more than %v", cost, slower*tt.most)
			}
			if n := c.left.Status().Rejected["forged"]; tt.count != (n > 0) {
				t.Errorf("counted %v", c.left.Status().Rejected)
			}
			if n := c.street.owners(); n != 1 && !c.stood() {
				t.Errorf("the lease was lost %d times", n-1)
			}
		})
	}
}

// usage is the time that the loop's thread has used.
func (h *half) usage() time.Duration {
	out := make(chan time.Duration)
	h.post(func(*loop) {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
		out <- time.Duration(u.Utime.Nano() + u.Stime.Nano())
	})
	return <-out
}

func TestHostileDatagramsDisturbNothing(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	to := c.right.paths[0].Local
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 99)}
	attacker, err := net.ListenUDP("udp", local)
	if err != nil {
		t.Fatal(err)
	}
	defer attacker.Close()
	ring, err := beat.NewRing([]appliance.HeartbeatKey{newKey(9)})
	if err != nil {
		t.Fatal(err)
	}
	owners, buf := c.street.owners(), make([]byte, beat.Most)
	send := func(b []byte) {
		if _, err := attacker.WriteToUDPAddrPort(b, to); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(2000) {
		forged := beat.Seal(buf, &beat.Beat{Kind: beat.Heartbeat, Cluster: 0xc1, Node: 0xa, Boot: 1 << 40, Sequence: i, Says: uint16(role.Owns | role.Wishes)}, ring)
		send(forged)
		send([]byte("hello"))
		send(beat.Seal(buf, &beat.Beat{Kind: beat.Answer, Cluster: 0xc1, Node: 0xb, Boot: 1, Granted: true}, ring))
		clone := beat.Seal(buf, &beat.Beat{Kind: beat.Heartbeat, Cluster: 0xc1, Node: 0xb, Boot: 1 << 40, Nonce: 1, Sequence: i}, ring)
		clone[6] = 1 // the key that right holds, with a code that is not right's
		send(clone)
	}
	until(t, "right has counted them", func() bool {
		r := c.right.Status().Rejected
		return r["source"] > 0 && r["forged"] > 0
	})
	if r := c.right.Status().Rejected; r["length"] != 0 || r["clone"] != 0 {
		t.Errorf("%v: short ones are dropped by the kernel, and forged ones are no clones", r)
	}
	c.agree(t, appliance.Active)
	if n := c.street.owners(); n != owners && !c.stood() {
		t.Errorf("%d changes of the owner", n-owners)
	}
	one := make([]byte, 1)
	if err := attacker.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, from, err := attacker.ReadFromUDPAddrPort(one); err == nil {
		t.Errorf("%s answers with %d bytes", from, n)
	}
}

func TestCopyOfANodeIsTold(t *testing.T) {
	c := newCouple(t, nil)
	c.settle(t)
	ring, err := beat.NewRing([]appliance.HeartbeatKey{newKey(1)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 99)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := beat.Seal(make([]byte, beat.Most), &beat.Beat{Kind: beat.Heartbeat, Cluster: 0xc1, Node: 0xb, Boot: 1 << 40, Nonce: 1, Sequence: 1}, ring)
	if _, err := s.WriteToUDPAddrPort(b, c.right.paths[0].Local); err != nil {
		t.Fatal(err)
	}
	until(t, "right says that there is a copy", func() bool {
		return codes(c.right.Node)["right clone_seen"] == 1 && slices.ContainsFunc(c.right.Status().Limits, func(s string) bool { return strings.Contains(s, "it is a copy") })
	})
}
