package request

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestTablesAreTheRules(t *testing.T) {
	for c := range 256 {
		alpha := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 128
		number := '0' <= c && c <= '9'
		if got := TokenByte(byte(c)); got != (alpha || number || c < 128 && strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c))) {
			t.Errorf("token byte %q: %v", byte(c), got)
		}
		if got := hostTable[c] == '1'; got != (alpha || number || c < 128 && strings.ContainsRune("-._~", rune(c))) {
			t.Errorf("host byte %q: %v", byte(c), got)
		}
		if got := Value([]byte{byte(c)}); got != (c >= ' ' && c != 0x7f || c == '\t') {
			t.Errorf("value byte %q: %v", byte(c), got)
		}
		if got := TargetLen([]byte{byte(c)}) == 1; got != (c > ' ' && c < 0x7f && c != '#') {
			t.Errorf("target byte %q: %v", byte(c), got)
		}
	}
}

func FuzzValueLen(f *testing.F) {
	f.Add([]byte("0123456789abcdef\x7f\xff\t \r\n"))
	f.Add([]byte("\x1f\x20\x7e\x7f\x80\x9f\xa0\xff\x00\x09"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := len(b)
		for i, c := range b {
			if c < ' ' && c != '\t' || c == 0x7f {
				want = i
				break
			}
		}
		if got := ValueLen(b); got != want {
			t.Fatalf("%q: %d, not %d", b, got, want)
		}
	})
}

func TestValueLenFindsEveryByteAtEveryPlace(t *testing.T) {
	for size := range 40 {
		for at := range size {
			for c := range 256 {
				b := bytes.Repeat([]byte{0xe4}, size)
				b[at] = byte(c)
				want := size
				if c < ' ' && c != '\t' || c == 0x7f {
					want = at
				}
				if got := ValueLen(b); got != want {
					t.Fatalf("%q: %d, not %d", b, got, want)
				}
			}
		}
	}
}

