package store

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"evenkeel/appliance"
)

// sharedBy returns everything that the other node has, as a bundle for a node that has nothing.
func sharedBy(t *testing.T, s *Store) appliance.Shared {
	t.Helper()
	var out appliance.Shared
	list, err := s.List(t.Context(), appliance.ClusterLine, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range slices.Backward(list) {
		_, content, err := s.Get(t.Context(), appliance.ClusterLine, r.Number)
		if err != nil {
			t.Fatal(err)
		}
		out.Revisions = append(out.Revisions, appliance.SharedRevision{Revision: r, Content: content})
		out.Saved = appliance.RevisionID{Number: r.Number, Hash: r.Hash}
	}
	if out.Belongings, err = s.Belongings(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out
}

func fillShared(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Append(t.Context(), []appliance.NewRevision{revisionOf(clusterNamed("A"), appliance.Applied), revisionOf(clusterNamed("A", "B"), appliance.Pending)}); err != nil {
		t.Fatal(err)
	}
	addOperator(t, s, "anna", appliance.Administrator)
	for _, err := range []error{
		s.SaveCertificate(t.Context(), origin(), certificateRecord("c1", "web"), ""),
		s.SaveAuthority(t.Context(), origin(), appliance.AuthorityRecord{ID: fingerprintOf("a1"), Label: "ca", Bundle: []byte("pem"), Revoked: []byte{}}),
		s.SaveSigningRequest(t.Context(), origin(), appliance.SigningRecord{ID: fingerprintOf("r1"), Label: "soon", Request: []byte("pem"), Key: []byte("key")}),
		s.SetSecret(t.Context(), "cookie_key", []byte("cookies")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func certificateRecord(id, label string) appliance.CertificateRecord {
	return appliance.CertificateRecord{ID: fingerprintOf(id), Label: label, Chain: []byte("pem"), Key: []byte("key")}
}

func fingerprintOf(id string) string { return appliance.Hash(id) + appliance.Hash(id) }

func TestTakeSharedMakesBothTheSame(t *testing.T) {
	a, b := openTest(t, t.TempDir()), openTest(t, t.TempDir())
	fillShared(t, a)
	addOperator(t, b, "anna", appliance.Viewer)
	addOperator(t, b, "gone", appliance.Administrator)
	addSession(t, b, "anna")
	if err := b.SaveCertificate(t.Context(), origin(), certificateRecord("c2", "web"), ""); err != nil { // the same label for another one
		t.Fatal(err)
	}
	given := sharedBy(t, a)
	changed, stop := b.Watch()
	defer stop()
	if aside, err := b.TakeShared(t.Context(), "pair/a", 1, given, appliance.AuditEntry{Origin: origin(), Action: "receive", Outcome: "done"}); err != nil || len(aside) > 0 {
		t.Fatal(aside, err)
	}
	if d := cmp.Diff(given, sharedBy(t, b), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Error(d)
	}
	if given.Belongings.Hash() != sharedBy(t, b).Belongings.Hash() {
		t.Error("the belongings have another hash")
	}
	if list, err := b.Sessions(t.Context(), "anna"); err != nil || len(list) > 0 {
		t.Error("who has another password now is still signed in", err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if n, err := b.LastSequence(t.Context(), "pair/a"); err != nil || n != 1 {
		t.Error(n, err)
	}
}

func TestTakeSharedIsWholeOrNothing(t *testing.T) {
	a, b := openTest(t, t.TempDir()), openTest(t, t.TempDir())
	fillShared(t, a)
	addOperator(t, b, "ben", appliance.Administrator)
	before := sharedBy(t, b)
	for name, change := range map[string]func(*appliance.Shared){
		"no administrator":   func(g *appliance.Shared) { g.Belongings.Operators[0].Role = appliance.Viewer },
		"nobody":             func(g *appliance.Shared) { g.Belongings.Operators = nil },
		"common is not here": func(g *appliance.Shared) { g.Common = appliance.RevisionID{Number: 1, Hash: "x"} },
		"twice the number":   func(g *appliance.Shared) { g.Revisions = append(g.Revisions, g.Revisions[0]) },
		"twice the label": func(g *appliance.Shared) {
			g.Belongings.Certificates = append(g.Belongings.Certificates, certificateRecord("c9", "web"))
		},
	} {
		given := sharedBy(t, a)
		change(&given)
		if _, err := b.TakeShared(t.Context(), "pair/a", 7, given); appliance.KindOf(err) == "" {
			t.Errorf("%s was taken", name)
		}
		if d := cmp.Diff(before, sharedBy(t, b), cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Error(name, d)
		}
		if n, err := b.LastSequence(t.Context(), "pair/a"); err != nil || n != 0 {
			t.Error(name, n, err)
		}
	}
	if _, err := b.TakeShared(t.Context(), "pair/a", 7, sharedBy(t, a)); err != nil {
		t.Fatal(err)
	}
	for _, old := range []uint64{0, 6, 7} {
		if _, err := b.TakeShared(t.Context(), "pair/a", old, sharedBy(t, a)); appliance.KindOf(err) != appliance.Stale {
			t.Errorf("sequence %d after 7: %v", old, err)
		}
	}
}

func TestRevisionsSetAsideKeepTheirContentAndItsCertificates(t *testing.T) {
	a, b := openTest(t, t.TempDir()), openTest(t, t.TempDir())
	fillShared(t, a)
	addOperator(t, b, "ben", appliance.Administrator)
	mine := certificateRecord("c2", "mine")
	if err := b.SaveCertificate(t.Context(), origin(), mine, ""); err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]string{"certificate": mine.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), []appliance.NewRevision{revisionOf(content, appliance.Applied)}); err != nil {
		t.Fatal(err)
	}
	aside, err := b.TakeShared(t.Context(), "pair/a", 1, sharedBy(t, a))
	if err != nil || !slices.Equal(aside, []int64{1}) {
		t.Fatal(aside, err)
	}
	list, err := b.Forks(t.Context())
	if err != nil || len(list) != 1 || !list[0].Since.Equal(b.now()) || list[0].Revisions[0].Outcome != appliance.Applied || !list[0].Seen {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, got, err := b.ForkContent(t.Context(), list[0].ID); err != nil || string(got) != string(content) {
		t.Errorf("%s, %v", got, err)
	}
	kept, err := b.Certificates(t.Context())
	if err != nil || !slices.ContainsFunc(kept, func(r appliance.CertificateRecord) bool { return r.ID == mine.ID && !r.Hidden.IsZero() }) {
		t.Errorf("the certificate of what was set aside is gone: %v", err)
	}
	entry := appliance.AuditEntry{At: b.now(), Origin: origin(), Action: "fork_discard", Outcome: "done"}
	for _, id := range []string{"1", "-1", "x", "0" + list[0].ID, ""} {
		_, _, err := b.ForkContent(t.Context(), id)
		for _, err := range []error{err, b.SeeFork(t.Context(), id, entry), b.DiscardFork(t.Context(), id, entry)} {
			wantKind(t, err, appliance.NotFound)
		}
	}
	if err := b.DiscardFork(t.Context(), list[0].ID, entry); err != nil {
		t.Fatal(err)
	}
	if list, err := b.Forks(t.Context()); err != nil || len(list) > 0 {
		t.Error(list, err)
	}
	if _, _, err := b.Latest(t.Context(), appliance.ClusterLine); err != nil {
		t.Error("a content is gone that a revision has", err)
	}
}

func TestWriterGuardsWhatIsShared(t *testing.T) {
	s := openTest(t, t.TempDir())
	addOperator(t, s, "anna", appliance.Administrator)
	no := &appliance.Error{Kind: appliance.Conflict, Message: "Elsewhere."}
	s.SetWriter(func() error { return no })
	for _, err := range []error{
		s.CreateOperator(t.Context(), origin(), "ben", appliance.Viewer, "x"), s.SetPassword(t.Context(), origin(), "anna", "x"),
		s.SetRole(t.Context(), origin(), "anna", appliance.Viewer), s.DeleteOperator(t.Context(), origin(), "anna"),
		s.SaveCertificate(t.Context(), origin(), certificateRecord("c1", "x"), ""), s.DeleteCertificate(t.Context(), origin(), "x"),
		s.SaveAuthority(t.Context(), origin(), appliance.AuthorityRecord{ID: "x"}), s.SaveSigningRequest(t.Context(), origin(), appliance.SigningRecord{ID: "x"}),
	} {
		wantKind(t, err, appliance.Conflict)
	}
	if list, err := s.Operators(t.Context()); err != nil || len(list) != 1 || list[0].Role != appliance.Administrator {
		t.Error(list, err)
	}
	addSession(t, s, "anna") // signing in is no change
	s.SetWriter(func() error { return nil })
	addOperator(t, s, "ben", appliance.Viewer)
}
