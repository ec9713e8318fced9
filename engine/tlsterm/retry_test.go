package tlsterm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"evenkeel/engine/tlsterm/tlstest"
)

// responder answers in place of the network: with a certificate that is good for so long, or not at all.
type responder struct {
	t      *testing.T
	ca     *tlstest.Authority
	issued *tlstest.Issued
	began  time.Time

	mu    sync.Mutex
	good  time.Duration // 0: it is not there
	asked []time.Duration
}

// unlimited is how long an answer without an end is good.
const unlimited = time.Duration(-1 << 62)

// answers says how long what it answers from now on is good.
func (r *responder) answers(good time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good = good
}

func (r *responder) RoundTrip(*http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, time.Since(r.began))
	if r.good == 0 {
		return nil, errors.New("nobody is there")
	}
	answer := ocsp.Response{Status: ocsp.Good, SerialNumber: r.issued.Leaf.SerialNumber, ThisUpdate: time.Now()}
	if r.good != unlimited {
		answer.NextUpdate = time.Now().Add(r.good)
	}
	der, err := ocsp.CreateResponse(r.ca.Leaf, r.ca.Leaf, answer, r.ca.Key())
	if err != nil {
		r.t.Error(err)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(der))}, nil
}

// stapling runs a stapler under a virtual clock; live plays the responder and looks at what is stapled.
func stapling(t *testing.T, live func(r *responder, stapled func() bool)) {
	ca := tlstest.NewAuthority(t, "CA")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issued := ca.IssueFor(key, func(c *x509.Certificate) { c.OCSPServer = []string{"http://ocsp.test"} }, "a.test")
	synctest.Test(t, func(t *testing.T) {
		c, err := Load(issued.Pair)
		if err != nil {
			t.Fatal(err)
		}
		r := &responder{t: t, ca: ca, issued: issued, began: time.Now()}
		s := NewStapler(slog.New(slog.DiscardHandler))
		s.client.Transport = r
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		s.Watch([]*Certificate{c})
		live(r, func() bool { return c.current.Load().OCSPStaple != nil })
		cancel()
		<-done
	})
}

// after lets so much time pass, and a little, so that what is due then has been done.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// at demands when the responder was asked, in minutes since it was looked at last.
func (r *responder) at(minutes ...float64) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var want []time.Duration
	for _, m := range minutes {
		want = append(want, time.Duration(m*float64(time.Minute)))
	}
	if !slices.Equal(r.asked, want) {
		r.t.Errorf("it was asked at %v, want %v", r.asked, want)
	}
	r.asked = nil
}

func TestAResponderThatFailsIsAskedAgainSoonAndThenMoreRarely(t *testing.T) {
	stapling(t, func(r *responder, stapled func() bool) {
		after(4 * time.Hour)
		r.at(0, 1, 3, 7, 15, 31, 63, 123, 183)
		r.answers(4 * time.Hour)
		after(3 * time.Minute)
		if r.at(243); !stapled() {
			t.Error("its answer is not stapled")
		}
		r.answers(0)
		after(2*time.Hour + time.Minute)
		if r.at(363, 364); !stapled() { // half of the validity, and soon again: the failures before the answer do not count any more
			t.Error("the answer that is still good is not stapled any more")
		}
	})
}

func TestAStapleIsNotShownBeyondItsEnd(t *testing.T) {
	stapling(t, func(r *responder, stapled func() bool) {
		r.answers(4 * time.Hour)
		after(time.Minute)
		r.at(0)
		r.answers(0)
		after(4*time.Hour - time.Minute - time.Second)
		if r.at(120, 121, 123, 127, 135, 151, 183); !stapled() {
			t.Error("it was taken away before its end")
		}
		after(time.Second) // the next try would be at 243
		if r.at(240); stapled() {
			t.Error("it is shown behind its end")
		}
		after(time.Hour)
		r.at(300)
	})
}

func TestAnswersThatEndSoonAreAskedForAgainInTime(t *testing.T) {
	stapling(t, func(r *responder, stapled func() bool) {
		r.answers(3 * time.Minute)
		after(7 * time.Minute)
		if r.at(0, 3, 6); !stapled() {
			t.Error("nothing is stapled")
		}
	})
	stapling(t, func(r *responder, stapled func() bool) {
		r.answers(-time.Minute)
		after(2 * time.Minute)
		if r.at(0, 1); stapled() {
			t.Error("an answer that has ended is stapled")
		}
	})
	stapling(t, func(r *responder, stapled func() bool) {
		r.answers(unlimited)
		after(11 * time.Minute)
		if r.at(0, 5, 10); !stapled() {
			t.Error("nothing is stapled")
		}
	})
}
