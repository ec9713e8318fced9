package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func certificateOf(letter, label string) appliance.CertificateRecord {
	return appliance.CertificateRecord{ID: strings.Repeat(letter, 64), Label: label, Chain: []byte("chain of " + label), Key: []byte("key of " + label)}
}

func TestCertificateIsKeptWithItsKeyAndCounted(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	a, b := certificateOf("a", "pacs"), certificateOf("b", "web")
	for _, r := range []appliance.CertificateRecord{b, a} {
		if err := s.SaveCertificate(t.Context(), origin(), r, ""); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, s.SaveCertificate(t.Context(), origin(), certificateOf("c", "pacs"), ""), appliance.Conflict)
	a.Chain = []byte("longer chain")
	if err := s.SaveCertificate(t.Context(), origin(), a, ""); err != nil {
		t.Fatal(err)
	}
	list, err := s.Certificates(t.Context())
	if err != nil || len(list) != 2 || list[0].Label != "pacs" || list[0].Version != 2 || string(list[0].Chain) != "longer chain" || string(list[0].Key) != "key of pacs" || !list[0].Created.Equal(s.now()) {
		t.Fatalf("%v %v", list, err)
	}
	if text := fmt.Sprint(list[0].LogValue()); strings.Contains(text, "key") {
		t.Errorf("a log would hold %s", text)
	}
	info, err := os.Stat(filepath.Join(dir, databaseName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("keys lie in a file of mode %v, %v", info.Mode(), err)
	}
	entries, err := s.AuditEntries(t.Context(), 0, 10)
	if err != nil || len(entries) != 3 || entries[0].Action != "certificate_save" || entries[0].Subject != a.ID || strings.Contains(entries[0].Detail, "key") {
		t.Errorf("%+v %v", entries, err)
	}
}

func TestKeyIsKeptWhileARevisionNamesIt(t *testing.T) {
	s := openTest(t, t.TempDir())
	a, b := certificateOf("a", "pacs"), certificateOf("b", "web")
	for _, r := range []appliance.CertificateRecord{a, b} {
		if err := s.SaveCertificate(t.Context(), origin(), r, ""); err != nil {
			t.Fatal(err)
		}
	}
	appendOK(t, s, revisionOf(fmt.Appendf(nil, `{"virtual_services":[{"tls":{"certificates":[%q]}}]}`, a.ID), appliance.Applied), revisionOf(clusterNamed("A"), appliance.Applied))
	for _, r := range []appliance.CertificateRecord{a, b} {
		if err := s.DeleteCertificate(t.Context(), origin(), r.ID); err != nil {
			t.Fatal(err)
		}
		wantKind(t, s.DeleteCertificate(t.Context(), origin(), r.ID), appliance.NotFound)
	}
	list, err := s.Certificates(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != a.ID || list[0].Hidden.IsZero() || string(list[0].Key) != "key of pacs" {
		t.Fatalf("%v %v", list, err)
	}
	if err := s.SaveCertificate(t.Context(), origin(), certificateOf("c", "pacs"), ""); err != nil {
		t.Errorf("the label of a hidden one is not free: %v", err)
	}
	a.Label = "pacs again"
	if err := s.SaveCertificate(t.Context(), origin(), a, ""); err != nil {
		t.Fatal(err)
	}
	if list, err = s.Certificates(t.Context()); err != nil || !list[1].Hidden.IsZero() {
		t.Errorf("what is uploaded again stays hidden: %v %v", list, err)
	}
}

func TestAnswerEndsItsRequestInOneStep(t *testing.T) {
	s := openTest(t, t.TempDir())
	r := appliance.SigningRecord{ID: "r1", Label: "pacs", Request: []byte("request"), Key: []byte("key")}
	if err := s.SaveSigningRequest(t.Context(), origin(), r); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.SaveSigningRequest(t.Context(), origin(), appliance.SigningRecord{ID: "r2", Label: "pacs", Request: []byte("x"), Key: []byte("y")}), appliance.Conflict)
	wantKind(t, s.SaveCertificate(t.Context(), origin(), certificateOf("a", "pacs"), "r9"), appliance.NotFound)
	if list, err := s.Certificates(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("half done: %v %v", list, err)
	}
	if err := s.SaveCertificate(t.Context(), origin(), certificateOf("a", "pacs"), "r1"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.SigningRequests(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the request waits on: %v %v", list, err)
	}
	wantKind(t, s.DeleteSigningRequest(t.Context(), origin(), "r1"), appliance.NotFound)
}

func TestAuthorityIsReplacedAndHiddenLikeACertificate(t *testing.T) {
	s := openTest(t, t.TempDir())
	a := appliance.AuthorityRecord{ID: strings.Repeat("a", 64), Label: "Root", Bundle: []byte("bundle"), Revoked: []byte{}}
	for _, revoked := range []string{"", "list"} {
		a.Revoked = []byte(revoked)
		if err := s.SaveAuthority(t.Context(), origin(), a); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Authorities(t.Context())
	if err != nil || len(list) != 1 || list[0].Version != 2 || string(list[0].Revoked) != "list" {
		t.Fatalf("%v %v", list, err)
	}
	appendOK(t, s, revisionOf(fmt.Appendf(nil, `{"virtual_services":[{"tls":{"client_ca":%q}}]}`, a.ID), appliance.Applied))
	if err := s.DeleteAuthority(t.Context(), origin(), a.ID); err != nil {
		t.Fatal(err)
	}
	if list, err = s.Authorities(t.Context()); err != nil || len(list) != 1 || list[0].Hidden.IsZero() {
		t.Errorf("%v %v", list, err)
	}
}
