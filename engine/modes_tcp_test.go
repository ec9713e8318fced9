package engine

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"evenkeel/appliance"
)

// tlsHello returns a hello with a session id, of a client (kind 1) or of a server (2).
func tlsHello(kind byte, session string, tls13 bool) []byte {
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
	return append(append(b, kind, 0, byte(len(body)>>8), byte(len(body))), body...)
}

// helloServer answers a ClientHello with a session of its own, or the client's, and its name at the end.
func helloServer(t *testing.T, name string, tls13 bool) *sample {
	var begun atomic.Int32
	return serve(t, func(c net.Conn) {
		head := make([]byte, 5)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint16(head[3:]))
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		session := string(body[39 : 39+int(body[38])])
		if session == "" {
			session = fmt.Sprintf("%s-%02d", name, begun.Add(1))
		}
		_, _ = c.Write(append(tlsHello(2, session, tls13), name...))
	})
}

// greet sends a ClientHello and returns the server's session and name.
func greet(t *testing.T, from, to, session string, tls13 bool) (answered, name string) {
	t.Helper()
	c := dialFrom(t, from, to)
	defer c.Close()
	if _, err := c.Write(tlsHello(1, session, tls13)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil || len(b) < 44 {
		t.Fatalf("%q, %v", b, err)
	}
	return string(b[44 : 44+int(b[43])]), string(b[len(b)-1:])
}

func TestTLSSessionsGoBackToTheServerThatBeganThem(t *testing.T) {
	for _, loops := range []int{1, 2} {
		r := start(t, Options{Loops: loops})
		v := kept(t, appliance.TCP, appliance.PersistTLSSession, helloServer(t, "a", false).address, helloServer(t, "b", false).address)
		r.apply(v)
		home := map[string]string{}
		for range 4 {
			session, name := greet(t, "", address(v), "", false)
			home[session] = name
		}
		if len(home) != 4 {
			t.Fatalf("%v", home)
		}
		for range 3 {
			for session, name := range home {
				if again, got := greet(t, "", address(v), session, false); got != name || again != session {
					t.Errorf("session %s of %s went to %s", session, name, got)
				}
			}
		}
		if list := r.Persistence(appliance.PersistenceQuery{}); list.Total != 4 || list.Entries[0].Kind != "tls" {
			t.Errorf("%+v", list)
		}
		r.stop()
	}
}

func TestTLS13IsKeptBySource(t *testing.T) {
	r := start(t, Options{})
	v := kept(t, appliance.TCP, appliance.PersistTLSSession, helloServer(t, "a", true).address, helloServer(t, "b", true).address)
	r.apply(v)
	_, name := greet(t, "127.0.0.2", address(v), "random-1", true)
	for i := range 4 {
		if _, got := greet(t, "127.0.0.2", address(v), fmt.Sprint("random-", i), true); got != name {
			t.Errorf("moved from %s to %s", name, got)
		}
	}
	if got := keysOf(r); got != "127.0.0.2" {
		t.Errorf("entries %s: numbers that never come again fill the table", got)
	}
}

func TestATLSSessionMovesForGoodWhenItsServerIsDown(t *testing.T) {
	a := helloServer(t, "a", false)
	r := start(t, Options{})
	v := kept(t, appliance.TCP, appliance.PersistTLSSession, a.address, helloServer(t, "b", false).address)
	v.Mode = appliance.Failover
	r.apply(v)
	session, name := greet(t, "", address(v), "", false)
	if name != "a" {
		t.Fatal(name)
	}
	halted := v.Clone()
	halted.RealServers[0].State = appliance.Halt
	r.apply(halted)
	if _, name = greet(t, "", address(v), session, false); name != "b" {
		t.Fatal(name)
	}
	r.apply(v)
	if _, name = greet(t, "", address(v), session, false); name != "b" {
		t.Errorf("back on %s", name)
	}
}

func rdpRequest(cookie string) string {
	b := binary.BigEndian.AppendUint16([]byte{3, 0}, uint16(11+len(cookie)))
	return string(append(append(b, byte(6+len(cookie)), 0xe0, 0, 0, 0, 0, 0), cookie...))
}

// knock sends a connection request and returns the name of the server that echoes it.
func knock(t *testing.T, from, to, cookie string) string {
	t.Helper()
	c := dialFrom(t, from, to)
	defer c.Close()
	if _, err := io.WriteString(c, rdpRequest(cookie)); err != nil {
		t.Fatal(err)
	}
	name := readName(t, c)
	ping(t, c, "")
	got := make([]byte, len(rdpRequest(cookie)))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != rdpRequest(cookie) {
		t.Fatalf("the server got %q, %v", got, err)
	}
	return name
}

func TestRDPUsersAndRoutesFindTheirServer(t *testing.T) {
	for _, loops := range []int{1, 2} {
		a, b := serve(t, echo("a")), serve(t, echo("b"))
		r := start(t, Options{Loops: loops})
		v := kept(t, appliance.TCP, appliance.PersistRDPCookie, a.address, b.address)
		r.apply(v)
		home := map[string]string{}
		for range 3 {
			for _, user := range []string{"ann", "bob", "cleo"} {
				name := knock(t, "", address(v), "Cookie: mstshash="+user+"\r\n")
				if home[user] != "" && home[user] != name {
					t.Errorf("%s moved from %s to %s", user, home[user], name)
				}
				home[user] = name
			}
		}
		if name := knock(t, "", address(v), "Cookie: mstshash=ANN\r\n"); name != home["ann"] {
			t.Error("the case of a name counts")
		}
		for name, at := range map[string]netip.AddrPort{"a": a.address, "b": b.address} {
			four := at.Addr().As4()
			token := fmt.Sprintf("Cookie: msts=%d.%d.0000\r\n", binary.LittleEndian.Uint32(four[:]), at.Port()>>8|at.Port()<<8)
			for range 3 {
				if got := knock(t, "", address(v), token); got != name {
					t.Errorf("the route to %s led to %s", name, got)
				}
			}
		}
		foreign := knock(t, "127.0.0.7", address(v), "Cookie: msts=16777343.256.0000\r\n")
		if again := knock(t, "127.0.0.7", address(v), ""); again != foreign {
			t.Errorf("without a cookie the client moved from %s to %s", foreign, again)
		}
		if list := r.Persistence(appliance.PersistenceQuery{Text: "bob"}); list.Total != 1 || !strings.HasPrefix(list.Entries[0].Key, "rdp:") {
			t.Errorf("%+v", list)
		}
		if got := r.Persistence(appliance.PersistenceQuery{}).Total; got != 4 {
			t.Errorf("%d entries: %s", got, keysOf(r))
		}
		r.stop()
	}
}

func TestDrainingClearsEntriesInTCPModeToo(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v := kept(t, appliance.TCP, appliance.PersistRDPCookie, serve(t, echo("a")).address, serve(t, echo("b")).address)
	v.Mode, v.Persistence.ClearOnDrain = appliance.Failover, true
	r.apply(v)
	if name := knock(t, "", address(v), "Cookie: mstshash=ann\r\n"); name != "a" {
		t.Fatal(name)
	}
	v.RealServers[0].State = appliance.Drain
	r.apply(v)
	if keysOf(r) != "" {
		t.Error(keysOf(r))
	}
	four := netip.MustParseAddr("127.0.0.1").As4()
	port := v.RealServers[0].Port
	token := fmt.Sprintf("Cookie: msts=%d.%d.0000\r\n", binary.LittleEndian.Uint32(four[:]), port>>8|port<<8)
	for _, cookie := range []string{"Cookie: mstshash=ann\r\n", token} {
		if name := knock(t, "", address(v), cookie); name != "b" {
			t.Errorf("%q: still on %s", cookie, name)
		}
	}
}
