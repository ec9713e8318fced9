package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
)

func upload(t *testing.T, i issued, more ...issued) appliance.CertificateUpload {
	t.Helper()
	text := i.pem()
	for _, m := range more {
		text += m.pem()
	}
	return appliance.CertificateUpload{Certificate: text, Key: i.keyPEM(t)}
}

func TestKeptCertificateServesAfterARestartAndNeverShowsItsKey(t *testing.T) {
	r := newRig(t)
	l := newLadder(t, "*.example.org", "pacs.example.org")
	made, err := r.Add(t.Context(), origin(), upload(t, l.leaf, l.lower, l.upper))
	if err != nil {
		t.Fatal(err)
	}
	if made.Label != "wildcard.example.org" || made.ID != fingerprint(l.leaf.certificate) || made.KeyKind != "ECDSA P-256" || len(made.Warnings) != 0 || !made.Created.Equal(noon) {
		t.Errorf("%+v", made)
	}
	r.reopen(t)
	p, err := r.KeyPair(made.ID)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.X509KeyPair(p.Chain, p.Key)
	if err != nil || len(loaded.Certificate) != 3 {
		t.Fatalf("%d certificates, %v", len(loaded.Certificate), err)
	}
	if text := fmt.Sprintf("%+v", r.Certificates()); strings.Contains(text, "PRIVATE") {
		t.Error("a description holds the key")
	}
	_, err = r.Add(t.Context(), origin(), upload(t, l.leaf, l.lower, l.upper))
	wantKind(t, err, appliance.Conflict, fieldCertificate)
	second := upload(t, issue(t, "second", &l.lower, asServer("second")))
	second.Label = "WILDCARD.example.org"
	_, err = r.Add(t.Context(), origin(), second)
	wantKind(t, err, appliance.Conflict, "label")
	second.Label = "<b>"
	_, err = r.Add(t.Context(), origin(), second)
	wantKind(t, err, appliance.Invalid, "label")
}

