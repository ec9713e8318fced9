package relay

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// witness is a desk that writes down by what clients are recognised and what is learned.
type witness struct{ *desk }

func (w *witness) Pick(q *wire.Query) (wire.Choice, bool) {
	text := "ask " + string(q.Session)
	if q.Route.IsValid() {
		text += q.Route.String()
	}
	if q.BySource {
		text += " or source"
	}
	w.log = append(w.log, strings.TrimSpace(text))
	return w.desk.Pick(q)
}

func (w *witness) Learn(c wire.Choice, q *wire.Query) {
	w.log = append(w.log, strings.TrimSpace("learn "+c.Server.Label+" "+string(q.Session)))
}

func peeking(kind appliance.PersistenceKind, names ...string) (*witness, *wiretest.Conn) {
	w := &witness{&desk{loop: wiretest.NewLoop(), config: appliance.NewService(appliance.TCP)}}
	w.config.Persistence.Kind = kind
	for _, n := range names {
		w.servers = append(w.servers, &wire.Server{ID: n, Label: n})
	}
	client := w.loop.Accept(netip.MustParseAddrPort("192.0.2.9:1000"), netip.MustParseAddrPort("192.0.2.1:443"))
	client.Bind(New(Options{Service: w, Client: client}))
	return w, client
}

// tlsHello returns a ClientHello (kind 1) or ServerHello (2).
func tlsHello(kind byte, session string, tls13 bool) string {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(append(body, byte(len(session))), session...)
	versions := []byte{0, 43, 0, 3, 2, 3, 4}
	if kind == 1 {
		body = append(body, 0, 2, 0xc0, 0x2f, 1, 0)
	} else {
		body = append(body, 0xc0, 0x2f, 0)
		versions = []byte{0, 43, 0, 2, 3, 4}
	}
	if tls13 {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(versions))), versions...)
	}
	b := binary.BigEndian.AppendUint16([]byte{22, 3, 1}, uint16(len(body)+4))
	return string(append(append(b, kind, 0, byte(len(body)>>8), byte(len(body))), body...))
}

func rdpRequest(cookie string) string {
	b := binary.BigEndian.AppendUint16([]byte{3, 0}, uint16(11+len(cookie)))
	return string(append(append(b, byte(6+len(cookie)), 0xe0, 0, 0, 0, 0, 0), cookie...))
}

func TestTheFirstBytesAreSeenBeforeAServerIsChosenAndPassedOnWhole(t *testing.T) {
	for name, c := range map[string]struct {
		kind      appliance.PersistenceKind
		send, log string
	}{
		"session":        {appliance.PersistTLSSession, tlsHello(1, "S1", false), "ask S1, pick a"},
		"no session":     {appliance.PersistTLSSession, tlsHello(1, "", false), "ask, pick a"},
		"TLS 1.3":        {appliance.PersistTLSSession, tlsHello(1, "R1", true), "ask R1 or source, pick a"},
		"no TLS":         {appliance.PersistTLSSession, "HELO x\r\n", "ask  or source, pick a"},
		"user":           {appliance.PersistRDPCookie, rdpRequest("Cookie: mstshash=JDoe\r\n"), "ask jdoe, pick a"},
		"route":          {appliance.PersistRDPCookie, rdpRequest("Cookie: msts=3640205228.15629.0000\r\n"), "ask 172.31.249.216:3389, pick a"},
		"no cookie":      {appliance.PersistRDPCookie, rdpRequest(""), "ask  or source, pick a"},
		"no RDP":         {appliance.PersistRDPCookie, "SSH-2.0-x\r\n", "ask  or source, pick a"},
		"not looked for": {appliance.PersistSourceIP, tlsHello(1, "S1", false), "ask, pick a"},
	} {
		for _, bytewise := range []bool{false, true} {
			w, client := peeking(c.kind, "a")
			if !bytewise {
				client.Arrive([]byte(c.send))
			} else {
				for i := range len(c.send) {
					client.Arrive([]byte{c.send[i]})
				}
			}
			w.wrote(t, c.log)
			server := w.loop.Dialed[0]
			server.Connect()
			client.Arrive([]byte("more"))
			if got := string(server.Sent); got != c.send+"more" {
				t.Errorf("%s: the server got %q", name, got)
			}
		}
	}
}

