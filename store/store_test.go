package store

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"evenkeel/appliance"
)

// childEnv, when set, makes the test binary one of the processes of child_test.go.
const childEnv = "EVENKEEL_STORE_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children()[name](os.Getenv(childEnv + "_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func testOptions(dir string) Options {
	return Options{Dir: dir, SnapshotEvery: time.Hour, Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }}
}

func openTest(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), testOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func origin() appliance.Origin {
	return appliance.Origin{Operator: "anna", From: netip.MustParseAddr("192.0.2.7"), Via: "webui", Why: "ticket 7"}
}

// clusterNamed returns the content of a revision that its number of services tells apart.
func clusterNamed(labels ...string) []byte {
	c := appliance.Cluster{VirtualServices: []appliance.VirtualService{}}
	for i, label := range labels {
		s := appliance.NewService(appliance.TCP)
		s.ID, s.Label, s.Address = fmt.Sprintf("s%d", i), label, netip.MustParseAddr("10.0.0.1")
		s.Ports = appliance.Ports{{First: uint16(1000 + i), Last: uint16(1000 + i)}}
		s.Normalize()
		c.VirtualServices = append(c.VirtualServices, s)
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return b
}

func revisionOf(content []byte, outcome appliance.Outcome) appliance.NewRevision {
	return appliance.NewRevision{
		Line: appliance.ClusterLine, Content: content, At: time.Date(2026, 3, 1, 11, 0, 0, 42, time.UTC), Origin: origin(), Summary: "HL7 added", Outcome: outcome,
	}
}

func appendOK(t *testing.T, s *Store, list ...appliance.NewRevision) []appliance.Revision {
	t.Helper()
	made, err := s.Append(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func wantKind(t *testing.T, err error, kind appliance.Kind) *appliance.Error {
	t.Helper()
	if appliance.KindOf(err) != kind {
		t.Fatalf("kind %q, want %q: %v", appliance.KindOf(err), kind, err)
	}
	if err == nil {
		return nil
	}
	return appliance.ErrorsOf(err)[0]
}

func TestRevisionsComeBackAsWritten(t *testing.T) {
	s := openTest(t, t.TempDir())
	if _, _, err := s.Latest(t.Context(), appliance.ClusterLine); appliance.KindOf(err) != appliance.NotFound {
		t.Fatalf("an empty line: %v", err)
	}
	first, second := clusterNamed("A"), clusterNamed("A", "B")
	made := appendOK(t, s, revisionOf(first, appliance.Applied), revisionOf(second, appliance.Pending))
	if made[0].Number != 1 || made[1].Number != 2 || made[0].AppliedAt.IsZero() || !made[1].AppliedAt.IsZero() {
		t.Fatalf("made %+v", made)
	}
	for name, read := range map[string]func() (appliance.Revision, []byte, error){
		"latest applied": func() (appliance.Revision, []byte, error) { return s.LatestApplied(t.Context(), appliance.ClusterLine) },
		"get":            func() (appliance.Revision, []byte, error) { return s.Get(t.Context(), appliance.ClusterLine, 1) },
	} {
		r, content, err := read()
		if err != nil || string(content) != string(first) || !cmp.Equal(r, made[0], cmpopts.EquateComparable(netip.Addr{})) {
			t.Errorf("%s: %v %s %s", name, err, content, cmp.Diff(made[0], r, cmpopts.EquateComparable(netip.Addr{})))
		}
	}
	if r, content, err := s.Latest(t.Context(), appliance.ClusterLine); err != nil || r.Number != 2 || string(content) != string(second) {
		t.Errorf("latest: %+v %v", r, err)
	}
	if _, _, err := s.Get(t.Context(), appliance.LocalLine, 1); appliance.KindOf(err) != appliance.NotFound {
		t.Errorf("the other line has it too: %v", err)
	}
}

func TestListPagesBackwards(t *testing.T) {
	s := openTest(t, t.TempDir())
	for i := range 7 {
		appendOK(t, s, revisionOf(clusterNamed("A", fmt.Sprint(i)), appliance.Pending))
	}
	var seen []int64
	for before := int64(0); ; {
		page, err := s.List(t.Context(), appliance.ClusterLine, before, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			seen = append(seen, r.Number)
			before = r.Number
		}
		if len(page) == 0 {
			break
		}
	}
	if diff := cmp.Diff([]int64{7, 6, 5, 4, 3, 2, 1}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestAppendIsAllOrNothing(t *testing.T) {
	s := openTest(t, t.TempDir())
	bad := revisionOf(clusterNamed("B"), "burnt") // the schema knows no such outcome
	entry := appliance.AuditEntry{At: time.Now(), Origin: origin(), Action: "commit", Outcome: "done"}
	_, err := s.Append(t.Context(), []appliance.NewRevision{revisionOf(clusterNamed("A"), appliance.Pending), bad}, entry)
	wantKind(t, err, appliance.Invalid)
	if _, _, err := s.Latest(t.Context(), appliance.ClusterLine); appliance.KindOf(err) != appliance.NotFound {
		t.Errorf("the first of two revisions stayed: %v", err)
	}
	if entries, err := s.AuditEntries(t.Context(), 0, 10); err != nil || len(entries) != 0 {
		t.Errorf("audit of what never happened: %v %v", entries, err)
	}
	if _, err := s.Append(t.Context(), []appliance.NewRevision{revisionOf(clusterNamed("A"), appliance.Pending)}, entry); err != nil {
		t.Fatal(err)
	}
	entries, err := s.AuditEntries(t.Context(), 0, 10)
	if err != nil || len(entries) != 1 || entries[0].Origin != origin() || entries[0].ID != 1 {
		t.Errorf("audit: %+v %v", entries, err)
	}
}

func TestEqualContentIsKeptOnce(t *testing.T) {
	s := openTest(t, t.TempDir())
	content := clusterNamed("A")
	appendOK(t, s, revisionOf(content, appliance.Pending), revisionOf(clusterNamed("B"), appliance.Pending), revisionOf(content, appliance.Pending))
	var n int
	if err := s.reader.QueryRow("SELECT count(*) FROM content").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d contents of three revisions, %v", n, err)
	}
}

func TestMarkKeepsWhenItWasApplied(t *testing.T) {
	s := openTest(t, t.TempDir())
	appendOK(t, s, revisionOf(clusterNamed("A"), appliance.Pending))
	at := time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		outcome appliance.Outcome
		reason  string
	}{{appliance.Failed, "Port 80 is taken."}, {appliance.Applied, ""}} {
		if err := s.Mark(t.Context(), appliance.ClusterLine, 1, step.outcome, step.reason, at); err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Get(t.Context(), appliance.ClusterLine, 1)
		if err != nil || r.Outcome != step.outcome || r.Reason != step.reason || (r.Outcome == appliance.Applied) != r.AppliedAt.Equal(at) {
			t.Errorf("after %v: %+v %v", step, r, err)
		}
	}
	wantKind(t, s.Mark(t.Context(), appliance.ClusterLine, 9, appliance.Applied, "", at), appliance.NotFound)
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	s := openTest(t, dir)
	appendOK(t, s, revisionOf(clusterNamed("A"), appliance.Pending))
	waitForSnapshot(t, dir, 0)
	found := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		stat, err := d.Info()
		if err != nil {
			return err
		}
		found++
		if mode := stat.Mode().Perm(); mode != 0o600 && !d.IsDir() || d.IsDir() && mode != 0o700 {
			t.Errorf("%s has mode %o", p, mode)
		}
		return nil
	})
	if err != nil || found < 6 { // folder, snapshots, one snapshot, lock, database, log, index of the log
		t.Errorf("%d files, %v", found, err)
	}
}

func TestDatabaseIsDurable(t *testing.T) {
	s := openTest(t, t.TempDir())
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		if err := s.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", pragma, got, want, err)
		}
	}
	if _, err := s.reader.Exec("DELETE FROM audit"); appliance.KindOf(fault("", err)) != appliance.Denied {
		t.Errorf("a reader may write: %v", err)
	}
}