func TestChainCanBeCompletedLater(t *testing.T) {
	r := newRig(t)
	l := newLadder(t, "pacs.example.org")
	short, err := r.Add(t.Context(), origin(), upload(t, l.leaf))
	if err != nil || r.renewed != 0 {
		t.Fatal(err, r.renewed)
	}
	r.running = serving("HL7", short.ID)
	c, err := r.Add(t.Context(), origin(), upload(t, l.leaf, l.upper, l.lower))
	if err != nil || len(c.Warnings) != 0 || len(r.Certificates()) != 1 || r.renewed != 1 {
		t.Errorf("%+v %v, renewed %d times", c, err, r.renewed)
	}
	if c, err = r.Relabel(t.Context(), origin(), c.ID, "PACS"); err != nil || c.Label != "PACS" || strings.Count(c.Chain, "BEGIN") != 3 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestDeletionIsRefusedWhileAServiceUsesIt(t *testing.T) {
	r := newRig(t)
	c, err := r.SelfSign(t.Context(), origin(), appliance.CertificateWish{Names: []string{"pacs.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*appliance.Config{"saved": &r.saved, "running": &r.running} {
		*set = serving("HL7", c.ID)
		e := wantKind(t, r.Delete(t.Context(), origin(), c.ID), appliance.Conflict, "")
		if !strings.Contains(e.Message, "HL7") {
			t.Errorf("%s: %v", name, e)
		}
		*set = appliance.Config{}
	}
	if err := r.Delete(t.Context(), origin(), c.ID); err != nil {
		t.Fatal(err)
	}
	_, err = r.KeyPair(c.ID)
	wantKind(t, err, appliance.NotFound, "")
	wantKind(t, r.Delete(t.Context(), origin(), c.ID), appliance.NotFound, "")
}

func TestDeletedCertificateStaysForTheRevisionsThatNameIt(t *testing.T) {
	r := newRig(t)
	c, err := r.SelfSign(t.Context(), origin(), appliance.CertificateWish{Names: []string{"pacs.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	content := fmt.Appendf(nil, `{"virtual_services":[{"tls":{"certificates":[%q]}}]}`, c.ID)
	if _, err := r.store.Append(t.Context(), []appliance.NewRevision{{Line: appliance.ClusterLine, Content: content, At: noon, Outcome: appliance.Applied}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), origin(), c.ID); err != nil {
		t.Fatal(err)
	}
	if list := r.Certificates(); len(list) != 0 {
		t.Errorf("still listed: %+v", list)
	}
	if _, err := r.KeyPair(c.ID); err != nil {
		t.Errorf("going back to the old revision finds no key: %v", err)
	}
	r.running = serving("HL7", c.ID) // the old revision runs again
	if list := r.Certificates(); len(list) != 1 || list[0].UsedBy[0] != "HL7" {
		t.Errorf("used and not listed: %+v", list)
	}
}

func TestSigningRequestIsAnsweredOnceByItsOwnKey(t *testing.T) {
	r := newRig(t)
	made, err := r.Request(t.Context(), origin(), appliance.CertificateWish{Names: []string{"pacs.example.org", "10.0.0.7"}, Organisation: "Klinik", Country: "de"})
	if err != nil {
		t.Fatal(err)
	}
	if made.Subject != "CN=pacs.example.org,O=Klinik,C=DE" || strings.Join(made.Names, " ") != "pacs.example.org 10.0.0.7" {
		t.Errorf("%+v", made)
	}
	_, err = r.Request(t.Context(), origin(), appliance.CertificateWish{Names: []string{"pacs.example.org"}})
	wantKind(t, err, appliance.Conflict, "label")
	block, _ := pem.Decode([]byte(made.Request))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		t.Fatal(err)
	}
	l := newLadder(t, "other.example.org")
	_, err = r.Answer(t.Context(), origin(), made.ID, l.leaf.pem())
	wantKind(t, err, appliance.Invalid, fieldCertificate)
	_, err = r.Answer(t.Context(), origin(), made.ID, "")
	wantKind(t, err, appliance.Invalid, fieldCertificate)
	answer := answerTo(t, csr, l.lower)
	r.reopen(t)
	c, err := r.Answer(t.Context(), origin(), made.ID, l.upper.pem()+answer+l.lower.pem())
	if err != nil || c.Label != "pacs.example.org" || strings.Count(c.Chain, "BEGIN") != 3 || len(r.SigningRequests()) != 0 {
		t.Fatalf("%+v %v", c, err)
	}
	if p, err := r.KeyPair(c.ID); err != nil || !pairs(p) {
		t.Errorf("the key of the request is not the certificate's: %v", err)
	}
	_, err = r.Answer(t.Context(), origin(), made.ID, answer)
	wantKind(t, err, appliance.NotFound, "")
}

func pairs(p appliance.KeyPair) bool {
	_, err := tls.X509KeyPair(p.Chain, p.Key)
	return err == nil
}

func answerTo(t *testing.T, csr *x509.CertificateRequest, by issued) string {
	t.Helper()
	other := issue(t, "unused", nil, nil)
	template := other.certificate
	template.Subject, template.RawSubject, template.DNSNames, template.Issuer = csr.Subject, nil, csr.DNSNames, by.certificate.Subject
	raw, err := x509.CreateCertificate(nil, template, by.certificate, csr.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

func TestWishIsRefusedAtEveryField(t *testing.T) {
	_, err := newRig(t).SelfSign(t.Context(), origin(), appliance.CertificateWish{
		Names: []string{"good.example", "-bad", "a b", strings.Repeat("x", 300)}, Organisation: "a\nb", Country: "Deutschland", KeyKind: "dsa", Days: 4000,
	})
	fields := map[string]int{}
	for _, e := range appliance.ErrorsOf(err) {
		fields[e.Field]++
	}
	for field, n := range map[string]int{"names": 3, "organisation": 1, "country": 1, "key": 1, "days": 1} {
		if fields[field] != n {
			t.Errorf("%s is refused %d times, want %d", field, fields[field], n)
		}
	}
}

func TestSelfSignedIsGoodForItsNames(t *testing.T) {
	r := newRig(t)
	for _, kind := range []appliance.KeyKind{"", appliance.KeyECDSA384, appliance.KeyRSA2048} {
		c, err := r.SelfSign(t.Context(), origin(), appliance.CertificateWish{Label: "x" + string(kind), Names: []string{"Pacs.Example.org", "fd00::1"}, KeyKind: kind, Days: 30})
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.KeyPair(c.ID)
		if err != nil || !pairs(p) || !c.SelfSigned || c.NotAfter.Sub(noon) != 30*24*time.Hour {
			t.Errorf("%+v %v", c, err)
		}
		leaf := r.contents.Load().certificate(c.ID).chain[0]
		pool := x509.NewCertPool()
		pool.AddCert(leaf)
		for _, name := range []string{"pacs.example.org", "fd00::1"} {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: strings.Trim(name, "[]"), CurrentTime: noon}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestAuthorityIsRenewedInPlaceAndCheckedAgainstItsLists(t *testing.T) {
	r := newRig(t)
	l := newLadder(t, "client")
	made, err := r.SaveAuthority(t.Context(), origin(), "", appliance.AuthorityUpload{Bundle: l.root.pem() + l.upper.pem() + l.root.pem()})
	if err != nil || made.Label != "Root" || len(made.Subjects) != 2 || len(made.ID) != 64 {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = r.SaveAuthority(t.Context(), origin(), "", appliance.AuthorityUpload{Label: "root", Bundle: l.upper.pem()})
	wantKind(t, err, appliance.Conflict, "label")
	_, err = r.SaveAuthority(t.Context(), origin(), "", appliance.AuthorityUpload{Bundle: l.leaf.pem()})
	wantKind(t, err, appliance.Invalid, fieldBundle)
	_, err = r.SaveAuthority(t.Context(), origin(), "", appliance.AuthorityUpload{Label: "x", Bundle: l.root.pem(), CRL: revocations(t, l.lower, l.leaf)})
	wantKind(t, err, appliance.Invalid, fieldCRL)
	if r.renewed != 0 {
		t.Error("what runs was renewed for nothing")
	}
	r.running = serving("WEB")
	r.running.Cluster.VirtualServices[0].TLS.ClientCA = made.ID
	again, err := r.SaveAuthority(t.Context(), origin(), made.ID, appliance.AuthorityUpload{Label: "Root", Bundle: l.root.pem(), CRL: revocations(t, l.root, l.leaf)})
	if err != nil || again.Revoked != 1 || again.ID != made.ID || r.renewed != 1 || again.UsedBy[0] != "WEB" {
		t.Fatalf("%+v %v, renewed %d times", again, err, r.renewed)
	}
	r.reopen(t)
	if a, err := r.Authority(made.ID); err != nil || !strings.Contains(string(a.CRL), "X509 CRL") {
		t.Errorf("%v", err)
	}
	wantKind(t, r.DeleteAuthority(t.Context(), origin(), made.ID), appliance.Conflict, "")
	r.running = appliance.Config{}
	if err := r.DeleteAuthority(t.Context(), origin(), made.ID); err != nil || len(r.Authorities()) != 0 {
		t.Error(err)
	}
}

// board keeps the alerts that stand.
type board struct {
	mu       sync.Mutex
	standing map[string]appliance.Alert
	raised   int
	ticks    chan struct{}
}

func (b *board) Raise(a appliance.Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.standing[a.Code] = a
	b.raised++
}

func (b *board) Clear(code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.standing, code)
}

func (b *board) Watch() (<-chan struct{}, func()) { return b.ticks, func() {} }

// now returns a copy of what stands.
func (b *board) now() map[string]appliance.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.standing)
}

func TestALabelIsFoundWhenNoneIsTyped(t *testing.T) {
	for want, names := range map[string][]string{
		"pacs.example.org": {"pacs.example.org", "other"}, "wildcard.example.org": {"*.example.org"}, "fd00--1": {"fd00::1"}, "common": {"common"}, strings.Repeat("x", 64): {strings.Repeat("x", 80)}, "": nil,
	} {
		if got := labelFrom(" ", names); got != want {
			t.Errorf("%q for %q", got, names)
		}
	}
}

func TestExpiryIsWarnedOfInStages(t *testing.T) {
	r := newRig(t)
	c, err := r.SelfSign(t.Context(), origin(), appliance.CertificateWish{Names: []string{"pacs.example.org"}, Days: 100})
	if err != nil {
		t.Fatal(err)
	}
	b := &board{standing: map[string]appliance.Alert{}}
	standing := map[string]string{}
	r.now = c.NotAfter.Add(-9 * 24 * time.Hour)
	if r.warn(b, standing); len(b.standing) != 0 {
		t.Errorf("a certificate that nothing uses is warned of: %v", b.standing)
	}
	r.saved = serving("HL7", c.ID)
	for _, step := range []struct {
		left     time.Duration
		code     string
		severity appliance.Severity
		says     string
	}{
		{61, "", "", ""},
		{60, codeEarly, appliance.Information, "in 60 days"},
		{31, codeEarly, appliance.Information, "in 31 days"},
		{30, codeMonth, appliance.Warning, "in 30 days"},
		{10, codeTenDays, appliance.Critical, "in 10 days"},
		{0, codeExpired, appliance.Critical, "has expired: pacs.example.org (on 2026-06-09; used by HL7)"},
		{100, "", "", ""},
	} {
		r.now = c.NotAfter.Add(-step.left * 24 * time.Hour)
		r.warn(b, standing)
		sentence, severity := b.standing[step.code].Sentence, string(b.standing[step.code].Severity)
		if step.code == "" && len(b.standing) != 0 || step.code != "" && (len(b.standing) != 1 || severity != string(step.severity) || !strings.Contains(sentence, step.says)) {
			t.Errorf("%d days before: %+v", step.left, b.standing)
		}
	}
	raised := b.raised
	if r.warn(b, standing); b.raised != raised {
		t.Error("the same is raised twice, which would wake everyone for ever")
	}
}

func TestRunLooksAgainWhenSomethingChanged(t *testing.T) {
	r := newRig(t)
	c, err := r.SelfSign(t.Context(), origin(), appliance.CertificateWish{Names: []string{"pacs.example.org"}, Days: 5})
	if err != nil {
		t.Fatal(err)
	}
	v := r.Vault
	synctest.Test(t, func(t *testing.T) {
		v.changed = make(chan struct{}, 1)
		began := time.Now()
		v.now = func() time.Time { return noon.Add(time.Since(began)) }
		b := &board{standing: map[string]appliance.Alert{}, ticks: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx, b) }()
		synctest.Wait()
		if len(b.now()) != 0 {
			t.Errorf("%v", b.now())
		}
		r.saved = serving("HL7", c.ID)
		b.ticks <- struct{}{}
		synctest.Wait()
		if b.now()[codeTenDays].Sentence == "" {
			t.Error("the service that was saved is not seen")
		}
		time.Sleep(5*24*time.Hour + lookEvery)
		synctest.Wait()
		if b.now()[codeExpired].Sentence == "" || len(b.now()) != 1 {
			t.Errorf("time passed unseen: %v", b.now())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