func TestSessionsAreLearnedFromTheServersHello(t *testing.T) {
	for name, c := range map[string]struct{ hello, want string }{
		"begun":      {tlsHello(2, "N1", false), "ask, pick a, learn a N1"},
		"none":       {tlsHello(2, "", false), "ask, pick a"},
		"TLS 1.3":    {tlsHello(2, "N1", true), "ask, pick a"},
		"no TLS":     {"220 welcome\r\n", "ask, pick a"},
		"never ends": {"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0" + strings.Repeat("x", 2*maxAnswer), "ask, pick a"},
	} {
		for _, bytewise := range []bool{false, true} {
			w, client := peeking(appliance.PersistTLSSession, "a")
			client.Arrive([]byte(tlsHello(1, "", false)))
			server := w.loop.Dialed[0]
			server.Connect()
			if !bytewise {
				server.Arrive([]byte(c.hello))
			} else {
				for i := range len(c.hello) {
					server.Arrive([]byte{c.hello[i]})
				}
			}
			server.Arrive([]byte(tlsHello(2, "LATER", false)))
			w.wrote(t, c.want)
			if got := string(client.Sent); got != c.hello+tlsHello(2, "LATER", false) {
				t.Errorf("%s: the client got %d bytes of %d", name, len(got), len(c.hello))
			}
		}
	}
}

func TestASilentClientIsKeptBySource(t *testing.T) {
	w, client := peeking(appliance.PersistTLSSession, "a")
	client.Arrive([]byte{22, 3})
	w.loop.Advance(peekPatience)
	w.wrote(t, "ask  or source, pick a")
	server := w.loop.Dialed[0]
	server.Connect()
	if string(server.Sent) != "\x16\x03" || client.Waiting() == 0 {
		t.Errorf("%q, timer %d", server.Sent, client.Waiting())
	}
	server.Arrive([]byte("banner"))
	if string(client.Sent) != "banner" {
		t.Errorf("%q", client.Sent)
	}
}

func TestTheSameQuestionIsAskedForTheNextServer(t *testing.T) {
	w, client := peeking(appliance.PersistRDPCookie, "a", "b")
	client.Arrive([]byte(rdpRequest("Cookie: mstshash=jdoe\r\n")))
	w.loop.Dialed[0].Break(syscall.ECONNREFUSED)
	w.loop.Dialed[1].Connect()
	w.wrote(t, "ask jdoe, pick a, failed a connection refused, release a, ask jdoe, pick b")
}

func TestWhoLeavesInItsFirstMessageCostsNoServer(t *testing.T) {
	for name, leave := range map[string]func(*wiretest.Conn){
		"closes": func(c *wiretest.Conn) { c.Finish() }, "resets": func(c *wiretest.Conn) { c.Break(nil) },
	} {
		w, client := peeking(appliance.PersistTLSSession, "a")
		client.Arrive([]byte{22, 3, 1})
		leave(client)
		w.loop.Advance(2 * peekPatience)
		if len(w.log) > 0 || !client.Over() {
			t.Errorf("%s: %q, over %v", name, w.log, client.Over())
		}
	}
	w, client := peeking(appliance.PersistTLSSession, "a")
	w.loop.Advance(peekPatience / 2)
	core := New(Options{Service: w, Client: client})
	core.Evict(nil)
	if !client.Closed {
		t.Error("a session that waits is not evicted")
	}
}

func TestLastSuccessfulIsLearnedWhenTheServerAccepts(t *testing.T) {
	w, _ := peeking(appliance.PersistLastSuccessful, "a", "b")
	w.loop.Dialed[0].Break(syscall.ECONNREFUSED)
	w.loop.Dialed[1].Connect()
	w.wrote(t, "ask, pick a, failed a connection refused, release a, ask, pick b, learn b")
}
