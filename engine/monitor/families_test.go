package monitor

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// served is a server, and a check that it is content with.
type served struct {
	check appliance.Monitor
	at    netip.AddrPort
}

// servers runs one server for every kind of check on IPv6; those that learn what they are called want to be called by name.
func servers(t *testing.T, name string) map[appliance.MonitorKind]served {
	t.Helper()
	list := map[appliance.MonitorKind]served{}
	told := make(chan string, 100)
	on := func(k appliance.MonitorKind, l net.Listener, f func(net.Conn), edit func(*appliance.Monitor)) {
		m := check(k)
		if edit != nil {
			edit(&m)
		}
		list[k] = served{m, peer(t, l, f)}
	}
	six := func() net.Listener { return listen(t, "[::1]:0") }
	on(appliance.MonitorConnect, six(), untilEOF, nil)
	on(appliance.MonitorHTTP, six(), namedSo(name), nil)
	secure := &tls.Config{Certificates: []tls.Certificate{trusted.issue(t, name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))}}
	on(appliance.MonitorHTTPS, tls.NewListener(six(), secure), namedSo(name), func(m *appliance.Monitor) { m.HTTP.Verify = true })
	on(appliance.MonitorDICOM, tls.NewListener(six(), secure), imaging(told, true), func(m *appliance.Monitor) {
		m.DICOM = appliance.DICOMProbe{Called: "PACS1", TLS: true, Verify: true}
	})
	on(appliance.MonitorHL7, six(), acknowledges(func(string) string { return "MSH|^~\\&|HIS|H|E|L|2026||ACK|1|P|2.5\rMSA|AA|check-1|\r" }), func(m *appliance.Monitor) { m.HL7.Message = hello })
	on(appliance.MonitorLDAP, six(), directory(told, bindAnswer(1, ldapBound, 0, "")), nil)
	on(appliance.MonitorSMTP, six(), mailServer(told, "220 mail.example ESMTP\r\n", map[string]string{"EHLO": "250 hello\r\n"}), nil)
	on(appliance.MonitorMySQL, six(), database(told, greets("8.0.36"), "\x03\x00\x00\x02\x00\x00\x00"), nil)
	on(appliance.MonitorPostgreSQL, six(), session(told, pgSays('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00")), nil)
	on(appliance.MonitorRedis, six(), answers("+PONG\r\n"), nil)
	question := check(appliance.MonitorDNS)
	question.DNS = appliance.DNSProbe{Name: "pacs.example", Type: "AAAA", Expect: "fd00:0::5"}
	list[appliance.MonitorDNS] = served{question, nameServerOn(t, "[::1]:0", resolves(holds("fd00::5")))}
	all := healthService(map[string]byte{"": 1})
	list[appliance.MonitorGRPC] = served{check(appliance.MonitorGRPC), grpcServerOn(t, "[::1]:0", func(w http.ResponseWriter, r *http.Request) {
		if host, _, _ := net.SplitHostPort(r.Host); host != name {
			w.WriteHeader(http.StatusMisdirectedRequest)
			return
		}
		all(w, r)
	})}
	script := check(appliance.MonitorScript)
	script.Script, script.Timeout = "s1", appliance.Duration(5*time.Second)
	list[appliance.MonitorScript] = served{script, netip.MustParseAddrPort("[::1]:104")}
	list[appliance.MonitorNone] = served{check(appliance.MonitorNone), netip.MustParseAddrPort("[::1]:104")}
	return list
}

// namedSo answers 200 to who calls the server by that name.
func namedSo(name string) func(net.Conn) {
	return func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		code := "421 Misdirected"
		if host, _, err := net.SplitHostPort(r.Host); err == nil && host == name {
			code = "200 OK"
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", code)
		untilEOF(c)
	}
}

// TestEveryKindOfCheckReachesServersOnIPv6 by their address, and by a name that leads there, under which the server is then called.
func TestEveryKindOfCheckReachesServersOnIPv6(t *testing.T) {
	for _, name := range []string{"::1", "pacs1.example"} {
		list := servers(t, name)
		for _, k := range appliance.MonitorKinds() {
			c, known := list[k]
			if !known {
				t.Errorf("no server for %s", k)
				continue
			}
			s := appliance.NewService(appliance.TCP)
			s.Address, s.Monitor, s.Ports = netip.MustParseAddr("fd00::188"), c.check, appliance.Ports{{First: c.at.Port(), Last: c.at.Port()}}
			r := appliance.NewRealServer()
			r.Address = appliance.Host(name)
			body := fmt.Sprintf("#!/bin/sh\n[ \"$*\" = 'fd00::188 %d ::1 %d' ]\n", c.at.Port(), c.at.Port())
			p, transcript := New(Options{ScriptsDir: t.TempDir()}).Test(t.Context(), s, r, []appliance.Script{{ID: "s1", Label: "Probe", Body: body}}, func(context.Context) (netip.Addr, error) {
				return netip.IPv6Loopback(), nil
			})
			if !p.Good {
				t.Errorf("%s by %s: %s\n%s", k, name, p.Sentence, transcript)
			}
		}
	}
}

func TestSentencesNameIPv6Servers(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.ECONNREFUSED, "Connection refused on port 104. The machine answers, the service does not."},
		{syscall.EHOSTUNREACH, "No route to fd00::40. The machine may be off, or a router on the way does not know it."},
		{syscall.EACCES, "A firewall on this appliance forbids connections to [fd00::40]:104."},
		{syscall.ETIMEDOUT, "No answer from fd00::40 within 30s. The machine may be off or a firewall drops the packets."},
	} {
		dialled := ""
		m := New(Options{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, &net.OpError{Op: "dial", Err: c.err}
		}})
		s := appliance.NewService(appliance.TCP)
		s.Monitor, s.Ports = check(appliance.MonitorConnect), appliance.Ports{{First: 104, Last: 104}}
		r := appliance.NewRealServer()
		r.Address = "fd00::40"
		p, _ := m.Test(t.Context(), s, r, nil, nil)
		if expect(t, p, false, c.want); dialled != "[fd00::40]:104" {
			t.Errorf("dialled %s", dialled)
		}
	}
}
