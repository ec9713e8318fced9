package tlsterm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Times of asking responders (RFC 6960).
const (
	stapleTimeout = 10 * time.Second
	stapleRetry   = time.Minute // behind the first failure, and twice as long behind each further one
	stapleRested  = time.Hour   // but never longer than this
	stapleSoonest = 5 * time.Minute
	stapleLatest  = 12 * time.Hour
	maxAnswer     = 64 << 10
)

// Stapler asks the responders that certificates name, away from the loops, and staples their answers. A responder that does not answer costs nothing but the staple,
// and that not before the last answer has ended.
type Stapler struct {
	log    *slog.Logger
	client *http.Client
	lists  chan []*Certificate
	due    map[*Certificate]turn
}

// turn is when a certificate's responder is asked. The zero value is at once.
type turn struct {
	at     time.Time
	rested time.Duration // how long it was left alone behind its last failure; zero: it answered
}

// NewStapler returns a stapler that asks nobody until it runs.
func NewStapler(log *slog.Logger) *Stapler {
	return &Stapler{log: log, client: &http.Client{Timeout: stapleTimeout, CheckRedirect: refuseRedirect}, lists: make(chan []*Certificate, 1), due: map[*Certificate]turn{}}
}

func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Watch names all certificates that are in use; what was named before and is not any more is forgotten. It never waits; only one goroutine may call it.
func (s *Stapler) Watch(list []*Certificate) {
	select {
	case <-s.lists: // not looked at yet, and replaced
	default:
	}
	s.lists <- list
}

// Run asks until the context ends.
func (s *Stapler) Run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case list := <-s.lists:
			s.take(list)
		case <-wake.C:
			s.ask(ctx)
		}
		wake.Reset(s.pause())
	}
}

func (s *Stapler) take(list []*Certificate) {
	due := map[*Certificate]turn{}
	for _, c := range list {
		if len(c.leaf.OCSPServer) > 0 && c.issuer != nil {
			due[c] = s.due[c]
		}
	}
	s.due = due
}

func (s *Stapler) pause() time.Duration {
	pause := time.Hour
	for _, t := range s.due {
		pause = min(pause, max(time.Until(t.at), 0))
	}
	return pause
}

// ask renews every staple that is due. What has ended goes before anybody is waited for.
func (s *Stapler) ask(ctx context.Context) {
	for c := range s.due {
		c.dropEnded()
	}
	for c, t := range s.due {
		if time.Until(t.at) > 0 {
			continue
		}
		answer, end, err := s.fetch(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Info("no OCSP answer to staple", "certificate", c.leaf.Subject.String(), "error", err.Error())
			c.dropEnded()
			s.due[c] = t.failed(c.stapledUntil)
			continue
		}
		c.staple(answer, end)
		s.due[c] = answered(end)
	}
}

// answered returns the turn behind an answer with that end; zero: it has none.
func answered(end time.Time) turn {
	if end.IsZero() {
		return turn{at: time.Now().Add(stapleSoonest)}
	}
	left := time.Until(end)
	return turn{at: time.Now().Add(min(max(left/2, stapleSoonest), stapleLatest, left))}
}

// failed returns the turn behind one that failed: not later than the end of what is stapled, zero when that has none.
func (t turn) failed(end time.Time) turn {
	rest := min(max(2*t.rested, stapleRetry), stapleRested)
	at := time.Now().Add(rest)
	if !end.IsZero() && end.Before(at) {
		at = end
	}
	return turn{at: at, rested: rest}
}

// dropEnded takes away a staple that nobody may believe any more.
func (c *Certificate) dropEnded() {
	if !c.stapledUntil.IsZero() && !time.Now().Before(c.stapledUntil) {
		c.staple(nil, time.Time{})
	}
}

// judged reads an answer and looks at who signed it: the issuer, whose own certificate may stand in it, or a responder that the issuer lets sign (RFC 6960, 4.2.2.2).
func (c *Certificate) judged(answer []byte) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponseForCert(answer, c.leaf, nil) // with the certificate that stands in it, if one does, its signature is checked
	if err != nil {
		return nil, err
	}
	switch by := r.Certificate; {
	case by == nil:
		err = r.CheckSignatureFrom(c.issuer)
	case by.Equal(c.issuer):
	case !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		err = errNoResponder
	default:
		err = c.issuer.CheckSignature(by.SignatureAlgorithm, by.RawTBSCertificate, by.Signature)
	}
	return r, err
}

// fetch returns a responder's answer that says good, and when it ends; zero: it has no end.
func (s *Stapler) fetch(ctx context.Context, c *Certificate) (answer []byte, end time.Time, err error) {
	question, err := ocsp.CreateRequest(c.leaf, c.issuer, &ocsp.RequestOptions{Hash: crypto.SHA1}) // the only one that all responders know
	if err != nil {
		return nil, time.Time{}, err
	}
	at, err := url.Parse(c.leaf.OCSPServer[0])
	if err != nil || at.Scheme != "http" {
		return nil, time.Time{}, &url.Error{Op: "ask", URL: c.leaf.OCSPServer[0], Err: http.ErrNotSupported}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(question))
	if err != nil {
		return nil, time.Time{}, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer response.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return nil, time.Time{}, err
	}
	r, err := c.judged(answer)
	if err != nil {
		return nil, time.Time{}, err
	}
	if r.Status != ocsp.Good {
		return nil, time.Time{}, errNotGood
	}
	if !r.NextUpdate.IsZero() && time.Until(r.NextUpdate) < stapleRetry {
		return nil, time.Time{}, errEnded
	}
	return answer, r.NextUpdate, nil
}

// Why an answer is not stapled.
var (
	errNotGood     = errors.New("the responder does not say that the certificate is good")
	errEnded       = errors.New("the answer has ended, or is about to")
	errNoResponder = errors.New("the answer is signed with a certificate that is none of a responder")
)
