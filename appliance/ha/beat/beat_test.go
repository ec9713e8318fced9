package beat

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"

	"github.com/google/go-cmp/cmp"
)

const (
	cluster = ID(0xc1)
	left    = ID(0xa)
	right   = ID(0xb)
)

var rightAddress = netip.MustParseAddrPort("192.0.2.2:6694")

func secret(id uint8) appliance.HeartbeatKey {
	k := appliance.HeartbeatKey{ID: id, Secret: make([]byte, KeySize)}
	for i := range k.Secret {
		k.Secret[i] = id ^ byte(i)
	}
	return k
}

func ringOf(t testing.TB, ids ...uint8) *Ring {
	t.Helper()
	var keys []appliance.HeartbeatKey
	for _, id := range ids {
		keys = append(keys, secret(id))
	}
	r, err := NewRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sample is what right says to left, every field filled.
func sample() Beat {
	return Beat{
		Kind: Heartbeat, Key: 1, Path: 2, Cluster: cluster, Node: right, Boot: 7, Nonce: 0x1122334455667788, Sequence: 1000,
		State: appliance.Active, Says: 0x1234, Priority: 100, Choice: 3, Witness: true, Granted: true,
		Release: NewText("1.4.0-rc1"), Life: 150 * time.Millisecond, Lease: 149 * time.Millisecond, Echo: Echo{Boot: 5, Sequence: 998, Age: 3 * time.Millisecond},
		Revision: 142, Hash: [16]byte{1, 2, 15: 3}, Digest: [16]byte{4, 15: 5}, Claim: true,
		Decision: Decision{Number: 6, Code: NewText("took_over"), Age: time.Second, Lasted: 180 * time.Millisecond, Taken: 40 * time.Millisecond, Count: 4, Hardware: 0x0242ac110002},
		Accepted: KeyMark{ID: 1, Check: [8]byte{8, 7: 9}}, Offer: Offer{ID: 2, Public: [32]byte{10, 31: 11}},
	}
}

func leftReader(t testing.TB) *Reader {
	return NewReader(Identity{Cluster: cluster, Self: left, Peer: right, Boot: 5, Nonce: 55}, ringOf(t, 1))
}

func sealed(t testing.TB, b Beat, ids ...uint8) []byte {
	t.Helper()
	if len(ids) == 0 {
		ids = []uint8{1}
	}
	return Seal(make([]byte, Most), &b, ringOf(t, ids...))
}

const golden = "45564b480101010200000000000000c1000000000000000b0000000000000007112233445566778800000000000003e8123405010064020700000003000249f0" +
	"0002460800000bb8000000000000000500000000000003e6000000000000008e0102000000000000000000000000000304000000000000000000000000000005" +
	"0a0000000000000000000000000000000000000000000000000000000000000b0800000000000009312e342e302d726331000000000000000000000000000000" +
	"00000006000f42400002bf2000009c400004000000000242ac110002746f6f6b5f6f766572000000000000000000000000000000bb33e63d29ae324639621e7d" +
	"8a66be89"

func TestDatagramKeepsItsBytes(t *testing.T) {
	got := hex.EncodeToString(sealed(t, sample()))
	if got != golden || len(got) != 2*Size {
		t.Errorf("the bytes have changed: a pair whose halves run different versions would fall apart\n got %s\nwant %s", got, golden)
	}
}

func TestDatagramComesOutAsItWentIn(t *testing.T) {
	want, r := sample(), leftReader(t)
	var got Beat
	if reason := r.Read(sealed(t, want), rightAddress, rightAddress, &got); reason != OK {
		t.Fatal(reason)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r.Counters.Rejected() != nil || r.Counters[OK].Load() != 1 {
		t.Errorf("counted %v", r.Counters.Rejected())
	}
}

func TestEveryActivityTravels(t *testing.T) {
	for i, a := range activities[1:] {
		if got := activityCode(a); int(got) != i+1 || activities[got] != a {
			t.Errorf("%s has code %d", a, got)
		}
	}
	if activityCode("") != 0 || activityCode("unheard of") != 0 {
		t.Error("what is no activity has no code")
	}
}

func TestDurationsThatDoNotFitAreTheNearestThatDo(t *testing.T) {
	for d, want := range map[time.Duration]uint32{-time.Second: 0, 0: 0, 999: 0, time.Millisecond: 1000, 1000 * time.Hour: 1<<32 - 1} {
		if got := microseconds(d); got != want {
			t.Errorf("%v travels as %d, want %d", d, got, want)
		}
	}
}

func TestTextHoldsOnlyWhatIsPrintable(t *testing.T) {
	for in, want := range map[string]string{"": "", "1.2.3": "1.2.3", "a b\n\x1b[2J": "a?b??[2J", strings.Repeat("x", 30): strings.Repeat("x", 24)} {
		text := NewText(in)
		if text.String() != want || !text.valid() {
			t.Errorf("%q becomes %q, valid %v", in, text.String(), text.valid())
		}
	}
	for _, bad := range []Text{{'a', '\n'}, {'a', 0, 'b'}, {' '}, {0x80}} {
		if bad.valid() {
			t.Errorf("%q is taken for a text", bad[:])
		}
	}
}

func TestIdentityIsSixteenDigits(t *testing.T) {
	id, err := ParseID("00c1ff000000000a")
	if err != nil || id != 0x00c1ff000000000a || id.String() != "00c1ff000000000a" {
		t.Errorf("%v %v", id, err)
	}
	for _, bad := range []string{"", "12", "00c1ff000000000g", "00c1ff000000000a00"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is taken for an identity", bad)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	ring, r, buf := ringOf(t, 1), leftReader(t), make([]byte, Most)
	b, into := sample(), Beat{}
	forged := sealed(t, sample())
	forged[Size-1] ^= 1
	forged[offSequence] = 1 // always ahead of the window
	n := testing.AllocsPerRun(1000, func() {
		b.Sequence++
		out := Seal(buf, &b, ring)
		if reason := r.Read(out, rightAddress, rightAddress, &into); reason != OK {
			t.Fatal(reason)
		}
		if reason := r.Read(forged, rightAddress, rightAddress, &into); reason != Forged {
			t.Fatal(reason)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a datagram", n)
	}
}
