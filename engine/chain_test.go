package engine

import (
	"bytes"
	"testing"

	"evenkeel/engine/tlsterm/tlstest"
)

func TestACompletedChainIsPresentedFromTheNextApplyOn(t *testing.T) {
	ca := tlstest.NewAuthority(t, "CA")
	a := ca.Issue("a.test")
	kept := keep(a)
	e := start(t, Options{Certificates: kept})
	v := web(t, "WEB", serveHandler(t, nil).address)
	v.TLS.Certificates = []string{a.ID}
	presented := func() int {
		t.Helper()
		e.apply(v)
		conn, err := dialTLS(t, ca, v, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return len(conn.ConnectionState().PeerCertificates)
	}
	before := presented()
	kept.mu.Lock()
	longer := kept.pairs[a.ID]
	longer.Chain = append(bytes.Clone(longer.Chain), ca.Bundle().Bundle...)
	kept.pairs[a.ID] = longer
	kept.mu.Unlock()
	if after := presented(); after != before+1 {
		t.Errorf("%d certificates, %d before the chain was completed", after, before)
	}
}
