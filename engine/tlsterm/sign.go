package tlsterm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"io"
	"net"
	"sync"
)

// maxSigning is how many signatures may wait for a worker; more are made on the loop that wants them, which slows it down: who asks too fast has to wait.
const maxSigning = 256

// Signers are goroutines that sign with keys that are slow (RSA, and curves without a fast implementation), so that no loop stands still meanwhile.
type Signers struct {
	workers int
	jobs    chan *job
}

// NewSigners returns that many workers; Run starts them.
func NewSigners(workers int) *Signers {
	return &Signers{workers: max(workers, 1), jobs: make(chan *job, maxSigning)}
}

// Run signs until the context ends.
func (s *Signers) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range s.workers {
		all.Go(func() { s.work(ctx) })
	}
	all.Wait()
}

func (s *Signers) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.jobs:
			j.signature, j.err = j.key.Sign(j.random, j.digest, j.opts)
			j.conn.lane.post(j.done)
		}
	}
}

// job is one signature for one handshake. The worker has it until it posts done; then it is the loop's again.
type job struct {
	conn      *Conn
	key       crypto.Signer
	random    io.Reader
	digest    []byte
	opts      crypto.SignerOpts
	signature []byte
	err       error
}

// done goes on with the handshake that waited, on the loop.
func (j *job) done() {
	c := j.conn
	if c.over || c.hand == nil || c.hand.signing != j {
		return
	}
	c.hand.signing = nil
	c.raw.Resume()
	c.shake()
	if c.hand == nil && !c.over {
		c.read()
	}
}

// slow tells whether signing with a key holds a loop up.
func slow(key crypto.PrivateKey) bool {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return true
	case *ecdsa.PrivateKey:
		return k.Curve != elliptic.P256()
	}
	return false
}

// signer is the key of one handshake, whose signature a worker makes.
type signer struct {
	crypto.Signer
	conn *Conn
}

// Sign is called within the handshake's coroutine, which waits for the worker.
func (s *signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	j := &job{conn: s.conn, key: s.Signer, random: random, digest: digest, opts: opts}
	h := s.conn.hand
	select {
	case s.conn.lane.signers.jobs <- j:
	default:
		return s.Signer.Sign(random, digest, opts)
	}
	for h.signing = j; h.signing == j; {
		if !h.wait() {
			return nil, net.ErrClosed
		}
	}
	return j.signature, j.err
}
