package proof

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm/tlstest"
)

// helloOf returns the ClientHello of crypto/tls.
func helloOf(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: "www.example.com", MinVersion: tls.VersionTLS12}).Handshake()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(far, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(far, body); err != nil {
		t.Fatal(err)
	}
	near.Close()
	far.Close()
	return append(head, body...)
}

// crumbs cuts a record into records of one byte.
func crumbs(record []byte) (out []byte) {
	for _, b := range record[5:] {
		out = append(out, record[0], record[1], record[2], 0, 1, b)
	}
	return out
}

// TestHalfOpenHandshakesAreCheapAndEndByThemselves: thousands that never finish, in every half way. Meanwhile everybody who finishes is served. With -update each way is
// measured alone.
func TestHalfOpenHandshakesAreCheapAndEndByThemselves(t *testing.T) {
	hello := helloOf(t)
	ways := map[string][]byte{
		"nothing at all": nil, "half a hello": hello[:len(hello)/2], "a hello and then nothing": hello, "a hello in one-byte records": crumbs(hello),
		"half a hello in one-byte records": crumbs(hello[:len(hello)/2]),
	}
	if !*update {
		halfOpen(t, "all ways together", slices.Collect(maps.Values(ways)))
		return
	}
	for name, first := range ways {
		t.Run(name, func(t *testing.T) { halfOpen(t, name, [][]byte{first}) })
	}
}

// halfOpen opens connections that begin in these ways and never go on.
func halfOpen(t *testing.T, name string, firsts [][]byte) {
	t.Helper()
	n, each := 3000, 100
	if raced {
		n, each = 200, 20
	}
	server, _ := library(t)
	ca := tlstest.NewAuthority(t, "proof")
	issued := ca.Issue("www.example.com")
	config, address := before(t, appliance.HTTP, server)
	config.Cluster.VirtualServices[0].TLS.Certificates = []string{issued.ID}
	s := examine(t, order{Config: config, Loops: 2, Pairs: held{issued.ID: issued.Pair}})
	quiet := handshakes(t, address, ca, each)
	at := s.vitals()
	all := make([]net.Conn, 0, n)
	t.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
	})
	for i := range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		if _, err := c.Write(firsts[i%len(firsts)]); err != nil {
			t.Fatal(err)
		}
	}
	s.until("most of them are in", 20*time.Second, func(v vitals) bool { return v.Files >= at.Files+n/2 }) // the kernel keeps who says nothing for a second
	most := s.vitals()
	meanwhile := handshakes(t, address, ca, each)
	if v := s.vitals(); v.Heap > most.Heap {
		most = v
	}
	if !raced && most.Heap > at.Heap+eachHolds*uint64(n) {
		t.Errorf("each holds %.1f KiB", kibibytes(most.Heap, at.Heap, n))
	}
	took := s.until("all of them are ended, though they stay", 40*time.Second, func(v vitals) bool { return v.Files <= at.Files+pooledPipes })
	tell(t, "29 "+name, fmt.Sprintf("%d handshakes at once", n), fmt.Sprintf("%.1f KiB each; handshakes of others: p50 %s → %s, p99 %s → %s; all ended by the engine behind %.1f s",
		kibibytes(most.Heap, at.Heap, n), quiet.at(0.5), meanwhile.at(0.5), quiet.at(0.99), meanwhile.at(0.99), took.Seconds()))
}

// handshakes connects n times over TLS from each of four clients, and demands an answer each time.
func handshakes(t *testing.T, address string, ca *tlstest.Authority, n int) (all pace) {
	t.Helper()
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range n {
				began := time.Now()
				c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", address, &tls.Config{RootCAs: ca.Pool(), ServerName: "www.example.com", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
				if err != nil {
					t.Errorf("a healthy client: %v", err)
					return
				}
				took := time.Since(began)
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				_, err = io.WriteString(c, "GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				if answer, bad := io.ReadAll(c); err != nil || bad != nil || len(answer) < 12 || string(answer[9:12]) != "200" {
					t.Errorf("a healthy client got %.40q, %v, %v", answer, err, bad)
				}
				c.Close()
				mu.Lock()
				all = append(all, took)
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	slices.Sort(all)
	return all
}
