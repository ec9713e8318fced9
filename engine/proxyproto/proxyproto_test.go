package proxyproto

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

var alike = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func TestLineIsReadAndWritten(t *testing.T) {
	for text, want := range map[string]Header{
		"PROXY TCP4 10.0.0.7 192.168.0.188 40000 11112\r\n": {Version: 1, Source: at("10.0.0.7:40000"), Destination: at("192.168.0.188:11112")},
		"PROXY TCP6 fd00::7 fd00::188 1 65535\r\n":          {Version: 1, Source: at("[fd00::7]:1"), Destination: at("[fd00::188]:65535")},
		"PROXY UNKNOWN\r\n":                                 {Version: 1, Local: true},
	} {
		got, n, err := Parse([]byte(text + "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n")) // a second one is payload
		if err != nil || n != len(text) || !cmp.Equal(got, want, alike) {
			t.Errorf("%q: %d %v %s", text, n, err, cmp.Diff(want, got, alike))
		}
		if back := string(got.AppendLine(nil)); back != text {
			t.Errorf("%q is written as %q", text, back)
		}
	}
	if h, n, err := Parse([]byte("PROXY UNKNOWN ffff::1 anything at all\r\n")); err != nil || n == 0 || !h.Local {
		t.Errorf("UNKNOWN with more: %+v %d %v", h, n, err)
	}
}

func TestMalformedLinesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"another protocol":     "GET / HTTP/1.1\r\n",
		"overlong":             "PROXY UNKNOWN " + strings.Repeat("x", 107) + "\r\n",
		"bare LF":              "PROXY TCP4 10.0.0.7 10.0.0.8 1 2\n",
		"CR within":            "PROXY TCP4 10.0.0.7\r 10.0.0.8 1 2\r\n",
		"IPv6 in TCP4":         "PROXY TCP4 fd00::7 10.0.0.8 1 2\r\n",
		"IPv4 in TCP6":         "PROXY TCP6 10.0.0.7 fd00::8 1 2\r\n",
		"port 65536":           "PROXY TCP4 10.0.0.7 10.0.0.8 65536 2\r\n",
		"negative port":        "PROXY TCP4 10.0.0.7 10.0.0.8 -1 2\r\n",
		"signed port":          "PROXY TCP4 10.0.0.7 10.0.0.8 +1 2\r\n",
		"port with a zero":     "PROXY TCP4 10.0.0.7 10.0.0.8 01 2\r\n",
		"no port":              "PROXY TCP4 10.0.0.7 10.0.0.8 1\r\n",
		"empty port":           "PROXY TCP4 10.0.0.7 10.0.0.8 1 \r\n",
		"seven words":          "PROXY TCP4 10.0.0.7 10.0.0.8 1 2 3\r\n",
		"two spaces":           "PROXY TCP4  10.0.0.7 10.0.0.8 1 2\r\n",
		"address with a zero":  "PROXY TCP4 010.0.0.7 10.0.0.8 1 2\r\n",
		"zone":                 "PROXY TCP6 fe80::1%eth0 fd00::8 1 2\r\n",
		"family":               "PROXY UDP4 10.0.0.7 10.0.0.8 1 2\r\n",
		"UNKNOWN with a tail":  "PROXY UNKNOWNX\r\n",
		"lower case":           "proxy TCP4 10.0.0.7 10.0.0.8 1 2\r\n",
		"PROXY and no space":   "PROXYTCP4 10.0.0.7 10.0.0.8 1 2\r\n",
		"line end at once":     "PROXY\r\n",
		"version 3":            string(signature) + "\x31\x11\x00\x0c" + strings.Repeat("\x01", 12),
		"command 2":            string(signature) + "\x22\x11\x00\x0c" + strings.Repeat("\x01", 12),
		"family 4":             string(signature) + "\x21\x41\x00\x0c" + strings.Repeat("\x01", 12),
		"UDP":                  string(signature) + "\x21\x12\x00\x0c" + strings.Repeat("\x01", 12),
		"short for IPv4":       string(signature) + "\x21\x11\x00\x0b" + strings.Repeat("\x01", 11),
		"short for IPv6":       string(signature) + "\x21\x21\x00\x0c" + strings.Repeat("\x01", 12),
		"long":                 string(signature) + "\x21\x11\xff\xff",
		"option broken off":    string(signature) + "\x21\x11\x00\x0e" + strings.Repeat("\x01", 14),
		"option too long":      string(signature) + "\x21\x11\x00\x0f" + strings.Repeat("\x01", 12) + "\x02\x00\x01",
		"wrong checksum":       string(signature) + "\x21\x11\x00\x13" + strings.Repeat("\x01", 12) + "\x03\x00\x04abcd",
		"checksum of 3 bytes":  string(signature) + "\x21\x11\x00\x12" + strings.Repeat("\x01", 12) + "\x03\x00\x03abc",
		"TLS of 4 bytes":       string(signature) + "\x21\x11\x00\x13" + strings.Repeat("\x01", 12) + "\x20\x00\x04abcd",
		"TLS with broken part": string(signature) + "\x21\x11\x00\x16" + strings.Repeat("\x01", 12) + "\x20\x00\x07\x01\x00\x00\x00\x00\x21\x00",
		"long unique id":       string(signature) + "\x21\x11\x00\x90" + strings.Repeat("\x01", 12) + "\x05\x00\x81" + strings.Repeat("u", 129),
	} {
		h, n, err := Parse([]byte(text))
		if !errors.Is(err, ErrMalformed) || n != 0 {
			t.Errorf("%s: %+v %d %v", name, h, n, err)
		}
	}
}

