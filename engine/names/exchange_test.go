package names

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// nameServer serves f over UDP and TCP on the same port of loopback.
func nameServer(t *testing.T, f func(w dns.ResponseWriter, q *dns.Msg)) netip.AddrPort {
	t.Helper()
	for range 20 { // the other protocol's port may be taken
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err != nil {
			_ = listener.Close()
			continue
		}
		for _, s := range []*dns.Server{{Listener: listener, Handler: dns.HandlerFunc(f)}, {PacketConn: packets, Handler: dns.HandlerFunc(f)}} {
			ready := make(chan struct{})
			s.NotifyStartedFunc = func() { close(ready) }
			done := make(chan error, 1)
			go func() { done <- s.ActivateAndServe() }()
			<-ready
			t.Cleanup(func() {
				if err := s.Shutdown(); err != nil {
					t.Error(err)
				}
				<-done
			})
		}
		return netip.MustParseAddrPort(listener.Addr().String())
	}
	t.Fatal("no port is free for both protocols")
	return netip.AddrPort{}
}

func overUDP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "udp" }

func TestExchange(t *testing.T) {
	record := "x.example. 30 IN A 10.0.0.1"
	for name, c := range map[string]struct {
		serve func(w dns.ResponseWriter, q *dns.Msg)
		want  string
		fails string
	}{
		"plain": {func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(reply(q, []string{record}, 0)) }, "10.0.0.1", ""},
		"truncated": {func(w dns.ResponseWriter, q *dns.Msg) {
			in := reply(q, []string{record}, 0)
			if overUDP(w) {
				in.Truncated, in.Answer = true, nil
			}
			_ = w.WriteMsg(in)
		}, "10.0.0.1", ""},
		"without EDNS": {func(w dns.ResponseWriter, q *dns.Msg) {
			code := 0
			if q.IsEdns0() != nil {
				code = dns.RcodeFormatError
			}
			_ = w.WriteMsg(reply(q, []string{record}, code))
		}, "10.0.0.1", ""},
		"many": {func(w dns.ResponseWriter, q *dns.Msg) {
			var list []string
			for i := range 200 {
				list = append(list, fmt.Sprintf("x.example. 30 IN A 10.0.1.%d", i))
			}
			in := reply(q, list, 0)
			if overUDP(w) {
				in.Truncate(512)
			}
			_ = w.WriteMsg(in)
		}, "10.0.1.0 10.0.1.1 ", ""},
		"another question": {func(w dns.ResponseWriter, q *dns.Msg) {
			in := reply(q, []string{record}, 0)
			in.Question[0].Name = "y.example."
			_ = w.WriteMsg(in)
		}, "", "answered something else"},
		"a question back": {func(w dns.ResponseWriter, q *dns.Msg) {
			in := reply(q, []string{record}, 0)
			in.Response = false
			_ = w.WriteMsg(in)
		}, "", "answered something else"},
		"another number": {func(w dns.ResponseWriter, q *dns.Msg) {
			wrong := reply(q, []string{"x.example. 30 IN A 10.6.6.6"}, 0)
			wrong.Id++
			_ = w.WriteMsg(wrong)
			_ = w.WriteMsg(reply(q, []string{record}, 0))
		}, "10.0.0.1", ""},
		"no message": {func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte("hello")) }, "", "could not be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, &zone{})
			o.Exchange, o.Servers = nil, []netip.AddrPort{nameServer(t, c.serve)}
			a := New(o).Lookup(t.Context(), "x.example.")
			if got := texts(a); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") || !strings.Contains(a.Failure, c.fails) || (a.Failure == "") != (c.fails == "") || len(a.Addresses) > mostAddresses {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestTheNextNameServerIsAskedWhenOneIsNotThere(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := netip.MustParseAddrPort(closed.LocalAddr().String())
	_ = closed.Close()
	o := options(t, &zone{})
	o.Exchange = nil
	o.Servers = []netip.AddrPort{gone, nameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(reply(q, []string{"x.example. 30 IN A 10.0.0.1"}, 0))
	})}
	if a := New(o).Lookup(t.Context(), "x.example."); texts(a) != "10.0.0.1" {
		t.Errorf("%+v", a)
	}
	o.Servers = o.Servers[:1]
	if a := New(o).Lookup(t.Context(), "x.example."); a.Failure != fmt.Sprintf("the name server %s could not be asked", gone) {
		t.Errorf("%+v", a)
	}
}