func TestSecondStartIsRefusedAndNamesTheFirst(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	_, err := Open(t.Context(), testOptions(dir))
	e := wantKind(t, err, appliance.Conflict)
	if want := fmt.Sprintf("The data folder %s is in use by another evenkeel (process %d).", dir, os.Getpid()); e.Message != want {
		t.Errorf("%q, want %q", e.Message, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openTest(t, dir)
}

func TestCanceledWriteChangesNothing(t *testing.T) {
	s := openTest(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Append(ctx, []appliance.NewRevision{revisionOf(clusterNamed("A"), appliance.Pending)})
	wantKind(t, err, appliance.Unavailable)
	if list, err := s.List(t.Context(), appliance.ClusterLine, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

func TestWritersAndReadersTogether(t *testing.T) {
	s := openTest(t, t.TempDir())
	const writers, each = 4, 15
	errs := make(chan error, 2*writers)
	for w := range writers {
		go func() {
			for i := range each {
				if _, err := s.Append(t.Context(), []appliance.NewRevision{revisionOf(clusterNamed("A", fmt.Sprint(w, "-", i)), appliance.Pending)}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
		go func() {
			last := int64(0)
			for range each {
				r, content, err := s.Latest(t.Context(), appliance.ClusterLine)
				if appliance.KindOf(err) == appliance.NotFound {
					continue
				}
				if err != nil || r.Number < last || !strings.Contains(string(content), `"A"`) {
					errs <- fmt.Errorf("read %d after %d: %w", r.Number, last, err)
					return
				}
				last = r.Number
			}
			errs <- nil
		}()
	}
	for range 2 * writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if r, _, err := s.Latest(t.Context(), appliance.ClusterLine); err != nil || r.Number != writers*each {
		t.Errorf("latest is %d, want %d: %v", r.Number, writers*each, err)
	}
}