func TestHosts(t *testing.T) {
	for _, good := range []string{"x", "www.example.org", "a_b-c.d~", "127.0.0.1", "127.0.0.1:80", "x:1", "x:65535", "[::1]", "[2001:DB8::1]:8080", "[::ffff:1.2.3.4]"} {
		if !ValidHost([]byte(good)) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"", ":", ":80", "x:", "x:0", "x:00", "x:080", "x:65536", "x:99999999999999999999", "x:+1", "x: 1", "u@x", "x y", "[]", "[:]", "[::1", "::1]", "[::1]]", "[::1]80", "[::1%eth0]",
		"[::g]", "x[::1]", "x/", "x?", "x\\", "ä", "x\x00", "%78", "x,y", strings.Repeat("a", MaxHost+1),
	} {
		if ValidHost([]byte(bad)) {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestTargets(t *testing.T) {
	for in, want := range map[string][2]string{
		"/": {"", "/"}, "//x": {"", "//x"}, "/a?b=http://x": {"", "/a?b=http://x"}, "http://x": {"x", ""}, "HTTPS://x:1/a": {"x:1", "/a"}, "http://[::1]?q": {"[::1]", "?q"},
	} {
		authority, path, v := SplitTarget([]byte(in))
		if !v.OK() || string(authority) != want[0] || string(path) != want[1] {
			t.Errorf("%q: %q %q %v", in, authority, path, v)
		}
	}
	for in, status := range map[string]int{"": 400, "a": 400, "*": 405, "*/": 400, "http://": 400, "http:///": 400, "ftp://x/": 400, "http://u@x/": 400, "x:80": 400, "/#": 400, "http:/x": 400, "/ ": 400} {
		if _, _, v := SplitTarget([]byte(in)); v.Status != status {
			t.Errorf("%q: %v, not %d", in, v, status)
		}
	}
}

func TestLengths(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "5": 5, "9223372036854775807": 1<<63 - 1} {
		if n, ok := ParseLength([]byte(in)); !ok || n != want {
			t.Errorf("%q: %d %v", in, n, ok)
		}
	}
	for _, bad := range []string{"", "00", "01", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1_0", "9223372036854775808", "9999999999999999999", "18446744073709551616", "1e3"} {
		if n, ok := ParseLength([]byte(bad)); ok {
			t.Errorf("%q is %d", bad, n)
		}
	}
}

func TestFieldClasses(t *testing.T) {
	for name, want := range map[string]Field{
		"Host": Host, "HOST": Host, "Content-Length": ContentLength, "content-lengtH": ContentLength, "Transfer-Encoding": TransferEncoding, "Connection": Connection, "Expect": Expect,
		"Cookie": Cookie, "Upgrade": Upgrade, "X-Forwarded-For": ForwardedForField, "x-forwarded-proto": Forwarding, "X-Real-IP": Forwarding, "Forwarded": Forwarding,
		"X_Forwarded_For": Forwarding, "X-Forwarded_For": Forwarding, "x_real-ip": Forwarding, "Keep-Alive": HopByHop, "TE": HopByHop, "Proxy-Connection": HopByHop, "Proxy-Authorization": HopByHop,
		"HTTP2-Settings": HopByHop, "Sec-WebSocket-Key": WebSocketKey, "Sec-WebSocket-Version": WebSocketVersion,
		"": Plain, "Hos": Plain, "Hosts": Plain, "Content-Lengths": Plain, "Content_Lengths": Plain, "Content_Length": Disguised, "content_LENGTH": Disguised, "TRANSFER_ENCODING": Disguised, "transfer_encoding": Disguised, "Cookie2": Plain, "X-Forwarded-": Plain, "Upgrade-Insecure-Requests": Plain, "Trailer": Plain, "Set-Cookie": Plain,
	} {
		if got := FieldOf([]byte(name)); got != want {
			t.Errorf("%s is %d, not %d", name, got, want)
		}
	}
	for _, name := range []string{"Host", "content-length", "Authorization", "X-Forwarded-Host", "Cache-Control"} {
		if !Protected([]byte(name)) || TrailerAllowed([]byte(name)) {
			t.Errorf("%s is not protected", name)
		}
	}
	for _, name := range []string{"Grpc-Status", "Server-Timing", "X-Checksum", "Digest", "If", "Proxy"} {
		if Protected([]byte(name)) || !TrailerAllowed([]byte(name)) {
			t.Errorf("%s is treated as protected", name)
		}
	}
	for _, name := range []string{"If-Match", "Proxy-Authenticate", "TE", "Keep-Alive", "Upgrade", "Trailer"} {
		if TrailerAllowed([]byte(name)) {
			t.Errorf("%s passes as a trailer", name)
		}
	}
}

// TestEveryStatusHasItsPhrase: rules may answer with any, and explanations show those of servers.
func TestEveryStatusHasItsPhrase(t *testing.T) {
	for status, want := range map[int]string{200: "OK", 204: "No Content", 451: "Unavailable For Legal Reasons", 503: "Service Unavailable", 599: "Error"} {
		if got := Text(status); got != want {
			t.Errorf("%d is called %q, not %q", status, got, want)
		}
	}
}

func TestAnswersAreWholeAndClose(t *testing.T) {
	for _, status := range []int{400, 405, 408, 413, 417, 421, 431, 501, 502, 503, 504, 505} {
		for _, method := range []string{"GET", "HEAD"} {
			b := AppendAnswer(nil, status, method == "GET")
			in := bufio.NewReader(bytes.NewReader(b))
			resp, err := http.ReadResponse(in, &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || in.Buffered() != 0 || resp.StatusCode != status || !resp.Close || method == "GET" && string(body) != Sentence(status) || Text(status) == "Error" {
				t.Errorf("%s: %q (%v)", method, b, err)
			}
		}
	}
}

func TestAddressesAreWrittenPlainly(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1"} {
		if got := string(AppendAddr(nil, netip.MustParseAddr(in))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestIdempotentMethods(t *testing.T) {
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "PUT": true, "DELETE": true, "OPTIONS": true, "TRACE": true, "POST": false, "PATCH": false, "get": false, "": false} {
		if Idempotent([]byte(method)) != want {
			t.Errorf("%s: %v", method, !want)
		}
	}
}
