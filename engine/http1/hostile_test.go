package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// req builds a request head from its lines.
func req(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// refusal is an input that must be turned away; the number is the line of hostile.md.
type refusal struct{ name, input, status string }

func refusals() []refusal {
	const line, host = "POST / HTTP/1.1", "Host: x"
	const chunked = "Transfer-Encoding: chunked"
	list := []refusal{
		{"1 both framings", req(line, host, "Content-Length: 5", chunked) + "0\r\n\r\n", "400"},
		{"1 both framings, other order", req(line, host, chunked, "Content-Length: 5") + "0\r\n\r\n", "400"},
		{"2 differing lengths", req(line, host, "Content-Length: 5", "Content-Length: 6") + "hello", "400"},
		{"2 equal lengths twice", req(line, host, "Content-Length: 5", "Content-Length: 5") + "hello", "400"},
		{"9 no host", req("GET / HTTP/1.1", "A: b"), "400"},
		{"9 two hosts", req("GET / HTTP/1.1", host, host), "400"},
		{"9 absolute form disagrees", req("GET http://y/ HTTP/1.1", host), "400"},
		{"9 absolute form, other port", req("GET http://x:81/ HTTP/1.1", host), "400"},
		{"9 absolute form with userinfo", req("GET http://u@x/ HTTP/1.1", host), "400"},
		{"9 absolute form without host", req("GET http:///a HTTP/1.1", host), "400"},
		{"12 h2c with two settings", req("GET / HTTP/1.1", host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "HTTP2-Settings: AAMAAABk"), "400"},
		{"12 h2c with settings that are none", req("GET / HTTP/1.1", host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk\"\r\nX: y"), "400"},
		{"12 h2c with empty settings", req("GET / HTTP/1.1", host, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings:"), "400"},
		{"12 almost h2c", req("GET / HTTP/1.1", host, "Connection: Upgrade", "Upgrade: websocket, h2c;x"), "400"},
		{"12 connect", req("CONNECT x:443 HTTP/1.1", host), "405"},
		{"12 trace", req("TRACE / HTTP/1.1", host), "405"},
		{"12 options *", req("OPTIONS * HTTP/1.1", host), "405"},
		{"12 prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
		{"13 bogus expect", req(line, host, "Expect: 200-ok", "Content-Length: 0"), "417"},
		{"13 expect twice", req(line, host, "Expect: 100-continue", "Expect: 100-continue", "Content-Length: 0"), "417"},
		{"13 expect list", req(line, host, "Expect: 100-continue, x", "Content-Length: 0"), "417"},
		{"14 head of 70 KB", req("GET / HTTP/1.1", host, "A: "+strings.Repeat("a", 70<<10)), "431"},
		{"14 target of 70 KB", req("GET /"+strings.Repeat("a", 70<<10)+" HTTP/1.1", host), "431"},
		{"14 300 fields", req("GET / HTTP/1.1", host, strings.TrimSuffix(strings.Repeat("A: b\r\n", 300), "\r\n")), "431"},
		{"26 handshake without version", req("GET / HTTP/1.1", host, "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k"), "400"},
		{"bare LF", "GET / HTTP/1.1\nHost: x\n\n", "400"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 500), "400"},
	}
	each := func(n, status, format string, values ...string) {
		for _, v := range values {
			list = append(list, refusal{fmt.Sprintf("%s %.40q", n, v), fmt.Sprintf(format, v), status})
		}
	}
	each("2 list", "400", req(line, host, "Content-Length: %s")+"hello", "5, 5", "5,6", "5,")
	each("3 length", "400", req(line, host, "Content-Length: %s")+"hello", "", "+5", "-5", "0x5", "5_0", "5 0", "5.0", "1e1", "05", "9223372036854775808",
		"18446744073709551621", "99999999999999999999", "\x005", "٥")
	each("4 coding", "501", req(line, host, "Transfer-Encoding: %s")+"0\r\n\r\n", "xchunked", "chunkedx", "identity", "gzip", "gzip, chunked", "chunked, identity", "chunked, chunked", ",chunked")
	each("4 coding", "400", req(line, host, "Transfer-Encoding: %s")+"0\r\n\r\n", "", "chunked;q=1", "\"chunked\"", "\x0bchunked", "chun\tked", "chunked\r\nTransfer-Encoding: chunked",
		"chunked\r\nTransfer-Encoding: identity", "\r\n chunked", "chunked\r\n ,identity", "\xa0chunked")
	each("4 name", "400", req(line, host, "%s chunked")+"0\r\n\r\n", "Transfer-Encoding :", "Transfer-Encoding\t:", " Transfer-Encoding:", "Transfer\x00-Encoding:", "Transfer-Encoding")
	each("4 in HTTP/1.0", "400", req("POST / HTTP/1.0", host, "%s")+"0\r\n\r\n", chunked)
	each("4 underscore", "400", req(line, host, "%s")+"0\r\n\r\n", "Transfer_Encoding: chunked", "TRANSFER_ENCODING: chunked", "transfer_encoding:", "Content_Length: 5", "content_length: 0", "Content-Length: 5\r\nContent_Length: 5")
	each("5 chunk", "400", req(line, host, chunked)+"%s\r\nhello\r\n0\r\n\r\n", "+5", "-5", "", "0x5", "x5", " 5", "5 ", "5\t", "5 ;a", "00000000000000005", "8000000000000000", "ffffffffffffffff", "g",
		"5;a\rb", "5;a\nb", "5;a\x00b", "5\n", "5\r", "5;"+strings.Repeat("a", 300))
	each("5 end of data", "400", req(line, host, chunked)+"5\r\nhello%s0\r\n\r\n", "", "\n", "\r", "XX", "X\n", "\r\r\n", "world\r\n")
	each("5 second chunk", "400", req(line, host, chunked)+"5\r\nhello\r\n%s\r\n\r\n", "-1", "0x0", "0\n", "")
	each("6 trailer", "400", req(line, host, chunked)+"5\r\nhello\r\n0\r\n%s\r\n\r\n", "no colon", "A : b", " A: b", "A: b\x00", "A: b\r\n c", ": b", "A\xff: b", "A: b\nC: d", "A: "+strings.Repeat("b", 9000))
	each("7 value", "400", req("GET / HTTP/1.1", host, "A: %s"), "a\x00b", "a\rb", "a\nb", "a\r\n b", "a\r\n\tb", "a\x0bb", "a\x7fb", "a\x1b[0m", "\x01")
	each("8 line", "400", req("GET / HTTP/1.1", host, "%s"), "no colon", ": empty name", "A : b", "A\t: b", "\x80: b", "Ä: b", "A(: b", "A\"B: c", "A\x00: b", "A\x7f: b", "A B: c", "@: b")
	each("8 first line", "400", "GET / HTTP/1.1\r\n%s\r\nHost: x\r\n\r\n", " A: b", "\tA: b", " Host: y", " ")
	each("9 host", "400", req("GET / HTTP/1.1", "Host: %s"), "", "u@x", "u:p@x", "x:", "x:0", "x:65536", "x:080", "x:a", "x:-1", "x y", "x/y", "x?y", "x#y", "x\\y", "[::1", "::1", "[::1]x", "[]", "[g::1]",
		"x,y", "x\xff", "%%00", "x%%2f", strings.Repeat("x", 300), "<x>", "x;y", "*")
	each("10 target", "400", req("GET %s HTTP/1.1", host), "", "/a#b", "#", "/\x00", "/\x01", "/\t", "/\x7f", "/\xc3\xa4", "/a b", "a", "a/b", "x:80", "http:/a", "ftp://x/", "//\x80", "*a", " /a", "/a ", "*/")
	each("10 line", "400", "%s\r\nHost: x\r\n\r\n", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET\t/ HTTP/1.1", "GET /", "GET", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET / http/1.1", "GET / HTTP/1.", "GET / HTTP/11",
		"GET / HTTP/1.1.1", "GET / HTTP/1.01", "GET / HTTPS/1.1", "GET / HTTP/ 1.1", "G(T / HTTP/1.1", "G\x00T / HTTP/1.1", "/ HTTP/1.1", strings.Repeat("A", 40)+" / HTTP/1.1", "GET / HTTP/1,1", "GET / HTTP/1.1\r")
	each("10 version", "505", "GET / %s\r\nHost: x\r\n\r\n", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9")
	each("11 many options", "400", req("GET / HTTP/1.1", host, "Connection: %s"), strings.Repeat("a,", 33), strings.Repeat(",", 40)+"close")
	each("11 connection", "400", req("GET / HTTP/1.1", host, "Connection: close, %s"), "Host", "content-length", "X-Forwarded-For", "Cookie", "Transfer-Encoding", "Authorization", "X-Real-IP", "Forwarded",
		"X-Forwarded-Proto", "X_Forwarded_For", "Connection", "Expect", "Content_Length", "Transfer_Encoding", "a b", "a=b", "\"close\"", "Cache-Control", "X-Forwarded-For,close")
	each("13 expect", "417", req("POST / HTTP/1.1", host, "Content-Length: 0", "Expect: %s"), "", "100", "continue", "100-continue;a", "100-continue, 100-continue")
	return list
}

// feedAll gives the input and connects what is dialed.
func (r *rig) feedAll(input string, bytewise bool) {
	feedOne := func(s string) {
		if !r.client.Over() {
			r.client.Arrive([]byte(s))
		}
		for _, c := range r.loop.Dialed {
			if !c.Over() && len(c.Sent) == 0 {
				c.Connect()
			}
		}
	}
	if !bytewise {
		feedOne(input)
		return
	}
	for i := range len(input) {
		feedOne(input[i : i+1])
	}
}

// wholeRequests returns how many complete requests a connection got.
func wholeRequests(sent []byte) int {
	in := bufio.NewReader(strings.NewReader(string(sent)))
	for n := 0; ; n++ {
		q, err := http.ReadRequest(in)
		if err != nil {
			return n
		}
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return n
		}
	}
}

func TestHostileRequestsAreRefused(t *testing.T) {
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, bytewise bool) {
				r := newRig(t)
				r.feedAll(c.input, bytewise)
				if len(r.loop.Dialed) > 0 {
					// The fault stands in the body behind bytes that were good: the server must see half a request and a reset.
					s := r.server(0)
					r.true("only a fault behind the first chunk gets so far", bytewise && strings.Contains(c.input, "\r\n5\r\nhello"))
					r.true("server destroyed", s.Aborted && wholeRequests(s.Sent) == 0 && r.pool.Len() == 0)
				}
				r.refusedWith(c.status)
			})
		})
	}
}

