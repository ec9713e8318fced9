package traffic

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

const syslogHead = "<134>1 2026-11-21T05:30:12.345Z lb1 evenkeel - traffic - id="

// sending returns a lane of a running log that sends to an address.
func sending(t *testing.T, o Options, to appliance.TrafficLog) *Lane {
	t.Helper()
	l := New(o)
	n := l.Lane()
	l.Configure(&appliance.Local{Hostname: "lb1", TrafficLog: to})
	runLog(t, l)
	return n
}

// counted reads one message behind its length.
func counted(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	size, err := from.ReadString(' ')
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(from, text); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSyslogByUDPIsADatagramALine(t *testing.T) {
	receiver, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	n := sending(t, Options{}, appliance.TrafficLog{Remote: receiver.LocalAddr().String(), Transport: appliance.SyslogUDP})
	n.Write("WEB", ended, request())
	n.Write("WEB", ended, request())
	b := make([]byte, 64<<10)
	for range 2 {
		if err := receiver.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		size, _, err := receiver.ReadFrom(b)
		if got := string(b[:size]); err != nil || !strings.HasPrefix(got, syslogHead) || !strings.HasSuffix(got, " end=done") {
			t.Fatalf("%v %q", err, got)
		}
	}
}

func TestSyslogByTCPCountsOctetsAndComesBack(t *testing.T) {
	receiver := listen(t)
	cleared := make(chan string, 10)
	n := sending(t, Options{Clear: func(code string) { cleared <- code }}, appliance.TrafficLog{Remote: receiver.Addr().String()})
	n.Write("WEB", ended, request())
	n.Write("WEB", ended, request())
	first := accept(t, receiver)
	in := bufio.NewReader(first)
	for range 2 {
		if got := counted(t, in); !strings.HasPrefix(got, syslogHead) || !strings.HasSuffix(got, " end=done") {
			t.Fatalf("%q", got)
		}
	}
	first.Close() // the receiver is restarted
	n.Write("WEB", ended, request())
	if got := counted(t, bufio.NewReader(accept(t, receiver))); !strings.HasPrefix(got, syslogHead) {
		t.Fatalf("%q", got)
	}
}

func TestReceiverThatIsAwayIsSaidAndCostsOnlyLines(t *testing.T) {
	receiver := listen(t)
	address := receiver.Addr().String()
	receiver.Close()
	said, cleared := make(chan appliance.Alert, 10), make(chan string, 10)
	n := sending(t, Options{Alert: func(a appliance.Alert) { said <- a }, Clear: func(code string) { cleared <- code }}, appliance.TrafficLog{Remote: address})
	n.Write("WEB", ended, request())
	if a := <-said; a.Code != codeRemote || !strings.Contains(a.Sentence, "connection refused") {
		t.Errorf("%+v", a)
	}
	far := n.log.far
	for n.log.Dropped() == 0 { // until the bounded buffer is full
		n.Write("WEB", ended, request())
	}
	far.mu.Lock()
	waiting := len(far.lines)
	far.mu.Unlock()
	if waiting > remoteRoom {
		t.Errorf("%d bytes wait", waiting)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	in := bufio.NewReader(accept(t, again))
	for dropped := false; !dropped; {
		dropped = strings.Contains(counted(t, in), " dropped=")
	}
	go io.Copy(io.Discard, in)
	if code := <-cleared; code != codeRemote {
		t.Error(code)
	}
}

// authority returns a certificate for 127.0.0.1 that vouches for itself, and its PEM.
func authority(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

func TestSyslogByTLSVerifiesUnlessToldNotTo(t *testing.T) {
	certificate, text := authority(t)
	for name, c := range map[string]struct {
		to    appliance.TrafficLog
		trust bool
	}{
		"authority":  {appliance.TrafficLog{CA: text}, true},
		"unknown":    {appliance.TrafficLog{}, false},
		"not looked": {appliance.TrafficLog{NoVerify: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			receiver := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{certificate}})
			said := make(chan string, 10)
			c.to.Remote, c.to.Transport = receiver.Addr().String(), appliance.SyslogTLS
			n := sending(t, Options{Alert: func(a appliance.Alert) { said <- a.Sentence }}, c.to)
			n.Write("WEB", ended, request())
			conn := accept(t, receiver)
			if !c.trust {
				_, _ = conn.Read(make([]byte, 1)) // shakes hands
				if got := <-said; !strings.Contains(got, "certificate") {
					t.Error(got)
				}
				return
			}
			in := bufio.NewReader(conn)
			if got := counted(t, in); !strings.HasPrefix(got, syslogHead) {
				t.Errorf("%q", got)
			}
			n.Write("WEB", ended, request()) // by the same connection
			if got := counted(t, in); !strings.HasPrefix(got, syslogHead) {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestHostnamesAreWhatSyslogAllows(t *testing.T) {
	for name, want := range map[string]string{"": "-", "lb1.example.org": "lb1.example.org", "a b\nc": "abc", strings.Repeat("x", 300): strings.Repeat("x", 255)} {
		if got := string(appendHostname(nil, name)); got != want {
			t.Errorf("%q became %q", name, got)
		}
	}
	if got, want := string(AppendCounted([]byte("before"), "h", []byte("T id=1"))), fmt.Sprintf("before%d <134>1 T h evenkeel - traffic - id=1", len("<134>1 T h evenkeel - traffic - id=1")); got != want {
		t.Errorf("%q", got)
	}
}
