package proof

import "strings"

// input is what a client sends on one connection. The numbers are those of the lines that the list follows.
type input struct {
	name string
	sent string
}

func get(fields ...string) string {
	return head("GET / HTTP/1.1", append([]string{"Host: x"}, fields...)...)
}

func post(body string, fields ...string) string {
	return head("POST / HTTP/1.1", append([]string{"Host: x"}, fields...)...) + body
}

func head(line string, fields ...string) string {
	return strings.Join(append([]string{line}, fields...), "\r\n") + "\r\n\r\n"
}

// refused are requests of which nothing may reach a server.
func refused() []input {
	const chunked = "Transfer-Encoding: chunked"
	list := []input{
		{"1 Content-Length and Transfer-Encoding", post("0\r\n\r\n", "Content-Length: 5", chunked)},
		{"1 Transfer-Encoding and Content-Length", post("0\r\n\r\n", chunked, "Content-Length: 5")},
		{"2 differing Content-Lengths", post("hello", "Content-Length: 5", "Content-Length: 6")},
		{"2 equal Content-Lengths twice", post("hello", "Content-Length: 5", "Content-Length: 5")},
		{"2 listed Content-Length", post("hello", "Content-Length: 5, 5")},
		{"3 empty length", post("", "Content-Length:")},
		{"3 signed length", post("hello", "Content-Length: +5")},
		{"3 negative length", post("", "Content-Length: -1")},
		{"3 hexadecimal length", post("hello", "Content-Length: 0x5")},
		{"3 length with underscore", post("hello", "Content-Length: 0_5")},
		{"3 length beyond 2^63", post("", "Content-Length: 9223372036854775808")},
		{"3 length with a space inside", post("hello", "Content-Length: 5 5")},
		{"4 xchunked", post("0\r\n\r\n", "Transfer-Encoding: xchunked")},
		{"4 chunked, identity", post("0\r\n\r\n", "Transfer-Encoding: chunked, identity")},
		{"4 identity", post("", "Transfer-Encoding: identity")},
		{"4 gzip, chunked", post("0\r\n\r\n", "Transfer-Encoding: gzip, chunked")},
		{"4 Transfer-Encoding twice", post("0\r\n\r\n", chunked, chunked)},
		{"4 folded Transfer-Encoding", post("0\r\n\r\n", "Transfer-Encoding:\r\n chunked")},
		{"4 Transfer-Encoding in HTTP/1.0", head("POST / HTTP/1.0", "Host: x", chunked) + "0\r\n\r\n"},
		{"4 space before the colon", post("0\r\n\r\n", "Transfer-Encoding : chunked")},
		{"4 quoted chunked", post("0\r\n\r\n", `Transfer-Encoding: "chunked"`)},
		{"4 vertical tab before chunked", post("0\r\n\r\n", "Transfer-Encoding: \x0bchunked")},
		{"7 NUL in a value", get("A: b\x00c")},
		{"7 bare CR in a value", get("A: b\rc")},
		{"7 continued line", get("A: b\r\n c")},
		{"7 control byte in a value", get("A: b\x01c")},
		{"7 DEL in a value", get("A: b\x7fc")},
		{"8 line without colon", get("nonsense")},
		{"8 empty name", get(": b")},
		{"8 eighth bit in a name", get("\xc3\xa4: b")},
		{"8 first line begins with a space", head("GET / HTTP/1.1", " Host: x", "Host: x")},
		{"8 name with a space", get("A B: c")},
		{"8 name with a bracket", get("A(: c")},
		{"9 no Host", head("GET / HTTP/1.1", "A: b")},
		{"9 two Hosts", get("Host: x")},
		{"9 Host with userinfo", head("GET / HTTP/1.1", "Host: u@x")},
		{"9 Host with a bad port", head("GET / HTTP/1.1", "Host: x:99999")},
		{"9 Host with a slash", head("GET / HTTP/1.1", "Host: x/y")},
		{"9 Host list", head("GET / HTTP/1.1", "Host: x, y")},
		{"9 absolute form that disagrees", head("GET http://y/ HTTP/1.1", "Host: x")},
		{"9 absolute form with userinfo", head("GET http://u@x/ HTTP/1.1", "Host: x")},
		{"10 fragment in the target", head("GET /a#b HTTP/1.1", "Host: x")},
		{"10 control byte in the target", head("GET /a\x01 HTTP/1.1", "Host: x")},
		{"10 eighth bit in the target", head("GET /\xc3\xa4 HTTP/1.1", "Host: x")},
		{"10 target without slash", head("GET a HTTP/1.1", "Host: x")},
		{"10 two spaces before the target", head("GET  / HTTP/1.1", "Host: x")},
		{"10 two spaces behind the target", head("GET /  HTTP/1.1", "Host: x")},
		{"10 tab for a space", head("GET\t/ HTTP/1.1", "Host: x")},
		{"10 HTTP/1.2", head("GET / HTTP/1.2", "Host: x")},
		{"10 HTTP/2.0", head("GET / HTTP/2.0", "Host: x")},
		{"10 HTTP/0.9", "GET /\r\n\r\n"},
		{"10 version in lower case", head("GET / http/1.1", "Host: x")},
		{"11 Connection names Host", get("Connection: Host")},
		{"11 Connection names Content-Length", post("hello", "Content-Length: 5", "Connection: content-length")},
		{"11 Connection names X-Forwarded-For", get("Connection: close, X-Forwarded-For")},
		{"11 Connection names Cookie", get("Cookie: a=b", "Connection: Cookie")},
		{"12 h2c upgrade with two settings", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "HTTP2-Settings: AAMAAABk")},
		{"12 upgrade to what is almost h2c", get("Connection: Upgrade", "Upgrade: h2c;x")},
		{"12 CONNECT", head("CONNECT x:443 HTTP/1.1", "Host: x:443")},
		{"12 TRACE", head("TRACE / HTTP/1.1", "Host: x")},
		{"12 OPTIONS *", head("OPTIONS * HTTP/1.1", "Host: x")},
		{"13 unknown Expect", post("", "Expect: 200-ok", "Content-Length: 0")},
		{"14 head of 70 KB", get("A: " + strings.Repeat("a", 70<<10))},
		{"14 300 fields", get(strings.TrimSuffix(strings.Repeat("A: b\r\n", 300), "\r\n"))},
		{"bare LF throughout", "GET / HTTP/1.1\nHost: x\n\n"},
		{"bare LF behind one field", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"},
		{"method with a bad byte", head("GE,T / HTTP/1.1", "Host: x")},
	}
	for _, c := range [][2]string{
		{"5 signed chunk size", "+5\r\nhello\r\n0\r\n\r\n"},
		{"5 empty chunk size", "\r\nhello\r\n0\r\n\r\n"},
		{"5 hex prefix", "0x5\r\nhello\r\n0\r\n\r\n"},
		{"5 chunk size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"},
		{"5 bare LF in a chunk line", "5\nhello\r\n0\r\n\r\n"},
		{"5 CR in an extension", "5;a=\rb\r\nhello\r\n0\r\n\r\n"},
		{"5 LF in an extension", "5;a=\nb\r\nhello\r\n0\r\n\r\n"},
		{"5 space before the size", " 5\r\nhello\r\n0\r\n\r\n"},
		{"5 size that overflows", "8000000000000000\r\nhello\r\n0\r\n\r\n"},
		{"5 underscore in the size", "0_5\r\nhello\r\n0\r\n\r\n"},
		{"5 negative size", "-5\r\nhello\r\n0\r\n\r\n"},
	} {
		list = append(list, input{c[0], post(c[1], chunked)})
	}
	return list
}