func TestGoodRequestBeforeABadOneIsAnswered(t *testing.T) {
	for _, c := range refusals() {
		if strings.HasPrefix(c.name, "12 prior") {
			continue
		}
		t.Run("15 "+c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, bytewise bool) {
				r := newRig(t)
				feed(r.client, get+c.input, bytewise)
				s := r.connected(0)
				r.equal("forwarded", take(s), get)
				s.Arrive([]byte(ok2))
				for _, again := range r.loop.Dialed[1:] {
					again.Connect()
				}
				got := take(r.client)
				r.true("first answered", strings.HasPrefix(got, ok2))
				r.client.Sent = []byte(got[len(ok2):])
				r.refusedWith(c.status)
				r.true("nothing whole of the second", wholeRequests(s.Sent) == 0 && len(r.loop.Dialed) == 1)
			})
		})
	}
}

func TestHostileTrailersAreDropped(t *testing.T) {
	for _, name := range []string{
		"Content-Length", "Transfer-Encoding", "Host", "Authorization", "Cookie", "Set-Cookie", "Connection", "X-Forwarded-For", "X-Real-Ip", "Forwarded", "TE", "Trailer", "Content_Length", "Transfer_Encoding",
		"Content-Type", "Content-Encoding", "If-Match", "Proxy-Authorization", "Expect", "Cache-Control", "Upgrade", "Keep-Alive", "Range",
	} {
		bothWays(t, func(t *testing.T, bytewise bool) {
			r := newRig(t)
			head := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
			r.feedAll(head+"A: b\r\n"+name+": 1\r\nGrpc-Status: 0\r\n\r\n", bytewise)
			r.equal("6 "+name, take(r.server(0)), head+"A: b\r\nGrpc-Status: 0\r\n\r\n")
		})
	}
}

