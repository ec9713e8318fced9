package peek

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// hellos returns what a client and a server of crypto/tls send first.
func hellos(t testing.TB, highest uint16) (client, server []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"x"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	up, down := &recorder{Conn: near}, &recorder{Conn: far}
	done := make(chan error, 1)
	go func() {
		done <- tls.Server(down, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}).Handshake()
	}()
	if err := tls.Client(up, &tls.Config{InsecureSkipVerify: true, MaxVersion: highest, ServerName: "x"}).Handshake(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = near.Read(make([]byte, 4096)) }() // tickets
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	near.Close()
	far.Close()
	return up.first, down.first
}

type recorder struct {
	net.Conn
	first []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.first == nil {
		r.first = bytes.Clone(b)
	}
	return r.Conn.Write(b)
}

func TestHellosOfRealConnectionsAreRead(t *testing.T) {
	client, server := hellos(t, tls.VersionTLS13)
	h, v := ClientHello(client)
	if v != Found || len(h.Session) != 32 || !h.TLS13 {
		t.Errorf("client of 1.3: %+v %d", h, v)
	}
	s, v := ServerHello(server)
	if v != Found || !s.TLS13 || !bytes.Equal(s.Session, h.Session) {
		t.Errorf("server of 1.3: %+v %d", s, v)
	}
	client, server = hellos(t, tls.VersionTLS12)
	if h, v = ClientHello(client); v != Found || h.TLS13 {
		t.Errorf("client of 1.2: %+v %d", h, v)
	}
	if s, v = ServerHello(server); v != Found || s.TLS13 {
		t.Errorf("server of 1.2: %+v %d", s, v)
	}
	if _, v := ClientHello(server); v != None {
		t.Error("a server's hello is a client's")
	}
	if _, v := ServerHello(client); v != None {
		t.Error("a client's hello is a server's")
	}
}

// hello returns a ClientHello by hand.
func hello(session string, extensions ...byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(append(body, byte(len(session))), session...)
	body = append(body, 0, 2, 0xc0, 0x2f, 1, 0)
	if extensions != nil {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(extensions))), extensions...)
	}
	b := binary.BigEndian.AppendUint16([]byte{22, 3, 1}, uint16(len(body)+4))
	return append(append(b, 1, 0, byte(len(body)>>8), byte(len(body))), body...)
}

func TestClientHelloByHand(t *testing.T) {
	for name, c := range map[string]struct {
		b       []byte
		session string
		tls13   bool
		verdict Verdict
	}{
		"session":          {hello("0123456789"), "0123456789", false, Found},
		"no session":       {hello(""), "", false, Found},
		"1.3 among others": {hello("", 0, 43, 0, 5, 4, 3, 3, 3, 4), "", true, Found},
		"1.2 only":         {hello("", 0, 43, 0, 3, 2, 3, 3), "", false, Found},
		"odd versions":     {hello("", 0, 43, 0, 2, 9, 3), "", false, Found},
		"session too long": {hello(strings.Repeat("x", 33)), "", false, None},
		"extension beyond": {hello("", 0, 43, 0, 9, 1), "", false, None},
		"half extension":   {hello("", 0), "", false, None},
		"not TLS":          {[]byte("GET / HTTP/1.1\r\n"), "", false, None},
		"SSL 2":            {[]byte{0x80, 0x2e, 1, 3}, "", false, None},
		"alert":            {[]byte{21, 3, 1, 0, 2, 2, 40}, "", false, None},
		"empty record":     {[]byte{22, 3, 1, 0, 0}, "", false, None},
		"too large":        {[]byte{22, 3, 1, 0xff, 0xff}, "", false, None},
		"nothing yet":      {nil, "", false, More},
	} {
		h, v := ClientHello(c.b)
		if string(h.Session) != c.session || h.TLS13 != c.tls13 || v != c.verdict {
			t.Errorf("%s: %q %v %d", name, h.Session, h.TLS13, v)
		}
	}
	whole := hello("0123456789", 0, 43, 0, 3, 2, 3, 3)
	for n := range whole {
		if _, v := ClientHello(whole[:n]); v != More {
			t.Errorf("%d bytes: %d", n, v)
		}
	}
	split := bytes.Clone(whole)
	binary.BigEndian.PutUint16(split[3:], 20)
	if _, v := ClientHello(split); v != None {
		t.Error("a hello in pieces is read")
	}
}

