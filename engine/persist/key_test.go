package persist

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

func TestKeysOfEachKindAreDifferentClientsAndKeepTheirNames(t *testing.T) {
	tb := table(10)
	shown := []byte("jdoe")
	keys := []Key{tb.KeyOf(addr(1)), DigestKey(Cookie, shown), DigestKey(TLSSession, shown), DigestKey(RDPUser, shown)}
	for i, k := range keys {
		tb.Put(k, string(rune('a'+i)), int64(i))
	}
	for i, k := range keys {
		if server, ok := tb.Get(k, 5); !ok || server != string(rune('a'+i)) {
			t.Errorf("%s leads to %q", k, server)
		}
		if again, ok := ParseKey(k.String()); !ok || again != k {
			t.Errorf("%s is read as %s", k, again)
		}
	}
	fresh := table(10)
	if err := fresh.Load(tb.Snapshot(5, time.Unix(1, 0)), 0, time.Unix(1, 0), nil); err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if server, ok := fresh.Get(k, 0); !ok || server != string(rune('a'+i)) {
			t.Errorf("behind a restart %s leads to %q", k, server)
		}
	}
	for _, text := range []string{"", "cookie:", "cookie:12", "cookie:" + strings.Repeat("0", 34), "cookie:" + strings.Repeat("x", 32), "address:10.0.0.1", "fe80::1%eth0", "10.0.0.0/33", "unknown:" + strings.Repeat("0", 32)} {
		if k, ok := ParseKey(text); ok {
			t.Errorf("%q is read as %s", text, k)
		}
	}
}

func TestKeysOfHugeValuesAreSmall(t *testing.T) {
	huge := bytes.Repeat([]byte("x"), 1<<20)
	if a, b := DigestKey(Cookie, huge), DigestKey(Cookie, huge[1:]); a == b || len(a.String()) > 64 {
		t.Error(a, b)
	}
}

func TestAgeCountsFromTheServerNotFromTheUse(t *testing.T) {
	tb := table(10)
	tb.Put(tb.KeyOf(addr(1)), "a", 0)
	want(t, tb, addr(1), 20*second, "a")
	tb.Put(tb.KeyOf(addr(1)), "a", 30*second)
	if e := entries(tb, 40*second)[0]; e.Age != 40*time.Second || e.Remaining != 50*time.Second {
		t.Errorf("%+v", e)
	}
	tb.Put(tb.KeyOf(addr(1)), "b", 50*second)
	b := tb.Snapshot(55*second, time.Unix(100, 0))
	if e := entries(tb, 55*second)[0]; e.Age != 5*time.Second {
		t.Errorf("%+v", e)
	}
	fresh := table(10)
	if err := fresh.Load(b, 0, time.Unix(110, 0), nil); err != nil {
		t.Fatal(err)
	}
	if e := entries(fresh, 0)[0]; e.Age != 15*time.Second || e.Remaining != 45*time.Second {
		t.Errorf("restored: %+v", e)
	}
}

// TestSnapshotsOfVersion1AreRead has a snapshot as 0.1 wrote it.
func TestSnapshotsOfVersion1AreRead(t *testing.T) {
	b := []byte(snapshotMagic1)
	b = binary.BigEndian.AppendUint64(b, uint64(time.Unix(100, 0).UnixNano()))
	b = append(b, 0, 0, 0, 1, 0, 2, 's', '7', 0, 0, 0, 2)
	for i := range 2 {
		a := addr(i).As16()
		b = append(append(b, a[:]...), 128, 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint64(b, uint64(10*second))
	}
	sum := sha256.Sum256(b)
	tb := table(10)
	if err := tb.Load(append(b, sum[:]...), 0, time.Unix(105, 0), nil); err != nil {
		t.Fatal(err)
	}
	want(t, tb, addr(1), 0, "s7")
	rows := entries(tb, 0)
	if len(rows) != 2 || rows[0].Remaining != 45*time.Second || rows[0].Age != 15*time.Second {
		t.Errorf("%+v", rows)
	}
}