func TestHostileAnswersGet502(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, answer := range map[string]string{
		"both framings":      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
		"length list":        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi",
		"bad length":         "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
		"unknown coding":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi",
		"coding in 1.0":      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"NUL":                "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
		"NUL in reason":      "HTTP/1.1 200 O\x00K\r\n\r\n",
		"folded":             "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"bare LF":            "HTTP/1.1 200 OK\nA: b\n\n",
		"bare CR":            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
		"space before colon": "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
		"no colon":           "HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
		"not HTTP":           "SSH-2.0-OpenSSH_9.2\r\n",
		"other version":      "HTTP/2.0 200 OK\r\n\r\n",
		"status 99":          "HTTP/1.1 099 X\r\n\r\n",
		"status 600":         "HTTP/1.1 600 X\r\n\r\n",
		"status 20":          "HTTP/1.1 20 OK\r\n\r\n",
		"status letters":     "HTTP/1.1 2OO OK\r\n\r\n",
		"endless interim":    strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000),
		"interim with body":  "HTTP/1.1 100 Continue\r\nContent-Length: 40\r\n\r\n" + ok2,
		"unasked switch":     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		"endless head":       "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 100<<10),
		"300 fields":         "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n",
		"first chunk":        chunked + "-5\r\nhello\r\n0\r\n\r\n",
		"chunk with LF":      chunked + "5\nhello\r\n0\r\n\r\n",
	} {
		t.Run("16 "+name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, bytewise bool) {
				r := newRig(t)
				r.client.Arrive([]byte(get))
				s := r.connected(0)
				feed(s, answer, bytewise)
				got := string(r.client.Sent)
				if strings.HasPrefix(got, "HTTP/1.1 100") {
					r.client.Sent = []byte(got[strings.LastIndex(got, "HTTP/1.1 "):])
				}
				if strings.Contains(name, "chunk") && bytewise {
					r.true("reset behind the head", r.client.Aborted && len(r.reasons) == 1)
				} else {
					r.refusedWith("502")
				}
				r.true("server destroyed", s.Aborted && r.pool.Len() == 0)
			})
		})
	}
}