func TestLocalAndUnspecifiedKeepTheConnectionsOwnAddresses(t *testing.T) {
	for name, text := range map[string]string{
		"LOCAL":                string(signature) + "\x20\x00\x00\x00",
		"LOCAL with addresses": string(signature) + "\x20\x11\x00\x0c" + strings.Repeat("\x01", 12),
		"LOCAL cut short":      string(signature) + "\x20\x11\x00\x03abc",
		"unspecified":          string(signature) + "\x21\x00\x00\x00",
		"Unix":                 string(signature) + "\x21\x31\x00\x05abcde",
	} {
		h, n, err := Parse([]byte(text))
		if err != nil || n != len(text) || !h.Local || h.Source.IsValid() {
			t.Errorf("%s: %+v %d %v", name, h, n, err)
		}
	}
}

func full() Header {
	return Header{
		Version: 2, Source: at("10.0.0.7:40000"), Destination: at("192.168.0.188:443"),
		Options: Options{
			Authority: "pacs.example.org", ALPN: "h2", UniqueID: []byte("0123456789abcdef"), Checksum: true,
			TLS: TLS{On: true, Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", CommonName: "modality", Verified: true},
		},
	}
}

func TestBinaryIsReadAndWrittenWithEveryOption(t *testing.T) {
	six := full()
	six.Source, six.Destination = at("[fd00::7]:1"), at("[fd00::8]:2")
	bare := Header{Version: 2, Source: at("10.0.0.7:40000"), Destination: at("192.168.0.188:443")}
	for _, want := range []Header{full(), six, bare} {
		b := want.AppendBinary([]byte("before"))[6:]
		got, n, err := Parse(append(b[:len(b):len(b)], b...))
		if err != nil || n != len(b) || !cmp.Equal(got, want, alike) {
			t.Errorf("%d of %d, %v, %s", n, len(b), err, cmp.Diff(want, got, alike))
		}
	}
	b := full()
	raw := b.AppendBinary(nil)
	for i := fixed; i < len(raw); i++ { // with a checksum no bit can change unseen
		raw[i] ^= 4
		if _, n, err := Parse(raw); err == nil && n == len(raw) {
			if h, _, _ := Parse(raw); h.Options.Checksum {
				t.Errorf("byte %d changed, and nobody saw", i)
			}
		}
		raw[i] ^= 4
	}
}

func TestHeaderThatIsNotCompleteAsksForMore(t *testing.T) {
	h := full()
	for _, whole := range [][]byte{h.AppendBinary(nil), h.AppendLine(nil)} {
		for i := range whole {
			if _, n, err := Parse(whole[:i]); n != 0 || err != nil {
				t.Errorf("%d of %d bytes: %d %v", i, len(whole), n, err)
			}
		}
	}
}

func TestMixedFamiliesAreWrittenAsIPv6(t *testing.T) {
	h := Header{Source: at("10.0.0.7:1"), Destination: at("[fd00::8]:2")}
	for _, b := range [][]byte{h.AppendLine(nil), h.AppendBinary(nil)} {
		if got, n, err := Parse(b); err != nil || n != len(b) || got.Destination != h.Destination || got.Source.Addr().Unmap() != h.Source.Addr() {
			t.Errorf("%q: %+v %v", b, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	h := full()
	f.Add(h.AppendBinary(nil))
	f.Add(h.AppendLine(nil))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if n < 0 || n > len(b) || n > MaxHeader || err != nil && n != 0 {
			t.Fatalf("%d of %d, %v", n, len(b), err)
		}
		if n == 0 {
			if err == nil && len(b) >= MaxHeader {
				t.Fatalf("%d bytes are still not enough", len(b))
			}
			return
		}
		if again, m, err := Parse(b[:n]); err != nil || m != n || again.Local != h.Local {
			t.Fatalf("the header alone is read otherwise: %v", err)
		}
		for _, out := range [][]byte{h.AppendLine(nil), h.AppendBinary(nil)} {
			back, m, err := Parse(out)
			if err != nil || m != len(out) || back.Local != h.Local || back.Source.Port() != h.Source.Port() {
				t.Fatalf("what is written is not read: %q %v", out, err)
			}
		}
	})
}
