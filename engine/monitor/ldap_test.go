package monitor

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// bindAnswer is a whole answer to a bind.
func bindAnswer(id, op, code byte, diagnostic string) []byte {
	body := append(ber(berEnumerated, []byte{code}), ber(berOctets, nil)...)
	return ldapMessage(id, ber(op, append(body, ber(berOctets, []byte(diagnostic))...)))
}

// directory answers the first request with what answer says, and tells all requests that it read.
func directory(told chan<- string, answer []byte) func(net.Conn) {
	return func(c net.Conn) {
		in, all := bufio.NewReader(c), ""
		for {
			request, err := readElement(in)
			if err != nil {
				told <- all
				return
			}
			all += string(request) + "|"
			_, _ = c.Write(answer)
			answer = nil
		}
	}
}

func TestLDAPBind(t *testing.T) {
	const anonymous = "\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00|"
	const unbind = "\x02\x01\x02\x42\x00|"
	for name, c := range map[string]struct {
		answer []byte
		good   bool
		want   string
	}{
		"anonymous": {bindAnswer(1, ldapBound, 0, ""), true, "Anonymous bind answered in # ms."},
		"not anonymous": {
			bindAnswer(1, ldapBound, 48, "anonymous bind disallowed"), true,
			`The server answers in # ms. It refuses the anonymous bind (inappropriate authentication, "anonymous bind disallowed").`,
		},
		"unavailable":     {bindAnswer(1, ldapBound, 52, ""), false, "The anonymous bind failed: unavailable."},
		"unknown code":    {bindAnswer(1, ldapBound, 99, ""), false, "The anonymous bind failed: result 99."},
		"ends":            {bindAnswer(0, ldapNotice, 52, "shutting <down>"), false, `The LDAP server ended the session: unavailable, "shutting <down>".`},
		"another request": {bindAnswer(7, ldapBound, 0, ""), false, "The LDAP server answers another request than the bind."},
		"long diagnostic": {bindAnswer(1, ldapBound, 1, strings.Repeat("x", 5000)), false, `The anonymous bind failed: operations error, "` + strings.Repeat("x", maxQuoted) + `…".`},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 1)
			to := peer(t, listen(t, "127.0.0.1:0"), directory(told, c.answer))
			p, _ := try(t, to, check(appliance.MonitorLDAP))
			expect(t, p, c.good, c.want)
			if got := <-told; got != anonymous+unbind {
				t.Errorf("the server was told %q, want %q", got, anonymous+unbind)
			}
		})
	}
}

func TestLDAPAgainstOtherServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closes":          {answers(""), "The server closed the connection before an answer to the bind came."},
		"silent":          {untilEOF, "Port # opened, but an answer to the bind did not come within 1s."},
		"half an answer":  {answers(string(bindAnswer(1, ldapBound, 0, "")[:6])), "The server closed the connection before an answer to the bind came."},
		"garbled":         {answers("HTTP/1.1 400 Bad Request\r\n\r\n"), `The answer on port # is not LDAP: "HTTP/1.1 400 Bad Request\r\n\r\n".`},
		"huge":            {answers("0\x84\xff\xff\xff\xff" + strings.Repeat("x", 1<<18)), `The answer on port # is not LDAP: "*".`},
		"endless length":  {answers("0\x80" + strings.Repeat("x", 1<<18)), `The answer on port # is not LDAP: "*".`},
		"another message": {answers("0\x05\x02\x01\x01\x65\x00"), `The answer on port # is not LDAP: "0\x05\x02\x01\x01e\x00".`},
		"sends it back": {func(c net.Conn) {
			_, _ = io.CopyN(c, c, 14)
			untilEOF(c)
		}, `The answer on port # is not LDAP: "*".`},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			m := check(appliance.MonitorLDAP)
			m.Timeout = within(c.want)
			p, _ := try(t, to, m)
			expect(t, p, false, c.want)
		})
	}
}

// FuzzLDAPAnswer holds that an answer is read within its bounds, and that what is read is written like it.
func FuzzLDAPAnswer(f *testing.F) {
	f.Add(bindAnswer(1, ldapBound, 0, ""))
	f.Add(bindAnswer(0, ldapNotice, 52, strings.Repeat("x", 300)))
	f.Add([]byte("0\x84\x00\x00\x00\x01a"))
	f.Add([]byte("0\x06\x02\x01\x01\x61\x84\xff")) // a length that is itself cut off
	f.Fuzz(func(t *testing.T, body []byte) {
		if b, err := readBound(bytes.NewReader(body)); err == nil && (b.id < 0 || b.code < 0 || len(b.diagnostic) > len(body)) {
			t.Errorf("%q was read as %+v", body, b)
		}
		overBytes(t, appliance.NewMonitor(appliance.MonitorLDAP), body)
	})
}
