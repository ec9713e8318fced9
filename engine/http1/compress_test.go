package http1

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

func compressing(v *appliance.VirtualService) { v.HTTP.Compress = true }

const wantsGzip = "GET /a HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"

// answerOf reads what the client got as one response, and what its body says.
func answerOf(t *testing.T, c *wiretest.Conn, method string) (*http.Response, string) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(take(c))), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	var body io.Reader = answer.Body
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(answer.Body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestTextIsCompressedForWhoCanReadIt(t *testing.T) {
	text := strings.Repeat("<p>all the same</p>\n", 5000)
	var chunked strings.Builder
	for rest := text; len(rest) > 0; {
		n := min(len(rest), 7001)
		fmt.Fprintf(&chunked, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	chunked.WriteString("0\r\nX-T: 1\r\n\r\n")
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n"
	for name, response := range map[string]string{
		"length":  fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text),
		"chunked": head + "Transfer-Encoding: chunked\r\n\r\n" + chunked.String(),
		"close":   head + "\r\n" + text,
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{len(response), 3000, 7} {
				r := newRig(t, compressing)
				feed(r.client, wantsGzip, false)
				s := r.connected(0)
				for rest := response; len(rest) > 0; {
					n := min(len(rest), piece)
					s.Arrive([]byte(rest[:n]))
					rest = rest[n:]
				}
				if name == "close" {
					s.Finish()
				}
				answer, body := answerOf(t, r.client, "GET")
				if body != text || answer.ContentLength != -1 || answer.Header.Get("Content-Encoding") != "gzip" || answer.Header.Get("Vary") != "Accept-Encoding" ||
					answer.Header.Get("ETag") != `W/"a"` || answer.Header.Get("Accept-Ranges") != "" {
					t.Fatalf("pieces of %d: %d bytes, %v", piece, len(body), answer.Header)
				}
				r.true("kept as the framing says", r.client.Over() == (name == "close"))
				r.balanced()
				if name != "close" { // the next one on the same connection
					feed(r.client, get, false)
					s.Arrive([]byte(ok2))
					r.equal("next", take(r.client), ok2)
				}
			}
		})
	}
}

func TestWhatMustStayAsItIsIsNotCompressed(t *testing.T) {
	text := strings.Repeat("text", 1000)
	answer := func(status, fields string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, fields, len(text), text)
	}
	const kind = "Content-Type: text/html\r\n"
	for name, c := range map[string]struct {
		request, response string
		vary              bool
	}{
		"nobody asks":         {get, answer("200 OK", kind), true},
		"a part":              {"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nRange: bytes=0-5\r\n\r\n", answer("206 Partial Content", kind+"Content-Range: bytes 0-3999/9000\r\n"), false},
		"a part was asked":    {"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nRange: bytes=0-\r\n\r\n", answer("200 OK", kind), true},
		"coded already":       {wantsGzip, answer("200 OK", kind+"Content-Encoding: br\r\n"), false},
		"must not be changed": {wantsGzip, answer("200 OK", kind+"Cache-Control: public, No-Transform\r\n"), false},
		"a digest":            {wantsGzip, answer("200 OK", kind+"Content-Digest: sha-256=:x:\r\n"), false},
		"a picture":           {wantsGzip, answer("200 OK", "Content-Type: image/png\r\n"), false},
		"an error":            {wantsGzip, answer("500 Error", kind), false},
		"refused by weight":   {"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n", answer("200 OK", kind), true},
		"HTTP/1.0":            {"GET / HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", answer("200 OK", kind), true},
		"little":              {wantsGzip, "HTTP/1.1 200 OK\r\n" + kind + "Content-Length: 4\r\n\r\ntext", true},
		"varies already":      {wantsGzip, answer("200 OK", "Content-Type: image/png\r\nVary: accept-encoding\r\n"), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, compressing)
			feed(r.client, c.request, false)
			r.connected(0).Arrive([]byte(c.response))
			got, body := answerOf(t, r.client, "GET")
			if coding := got.Header.Get("Content-Encoding"); coding != "" && coding != "br" || !strings.HasSuffix(c.response, body) || got.ContentLength != int64(len(body)) {
				t.Errorf("%v, %d bytes", got.Header, len(body))
			}
			if vary := got.Header.Get("Vary") != ""; vary != c.vary {
				t.Errorf("Vary: %v", vary)
			}
		})
	}
	r := newRig(t)
	feed(r.client, wantsGzip, false)
	r.connected(0).Arrive([]byte(answer("200 OK", kind)))
	r.equal("a service without compression", take(r.client), answer("200 OK", kind))
}

func TestHeadsAreNotCompressed(t *testing.T) {
	r := newRig(t, compressing)
	feed(r.client, "HEAD / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", false)
	r.connected(0).Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\n\r\n"))
	r.equal("head", take(r.client), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\nVary: Accept-Encoding\r\n\r\n")
}

// TestABrokenCompressedAnswerIsNotEnded: the client must see that the body is not complete, and the encoder goes back.
func TestABrokenCompressedAnswerIsNotEnded(t *testing.T) {
	r := newRig(t, compressing)
	feed(r.client, wantsGzip, false)
	s := r.connected(0)
	s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\n\r\n" + strings.Repeat("x", 5000)))
	s.Finish()
	r.true("aborted", r.client.Aborted && !strings.HasSuffix(string(r.client.Sent), "0\r\n\r\n"))
	for range 200 { // more than there are encoders
		r.accept()
		feed(r.client, wantsGzip, false)
		s := r.connected(len(r.loop.Dialed) - 1)
		s.Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 90000\r\n\r\n" + strings.Repeat("x", 5000)))
		r.true("coded", strings.Contains(take(r.client), "Content-Encoding: gzip"))
		s.Finish()
	}
	r.balanced()
}