func TestServerThatSaysTooMuchIsDestroyed(t *testing.T) {
	for _, extra := range []string{"x", ok2} {
		r := newRig(t)
		r.client.Arrive([]byte(get))
		s := r.connected(0)
		s.Arrive([]byte(ok2 + extra))
		r.equal("answer", take(r.client), ok2)
		r.true("destroyed", s.Aborted && r.pool.Len() == 0 && !r.client.Over())
		r.client.Arrive([]byte(get))
		r.connected(1).Arrive([]byte(ok2))
		r.server(1).Arrive([]byte("unasked"))
		r.true("parked, then destroyed", r.server(1).Aborted && r.pool.Len() == 0)
	}
}

func TestCorruptChunksOfServerBehindGoodOnesResetTheClient(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte(get))
	s := r.connected(0)
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
	s.Arrive([]byte("zz\r\n"))
	r.true("reset", r.client.Aborted && s.Aborted)
	r.balanced()
}

func TestLargeHeadsOfUsersPass(t *testing.T) {
	r := newRig(t)
	big := req("GET / HTTP/1.1", "Host: x", "Authorization: Negotiate "+strings.Repeat("A", 16<<10), "Cookie: "+strings.Repeat("c", 28<<10))
	r.client.Arrive([]byte(big))
	r.equal("forwarded", take(r.connected(0)), big)
	r.server(0).Arrive([]byte(ok2))
	many := req("GET / HTTP/1.1", "Host: x", strings.TrimSuffix(strings.Repeat("A: b\r\n", MaxFields-1), "\r\n"))
	r.client.Arrive([]byte(many))
	r.equal("forwarded", take(r.server(0)), many)
}

// TestOnlyGoodRequestsBuiltLikeHostileOnesPass keeps the table above honest: each of these differs from a refused one in the fault alone.
func TestOnlyGoodRequestsBuiltLikeHostileOnesPass(t *testing.T) {
	for _, in := range []string{
		req("GET / HTTP/1.1", "Host: x:65535"), req("GET / HTTP/1.1", "Host: [2001:db8::1]:80"), req("GET / HTTP/1.1", "Host: a_b.c-d.example"),
		req("GET /a?b=%7c|{}\"<>^`\\ HTTP/1.1", "Host: x"), req("OPTIONS /a HTTP/1.1", "Host: x"), req("PROPFIND / HTTP/1.1", "Host: x"),
		req("GET / HTTP/1.1", "Host: x", "A: \xc3\xa4 \t b"), req("GET / HTTP/1.1", "Host:x", "A:", "!#$%&'*+-.^_`|~09: z"),
		req("GET / HTTP/1.1", "Host: x", "Upgrade-Insecure-Requests: 1", "TE-X: 1", "Cookies: 1", "Content_Type: 1", "Content_Lengths: 1", "X_Transfer_Encoding: 1"),
		req("POST / HTTP/1.1", "Host: x", "Content-Length: 0"), "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		bothWays(t, func(t *testing.T, bytewise bool) {
			r := newRig(t, func(s *appliance.VirtualService) { s.Persistence.Kind = appliance.PersistCookie })
			r.feedAll(in, bytewise)
			r.equal("forwarded", take(r.server(0)), in)
		})
	}
}

func TestTheErrorPageOfTheOperatorIsShown(t *testing.T) {
	own := func(v *appliance.VirtualService) { v.HTTP.ErrorPage = "<h1>{status}: {reason}</h1>" }
	r := newRig(t, own)
	r.service.servers = nil
	feed(r.client, get, false)
	r.equal("answer", take(r.client), "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 33\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n<h1>503: Service Unavailable</h1>")
	r = newRig(t, own)
	feed(r.client, "GET /<script> HTTP/1.1\r\nHost: <b>\r\n\r\n", false)
	r.true("nothing of the request is in it", strings.HasSuffix(string(r.client.Sent), "\r\n\r\n<h1>400: Bad Request</h1>"))
}
