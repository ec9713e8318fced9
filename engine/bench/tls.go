package bench

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/appliance"

	"golang.org/x/sys/unix"
)

// writeCertificates makes the certificates that all contenders use.
func writeCertificates(dir string) (peerFiles, error) {
	files := peerFiles{ecdsa: filepath.Join(dir, "ecdsa.pem"), rsa: filepath.Join(dir, "rsa.pem")}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return files, err
	}
	if err := writeCertificate(files.ecdsa, curve); err != nil {
		return files, err
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return files, err
	}
	return files, writeCertificate(files.rsa, old)
}

func writeCertificate(file string, key crypto.Signer) error {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	return os.WriteFile(file, text, 0o600)
}

// pairs are the key pairs in a folder, by their ids.
type pairs map[string]appliance.KeyPair

// KeyPair returns one of them.
func (p pairs) KeyPair(id string) (appliance.KeyPair, error) { return p[id], nil }

// Authority returns none: no client has a certificate.
func (p pairs) Authority(string) (appliance.Authority, error) { return appliance.Authority{}, nil }

// read takes a file into p and returns its id.
func (p pairs) read(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	leaf, key := pem.Decode(text)
	if leaf == nil {
		return "", fmt.Errorf("%s holds no certificate", file)
	}
	sum := sha256.Sum256(leaf.Bytes)
	id := hex.EncodeToString(sum[:])
	p[id] = appliance.KeyPair{Chain: pem.EncodeToMemory(leaf), Key: key}
	return id, nil
}

// tlsConfig is that of the clients: TLS 1.3, the certificate is not looked at, nothing is resumed. They offer one way to exchange keys: with a choice, a library that
// knows the hybrid ones (X25519MLKEM768) would do more for a handshake than one which does not.
func tlsConfig(exchange tls.CurveID) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, ServerName: "www.example.com", MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		CurvePreferences: []tls.CurveID{exchange},
	}
}

// secured is a client over TLS.
type secured struct {
	conn   net.Conn
	answer *bufio.Reader
}

func dialSecured(ctx context.Context, port int, exchange tls.CurveID) (*secured, error) {
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: tlsConfig(exchange)}
	c, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	return &secured{c, bufio.NewReader(c)}, nil
}

// ask sends a request and reads the answer.
func (s *secured) ask() error {
	if _, err := s.conn.Write(append(requestHead[:len(requestHead):len(requestHead)], "\r\n"...)); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.answer, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// crowd runs n clients, each in a goroutine, until the measurement is over, and returns the CPU of the contender for each time that one was through.
func (f *arena) crowd(n int, client func(ctx context.Context, through func()) error) (float64, error) {
	if err := pinOthers(0); err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var count atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if err := client(ctx, func() { count.Add(1) }); err != nil && ctx.Err() == nil {
				failed.Store(&err)
			}
		})
	}
	f.load.during(f.pace.warm)
	before, used := count.Load(), f.current.cpu()
	f.load.during(f.pace.length)
	done, cpu := count.Load()-before, f.current.cpu()-used
	stop()
	gone := make(chan struct{})
	go func() { all.Wait(); close(gone) }()
	err := f.load.until("end of the clients", 10*time.Second, func() bool {
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	if p := failed.Load(); p != nil {
		err = *p
	}
	f.load.during(200 * time.Millisecond)
	return perUnit(cpu, done), err
}

// pinOthers keeps every thread of this process on that processor.
func pinOthers(processor int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(processor)
	for _, t := range tasks {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.SchedSetaffinity(id, &set) // it may have ended
		}
	}
	return nil
}

// handshakes is a whole handshake, one request and the end for each.
func (f *arena) handshakes(exchange tls.CurveID) func(port int) (float64, error) {
	return func(port int) (float64, error) {
		return f.crowd(16, func(ctx context.Context, through func()) error {
			for ctx.Err() == nil {
				s, err := dialSecured(ctx, port, exchange)
				if err != nil {
					return err
				}
				err = s.ask()
				_ = s.conn.Close()
				if err != nil {
					return err
				}
				through()
			}
			return nil
		})
	}
}

// securedRequests are requests over connections that stay.
func (f *arena) securedRequests(port int) (float64, error) {
	return f.crowd(32, func(ctx context.Context, through func()) error {
		s, err := dialSecured(ctx, port, tls.X25519)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		for ctx.Err() == nil {
			if err := s.ask(); err != nil {
				return err
			}
			through()
		}
		return nil
	})
}

// idleSecured is the memory of a connection over TLS that was used once.
func (f *arena) idleSecured(port int) (float64, error) {
	n := min(f.options.Idle/2, 2000)
	before := f.current.memory()
	var list []*secured
	var failed error
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		for range n {
			s, err := dialSecured(context.Background(), port, tls.X25519)
			if err == nil {
				list = append(list, s)
				err = s.ask()
			}
			if err != nil {
				failed = err
				return
			}
		}
	}()
	err := f.load.until("connections", 60*time.Second, func() bool {
		select {
		case <-opened:
			return true
		default:
			return false
		}
	})
	if err != nil {
		return 0, err
	}
	f.load.during(time.Second)
	each := (f.current.memory() - before) / float64(n)
	for _, s := range list {
		_ = s.conn.Close()
	}
	f.load.during(200 * time.Millisecond)
	return each, failed
}
