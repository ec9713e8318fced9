package persist

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"
)

var sealNow = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

func sealer(edit func(*SealerOptions)) *Sealer {
	o := SealerOptions{Key: [32]byte{1, 2, 3}, Service: "web", Servers: []string{"srv-a", "srv-b"}, Idle: 30 * time.Minute, Life: 12 * time.Hour}
	if edit != nil {
		edit(&o)
	}
	return NewSealer(o)
}

func TestCookieLeadsBackToItsServer(t *testing.T) {
	s := sealer(nil)
	for _, id := range []string{"srv-a", "srv-b"} {
		v := s.Append(nil, id, time.Time{}, sealNow)
		if len(v) != ValueSize || len(v) > 64 || bytes.Contains(v, []byte("srv")) || bytes.ContainsAny(v, "+/=; ") {
			t.Fatalf("%q", v)
		}
		if o, ok := s.Open(v, sealNow); !ok || o.Server != id || o.Renewal || !o.Issued.Equal(sealNow) {
			t.Fatalf("%+v %v", o, ok)
		}
	}
	if bytes.Equal(s.Append(nil, "srv-a", time.Time{}, sealNow), s.Append(nil, "srv-a", time.Time{}, sealNow)) {
		t.Fatal("two clients have the same value and can be told to share a server")
	}
	if v := s.Append([]byte("x"), "nobody", time.Time{}, sealNow); string(v) != "x" {
		t.Fatalf("%q", v)
	}
}

func TestCookieIsRenewedAfterATenthOfTheIdleTimeAndEndsWithItsLife(t *testing.T) {
	s := sealer(nil)
	v, now, renewals := s.Append(nil, "srv-a", time.Time{}, sealNow), sealNow, 0
	for {
		now = now.Add(time.Minute)
		o, ok := s.Open(v, now)
		if !ok {
			break
		}
		if o.Renewal {
			renewals++
			v = s.Append(nil, o.Server, o.Issued, now)
		}
	}
	if now.Sub(sealNow) != 12*time.Hour || renewals != 12*20-1 {
		t.Fatalf("ended after %s and %d renewals", now.Sub(sealNow), renewals)
	}
	v = s.Append(nil, "srv-a", time.Time{}, sealNow)
	if _, ok := s.Open(v, sealNow.Add(30*time.Minute-time.Second)); !ok {
		t.Fatal("not idle for too long yet")
	}
	if _, ok := s.Open(v, sealNow.Add(30*time.Minute)); ok {
		t.Fatal("idle for too long")
	}
}

func TestForgedForeignAndHugeCookiesAreIgnored(t *testing.T) {
	s := sealer(nil)
	good := string(s.Append(nil, "srv-a", time.Time{}, sealNow))
	at := func(edit func(*SealerOptions), now time.Time) string {
		return string(sealer(edit).Append(nil, "srv-a", time.Time{}, now))
	}
	for name, v := range map[string]string{
		"empty": "", "plain": "srv-a", "short": good[1:], "long": good + "A", "huge": strings.Repeat("A", 1<<20), "zeros": strings.Repeat("A", ValueSize),
		"quoted": "\"" + good[2:] + "\"", "other alphabet": "+/" + good[2:], "newline": good[:10] + "\n" + good[11:], "loose last bits": good[:ValueSize-1] + "B",
		"other key":      at(func(o *SealerOptions) { o.Key[31]++ }, sealNow),
		"other service":  at(func(o *SealerOptions) { o.Service = "web2" }, sealNow),
		"from tomorrow":  at(nil, sealNow.Add(24*time.Hour)),
		"too old":        at(nil, sealNow.Add(-13*time.Hour)),
		"unknown server": string(sealer(func(o *SealerOptions) { o.Servers = []string{"gone"} }).Append(nil, "gone", time.Time{}, sealNow)),
	} {
		if o, ok := s.Open([]byte(v), sealNow); ok {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for i := range good {
		b := []byte(good)
		if b[i]++; b[i] == good[i] {
			continue
		}
		if _, ok := s.Open(b, sealNow); ok {
			t.Errorf("byte %d can be changed", i)
		}
	}
	if _, ok := s.Open([]byte(at(nil, sealNow.Add(time.Minute))), sealNow); !ok {
		t.Error("the clock of the peer may be a little ahead")
	}
	if _, ok := sealer(func(o *SealerOptions) { o.Servers = append(o.Servers, "srv-c") }).Open([]byte(good), sealNow); !ok {
		t.Error("a changed service forgets its clients")
	}
}

func TestSetCookieValue(t *testing.T) {
	if got := string(AppendSetCookie(nil, "SERVERID", []byte("v"), false)); got != "SERVERID=v; Path=/; HttpOnly; SameSite=Lax" {
		t.Error(got)
	}
	if got := string(AppendSetCookie(nil, "SERVERID", []byte("v"), true)); got != "SERVERID=v; Path=/; HttpOnly; SameSite=Lax; Secure" {
		t.Error(got)
	}
}

func TestOpenDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	s := sealer(nil)
	v := s.Append(nil, "srv-a", time.Time{}, sealNow)
	if n := testing.AllocsPerRun(1000, func() { s.Open(v, sealNow) }); n > 0 {
		t.Error(n)
	}
}

func BenchmarkOpen(b *testing.B) {
	s := sealer(nil)
	v := s.Append(nil, "srv-a", time.Time{}, sealNow)
	for b.Loop() {
		s.Open(v, sealNow)
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer(func(o *SealerOptions) { rand.Read(o.Key[:]) }) // each process its own, so that no cookie comes from another
	good := s.Append(nil, "srv-a", time.Time{}, sealNow)
	f.Add(good)
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, v []byte) {
		if _, ok := s.Open(v, sealNow); ok && !bytes.Equal(v, good) {
			t.Fatalf("%q opens", v)
		}
	})
}
