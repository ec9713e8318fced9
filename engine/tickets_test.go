package engine

import (
	"crypto/tls"
	"net/http/cookiejar"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm"
	"evenkeel/engine/tlsterm/tlstest"
)

func TestSessionsResumeOnTheNodeThatTookTheKeys(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	keys, err := NewTicketKeys()
	if err != nil {
		t.Fatal(err)
	}
	v := tcp(t, "S", serve(t, echo("one")).address)
	v.TLS.Certificates = []string{a.ID}
	sessions := tls.NewLRUClientSessionCache(4)
	resumed := func() bool {
		conn, err := dialTLS(t, ca, v, func(c *tls.Config) { c.ClientSessionCache = sessions })
		if err != nil {
			t.Fatal(err)
		}
		readName(t, conn)
		conn.Close()
		return conn.ConnectionState().DidResume
	}
	first := start(t, Options{Certificates: keep(a), TicketKeys: keys})
	first.apply(v)
	if resumed() {
		t.Error("the first session is resumed")
	}
	first.stop()
	again := start(t, Options{Certificates: keep(a), TicketKeys: keys}) // a restart
	again.apply(v)
	if !resumed() {
		t.Error("a session is not resumed behind a restart")
	}
	again.stop()
	other := start(t, Options{Certificates: keep(a)}) // the other node, before and after it got the keys
	other.apply(v)
	if err := other.TakeKeys(nil, []byte("nothing")); appliance.KindOf(err) != appliance.Invalid {
		t.Error(err)
	}
	if err := other.TakeKeys(nil, keys); err != nil {
		t.Fatal(err)
	}
	if !resumed() {
		t.Error("a session is not resumed on the other node")
	}
	other.stop()
	stranger := start(t, Options{Certificates: keep(a)})
	stranger.apply(v)
	if resumed() {
		t.Error("a session is resumed without the keys")
	}
}

func TestCookiesOfTheOtherNodeAreKnownAfterItsKeyWasTaken(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	v := web(t, "svc", serveHTTP(t, "a"), serveHTTP(t, "b"))
	v.Persistence.Kind, v.Scheduler = appliance.PersistCookie, appliance.RoundRobin
	first := start(t, Options{CookieKey: key})
	first.apply(v)
	c := client(t)
	c.Jar, _ = cookiejar.New(nil)
	home := get(t, c, address(v))
	if home == "a" { // so that a service that begins anew would not choose it first
		c.Jar, _ = cookiejar.New(nil)
		home = get(t, c, address(v))
	}
	first.stop()
	other := start(t, Options{})
	other.apply(v)
	if err := other.TakeKeys(key, nil); err != nil {
		t.Fatal(err)
	}
	other.apply(v)
	for range 6 {
		if got := get(t, c, address(v)); got != home {
			t.Fatalf("moved from %s to %s", home, got)
		}
	}
}

func TestTicketKeysAreTurnedByOneNodeAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mine atomic.Bool
		var kept [][]byte
		keys, err := NewTicketKeys()
		if err != nil {
			t.Fatal(err)
		}
		e := New(Options{TicketKeys: keys, TurnTickets: mine.Load, KeepTickets: func(b []byte) { kept = append(kept, b) }})
		time.Sleep(9 * time.Hour)
		e.turnIfDue(time.Now())
		if len(kept) > 0 {
			t.Fatal("the passive node made keys")
		}
		mine.Store(true)
		e.turnIfDue(time.Now())
		e.turnIfDue(time.Now())
		if len(kept) != 1 {
			t.Fatalf("%d turns", len(kept))
		}
		ring, ok := tlsterm.DecodeRing(kept[0])
		before, _ := tlsterm.DecodeRing(keys)
		if !ok || len(ring.Keys()) != 2 || ring.Keys()[1].Key != before.Keys()[0].Key {
			t.Error("the kept keys are not those of the ring")
		}
	})
}
