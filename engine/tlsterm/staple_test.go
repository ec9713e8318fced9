package tlsterm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"evenkeel/engine/tlsterm/tlstest"
)

// TestAnAnswerCountsWhoeverOfTheIssuerSignedIt: responders put the issuer's certificate into their answers, one of their own, or none.
func TestAnAnswerCountsWhoeverOfTheIssuerSignedIt(t *testing.T) {
	ca, other := tlstest.NewAuthority(t, "CA"), tlstest.NewAuthority(t, "CA")
	issued := ca.Issue("a.test")
	c, err := Load(issued.Pair)
	if err != nil {
		t.Fatal(err)
	}
	signer := func(by *tlstest.Authority, usage x509.ExtKeyUsage) (*x509.Certificate, crypto.Signer) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return by.IssueFor(key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} }, "responder").Leaf, key
	}
	own, ownKey := signer(ca, x509.ExtKeyUsageOCSPSigning)
	web, webKey := signer(ca, x509.ExtKeyUsageServerAuth)
	foreign, foreignKey := signer(other, x509.ExtKeyUsageOCSPSigning)
	for name, s := range map[string]struct {
		shown *x509.Certificate
		key   crypto.Signer
		good  bool
	}{
		"the issuer, without its certificate": {nil, ca.Key(), true},
		"the issuer, with its certificate":    {ca.Leaf, ca.Key(), true},
		"a responder of the issuer":           {own, ownKey, true},
		"a web server of the issuer":          {web, webKey, false},
		"a responder of another issuer":       {foreign, foreignKey, false},
		"another issuer of the same name":     {other.Leaf, other.Key(), false},
		"nobody who is known":                 {nil, other.Key(), false},
	} {
		by := ca.Leaf
		if s.shown != nil {
			by = s.shown
		}
		answer, err := ocsp.CreateResponse(ca.Leaf, by, ocsp.Response{
			Status: ocsp.Good, SerialNumber: issued.Leaf.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), Certificate: s.shown,
		}, s.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.judged(answer); (err == nil) != s.good {
			t.Errorf("signed by %s: %v", name, err)
		}
	}
}

func TestTheRootOfAChainIsKnownAndNotShown(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	c, err := Load(ca.Issue("a.test").Pair)
	if err != nil {
		t.Fatal(err)
	}
	if shown := c.current.Load().Certificate; len(shown) != 1 || c.issuer == nil || !c.issuer.Equal(ca.Leaf) {
		t.Errorf("%d certificates are shown, the issuer is %v", len(shown), c.issuer)
	}
}
