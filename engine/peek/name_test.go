package peek

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

// asking returns what a client of crypto/tls sends first when it asks for a name.
func asking(t testing.TB, name string) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	got := make(chan []byte, 1)
	go func() {
		head := make([]byte, recordHead)
		_, _ = io.ReadFull(far, head)
		body := make([]byte, binary.BigEndian.Uint16(head[3:]))
		_, _ = io.ReadFull(far, body)
		far.Close()
		got <- append(head, body...)
	}()
	_ = tls.Client(near, &tls.Config{InsecureSkipVerify: true, ServerName: name}).Handshake()
	return <-got
}

// inPieces splits the only record of b into records of n bytes.
func inPieces(b []byte, n int) (out []byte) {
	for rest := b[recordHead:]; len(rest) > 0; rest = rest[min(n, len(rest)):] {
		piece := rest[:min(n, len(rest))]
		out = binary.BigEndian.AppendUint16(append(out, b[:3]...), uint16(len(piece)))
		out = append(out, piece...)
	}
	return out
}

func TestTheNameThatAClientAsksForIsRead(t *testing.T) {
	for _, name := range []string{"pacs.example.org", "PACS.Example.ORG", "a", strings.Repeat("a.", 100) + "org"} {
		hello := asking(t, name)
		want := strings.ToLower(name)
		for what, b := range map[string][]byte{"whole": hello, "with more behind": append(hello[:len(hello):len(hello)], 22, 3, 3), "in two records": inPieces(hello, 100), "in many records": inPieces(hello, 3)} {
			if got, v := ServerName(b); v != Found || got != want {
				t.Errorf("%s of %s: %q %d", what, name, got, v)
			}
		}
		for _, pieces := range []int{1 << 14, 100, 3} {
			b := inPieces(hello, pieces)
			for n := range b {
				if got, v := ServerName(b[:n]); v != More || got != "" {
					t.Fatalf("%d bytes of %d, pieces of %d: %q %d", n, len(b), pieces, got, v)
				}
			}
		}
	}
	if got, v := ServerName(asking(t, "192.0.2.1")); v != Found || got != "" {
		t.Errorf("an address is no name: %q %d", got, v)
	}
}

func TestWhatIsNoHelloHasNoName(t *testing.T) {
	hello := asking(t, "a.example.org")
	huge := append([]byte{22, 3, 1, 0, 100, 1, 1, 0, 0}, make([]byte, 200)...)
	for what, b := range map[string][]byte{
		"http": []byte("GET / HTTP/1.1\r\n"), "alert": {21, 3, 1, 0, 2, 2, 40}, "server hello": append([]byte{22, 3, 1, 0, 50, 2}, hello[6:]...), "empty record": {22, 3, 1, 0, 0},
		"another record between": append(append([]byte{}, inPieces(hello, 100)[:105]...), 20, 3, 3, 0, 1, 1), "larger than any": huge, "SSL 2": {0x80, 46, 1, 0, 2},
	} {
		if got, v := ServerName(b); v != None || got != "" {
			t.Errorf("%s: %q %d", what, got, v)
		}
	}
	if got, v := ServerName(nil); v != More || got != "" {
		t.Errorf("nothing yet: %q %d", got, v)
	}
	for _, bad := range []string{"a b", "a\x00b", "a\nb", "<a>", "ä.example.org", strings.Repeat("a", 256)} {
		list := append([]byte{0}, binary.BigEndian.AppendUint16(nil, uint16(len(bad)))...)
		list = append(list, bad...)
		if got := hostOf(append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...)); got != "" {
			t.Errorf("%q is no host's name", got)
		}
	}
}
