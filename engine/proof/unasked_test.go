package proof

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"evenkeel/engine"
	"evenkeel/engine/loop"
)

// chatterbox is a web server that says one answer more than it was asked for, in the same breath.
func chatterbox(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go chatter(c)
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func chatter(c net.Conn) {
	defer c.Close()
	requests := bufio.NewReader(c)
	for {
		q, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		size, _ := strconv.Atoi(q.URL.Query().Get("size"))
		body := rightAnswer(q.URL.RequestURI(), size)
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
		if q.URL.Query().Get("pad") != "" {
			head = padded(head, size)
		}
		if _, err := io.WriteString(c, head+body+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"); err != nil {
			return
		}
	}
}

// TestWhatAServerSaysUnaskedIsNobodysAnswer: whatever the size of an answer, and however it was moved, what comes behind it ends the connection and is never given to
// the next request, of the same client or of another.
func TestWhatAServerSaysUnaskedIsNobodysAnswer(t *testing.T) {
	for _, driver := range []loop.Driver{loop.Epoll, loop.Auto} {
		t.Run(string(driver), func(t *testing.T) {
			c := configOf(t, chatterbox(t))
			serving(t, engine.Options{Loops: 1, Driver: driver}, c)
			address := at(c, "proof")
			wrong := make(chan error)
			const clients, each = 24, 60
			for i := range clients {
				go func() { wrong <- asked(address, i, each) }()
			}
			for range clients {
				if err := <-wrong; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// asked sends requests on one connection, two at a time, and demands that each gets what belongs to it.
func asked(address string, client, n int) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for i := range n {
		var paths [2]string
		var text strings.Builder
		for k := range paths {
			size := []int{100, 200, 700_000, 1_300_000, 300, 400, 500, 270_000}[(i+k+client)%8]
			paths[k] = fmt.Sprintf("/%d-%d-%d?size=%d", client, i, k, size)
			if i%2 > 0 {
				paths[k] += "&pad=yes"
			}
			fmt.Fprintf(&text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[k])
		}
		if _, err := io.WriteString(c, text.String()); err != nil {
			return err
		}
		for _, path := range paths {
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			got, err := io.ReadAll(answer.Body)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if answer.StatusCode != http.StatusOK || string(got) != rightAnswer(path, len(got)) || len(got) < 100 {
				return fmt.Errorf("%s: %s with %d bytes that are not its own: %.60q", path, answer.Status, len(got), got)
			}
		}
	}
	return nil
}
