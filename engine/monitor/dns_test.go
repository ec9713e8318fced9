package monitor

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"evenkeel/appliance"
)

// nameServer answers each datagram with those that answer makes of it, and returns its address.
func nameServer(t *testing.T, answer func(query []byte) [][]byte) netip.AddrPort {
	t.Helper()
	return nameServerOn(t, "127.0.0.1:0", answer)
}

func nameServerOn(t *testing.T, at string, answer func(query []byte) [][]byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			for _, packet := range answer(buffer[:n]) {
				_, _ = conn.WriteToUDPAddrPort(packet, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// resolves makes the answer to a query out of it, after edit.
func resolves(edit func(*dnsmessage.Message)) func([]byte) [][]byte {
	return func(query []byte) [][]byte {
		var m dnsmessage.Message
		if m.Unpack(query) != nil || len(m.Questions) != 1 || !m.RecursionDesired {
			return nil
		}
		m.Response = true
		edit(&m)
		packet, err := m.Pack()
		if err != nil {
			panic(err)
		}
		return [][]byte{packet}
	}
}

func holds(addresses ...string) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		for _, text := range addresses {
			r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}}
			if ip := netip.MustParseAddr(text); ip.Is4() {
				r.Body = &dnsmessage.AResource{A: ip.As4()}
			} else {
				r.Body = &dnsmessage.AAAAResource{AAAA: ip.As16()}
			}
			m.Answers = append(m.Answers, r)
		}
	}
}

func code(c dnsmessage.RCode) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) { m.RCode = c }
}

func TestDNS(t *testing.T) {
	plain := appliance.DNSProbe{Name: "pacs.example"}
	expecting := appliance.DNSProbe{Name: "pacs.example.", Type: "A", Expect: "10.0.0.5"}
	for name, c := range map[string]struct {
		probe  appliance.DNSProbe
		answer func([]byte) [][]byte
		good   bool
		want   string
	}{
		"answers":    {plain, resolves(holds("10.0.0.5")), true, `"pacs.example" was answered with 1 record in # ms.`},
		"no records": {plain, resolves(holds()), true, `"pacs.example" was answered with 0 records in # ms.`},
		"expected":   {expecting, resolves(holds("10.0.0.4", "10.0.0.5")), true, `"pacs.example." was answered with 10.0.0.5 in # ms.`},
		"expected 6": {appliance.DNSProbe{Name: "a", Type: "AAAA", Expect: "2001:db8:0::1"}, resolves(holds("2001:db8::1")), true, `"a" was answered with 2001:db8::1 in # ms.`},
		"another":    {expecting, resolves(holds("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.6")), false, `"pacs.example." was answered with 10.0.0.1, 10.0.0.2, 10.0.0.3, 2 more, not with 10.0.0.5.`},
		"none":       {expecting, resolves(holds()), false, `"pacs.example." was answered without an address, not with 10.0.0.5.`},
		"cut off":    {expecting, resolves(func(m *dnsmessage.Message) { m.Truncated = true }), false, `The answer for "pacs.example." was cut off before 10.0.0.5.`},
		"refused":    {plain, resolves(code(dnsmessage.RCodeRefused)), false, `The question for "pacs.example" was answered with REFUSED.`},
		"missing":    {plain, resolves(code(dnsmessage.RCodeNameError)), false, `The question for "pacs.example" was answered with NXDOMAIN.`},
		"odd code":   {plain, resolves(code(15)), false, `The question for "pacs.example" was answered with the code 15.`},
		"no question, refused": {plain, resolves(func(m *dnsmessage.Message) {
			m.Questions, m.RCode = nil, dnsmessage.RCodeServerFailure
		}), false, `The question for "pacs.example" was answered with SERVFAIL.`},
		"another question": {plain, resolves(func(m *dnsmessage.Message) {
			m.Questions[0].Type = dnsmessage.TypeMX
		}), false, `The answer on UDP port # is not DNS: "*".`},
		"no answer at all": {plain, func(query []byte) [][]byte { return [][]byte{query} }, false, `The answer on UDP port # is not DNS: "*".`},
		"garbled":          {plain, func([]byte) [][]byte { return [][]byte{[]byte("<b>\x1b")} }, false, `The answer on UDP port # is not DNS: "<b>\x1b".`},
		"late ones first": {plain, func(query []byte) [][]byte {
			late := resolves(code(dnsmessage.RCodeRefused))(query)[0]
			late[0] ^= 1
			return append([][]byte{late, late}, resolves(holds())(query)...)
		}, true, `"pacs.example" was answered with 0 records in # ms.`},
		"endless": {plain, func(query []byte) [][]byte {
			late := resolves(holds())(query)[0]
			late[0] ^= 1
			list := make([][]byte, 0, 3*maxStray)
			for range 3 * maxStray {
				list = append(list, late)
			}
			return list
		}, false, "The server on UDP port # answers other questions than the one that was asked."},
		"silent":   {plain, func([]byte) [][]byte { return nil }, false, "No answer from UDP port # within 1s. The machine or the service may be off, or a firewall drops the packets."},
		"bad name": {appliance.DNSProbe{Name: strings.Repeat("a", 300)}, resolves(holds()), false, "The name of this check cannot be asked for."},
	} {
		t.Run(name, func(t *testing.T) {
			m := check(appliance.MonitorDNS)
			m.Timeout, m.DNS = within(c.want), c.probe
			p, _ := try(t, nameServer(t, c.answer), m)
			expect(t, p, c.good, c.want)
		})
	}
}

func TestDNSWhereNothingListens(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = conn.Close()
	m := check(appliance.MonitorDNS)
	m.DNS.Name = "pacs.example"
	p, _ := try(t, to, m)
	expect(t, p, false, "Nothing listens on UDP port #. The machine answers, the service does not.")
}

func FuzzParseResolution(f *testing.F) {
	question, query, err := dnsQuery(0x4142, "pacs.example", dnsmessage.TypeA)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(resolves(holds("10.0.0.5", "::1"))(query)[0])
	f.Add(resolves(code(dnsmessage.RCodeRefused))(query)[0])
	f.Add(query)
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := parseResolution(packet, query[:2], question)
		if err == nil && (len(packet) < 12 || packet[2]&0x80 == 0 || len(r.addresses) > r.records) {
			t.Errorf("%q was read as %+v", packet, r)
		}
	})
}