func request(text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{3, 0}, uint16(11+len(text)))
	return append(append(b, byte(6+len(text)), 0xe0, 0, 0, 0, 0, 0), text...)
}

const negotiation = "\x01\x00\x08\x00\x03\x00\x00\x00"

func TestRDPRequests(t *testing.T) {
	for name, c := range map[string]struct {
		b           []byte
		user, route string
		verdict     Verdict
	}{
		"user":             {request("Cookie: mstshash=jdoe\r\n" + negotiation), "jdoe", "", Found},
		"domain":           {request("Cookie: mstshash=CLINIC\\jd\r\n"), "CLINIC\\jd", "", Found},
		"routing token":    {request("Cookie: msts=3640205228.15629.0000\r\n" + negotiation), "", "172.31.249.216:3389", Found},
		"no cookie":        {request(negotiation), "", "", Found},
		"no end":           {request("Cookie: mstshash=jdoe"), "", "", Found},
		"empty":            {request("Cookie: mstshash=\r\n"), "", "", Found},
		"huge user":        {request("Cookie: mstshash=" + strings.Repeat("x", 200) + "\r\n"), "", "", Found},
		"another broker":   {request("Cookie: tsv://MS Terminal Services Plugin.1.Farm\r\n"), "", "", Found},
		"bad token":        {request("Cookie: msts=99999999999.15629.0000\r\n"), "", "", Found},
		"negative":         {request("Cookie: msts=-1.15629.0000\r\n"), "", "", Found},
		"unfinished token": {request("Cookie: msts=3640205228.15629\r\n"), "", "", Found},
		"data, no request": {[]byte{3, 0, 0, 12, 7, 0xf0, 0x80, 0, 0, 0, 0, 0}, "", "", None},
		"length disagrees": {append([]byte{3, 0, 0, 12, 9, 0xe0}, make([]byte, 6)...), "", "", None},
		"huge":             {[]byte{3, 0, 0x7f, 0xff}, "", "", None},
		"short":            {[]byte{3, 0, 0, 7, 2, 0xe0, 0}, "", "", None},
		"TLS":              {hello(""), "", "", None},
		"HTTP":             {[]byte("GET / HTTP/1.1\r\n"), "", "", None},
		"nothing yet":      {nil, "", "", More},
	} {
		r, v := RDP(c.b)
		route := ""
		if r.Route.IsValid() {
			route = r.Route.String()
		}
		if string(r.User) != c.user || route != c.route || v != c.verdict {
			t.Errorf("%s: %q %s %d", name, r.User, route, v)
		}
	}
	whole := request("Cookie: mstshash=jdoe\r\n" + negotiation)
	for n := range whole {
		if _, v := RDP(whole[:n]); v != More {
			t.Errorf("%d bytes: %d", n, v)
		}
	}
}

func FuzzPeek(f *testing.F) {
	client, server := hellos(f, tls.VersionTLS13)
	for _, b := range [][]byte{client, server, inPieces(client, 40), hello("0123", 0, 43, 0, 3, 2, 3, 4), request("Cookie: mstshash=jdoe\r\n"), request("Cookie: msts=3640205228.15629.0000\r\n")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, look := range []func([]byte) (Hello, Verdict){ClientHello, ServerHello} {
			h, v := look(b)
			if v != Found && (h.Session != nil || h.TLS13) || len(h.Session) > 32 || v == More && len(b) > Limit+recordHead {
				t.Errorf("%+v %d", h, v)
			}
		}
		if name, v := ServerName(b); v != Found && name != "" || len(name) > longestName || strings.ContainsFunc(name, notInName) {
			t.Errorf("%q %d", name, v)
		}
		r, v := RDP(b)
		if len(r.User) > maxUser || v == More && len(b) > maxRequest {
			t.Errorf("%+v %d", r, v)
		}
	})
}
