package store

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"evenkeel/appliance"
)

// folderAtRest returns a data folder that was closed with one revision and one session in its snapshot, and the file of its database.
func folderAtRest(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	s := openTest(t, dir)
	for i := range 30 { // enough pages that damage in the middle is damage
		appendOK(t, s, revisionOf(clusterNamed("A", fmt.Sprint(i)), appliance.Pending))
	}
	addOperator(t, s, "anna", appliance.Administrator)
	addSession(t, s, "anna")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, databaseName)
}

func overwrite(t *testing.T, file string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
}

func damages() map[string]func(t *testing.T, file string) {
	junk := bytes.Repeat([]byte("junk"), 1500)
	return map[string]func(*testing.T, string){
		"header": func(t *testing.T, file string) { overwrite(t, file, 0, junk[:100]) },
		"pages":  func(t *testing.T, file string) { overwrite(t, file, 4096, junk) },
		"cut off": func(t *testing.T, file string) {
			if err := os.Truncate(file, 9000); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, file string) {
			if err := os.Truncate(file, 0); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestDamagedDatabaseIsReplacedBySnapshot(t *testing.T) {
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			dir, file := folderAtRest(t)
			damage(t, file)
			before, _ := os.ReadFile(file)
			s := openTest(t, dir)
			alert, restored := s.Restored()
			if !restored || alert.Code != "store_restored" || alert.Severity != appliance.Critical || !strings.Contains(alert.Sentence, "snapshot of") {
				t.Errorf("alert %+v, %v", alert, restored)
			}
			if r, _, err := s.Latest(t.Context(), appliance.ClusterLine); err != nil || r.Number != 30 {
				t.Errorf("latest %d %v", r.Number, err)
			}
			if _, _, err := s.Session(t.Context(), sessionOf("anna").TokenHash); appliance.KindOf(err) != appliance.NotFound {
				t.Errorf("an old session lives again: %v", err)
			}
			if name != "gone" {
				kept, err := filepath.Glob(file + ".damaged-*Z")
				if err != nil || len(kept) != 1 {
					t.Fatalf("kept %v %v", kept, err)
				}
				if after, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(before, after) {
					t.Errorf("what was left of it changed: %v", err)
				}
			}
			if entries, err := s.AuditEntries(t.Context(), 0, 1); err != nil || entries[0].Action != "store_restored" {
				t.Errorf("audit %+v %v", entries, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, again := openTest(t, dir).Restored(); again {
				t.Error("it tells so after the next start too")
			}
		})
	}
}

func TestRestoreTakesTheNewestGoodSnapshot(t *testing.T) {
	dir, file := folderAtRest(t)
	s := openTest(t, dir)
	appendOK(t, s, revisionOf(clusterNamed("newest"), appliance.Pending))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := listSnapshots(dir)
	if err != nil || len(list) != 2 {
		t.Fatalf("snapshots %v %v", list, err)
	}
	overwrite(t, file, 0, []byte("not a database at all"))
	overwrite(t, list[1].path, 4096, bytes.Repeat([]byte{7}, 8000))
	s = openTest(t, dir)
	if r, _, err := s.Latest(t.Context(), appliance.ClusterLine); err != nil || r.Number != 30 {
		t.Errorf("latest %d %v", r.Number, err)
	}
}

func TestDamageWithoutSnapshotTouchesNothing(t *testing.T) {
	dir, file := folderAtRest(t)
	if err := os.RemoveAll(filepath.Join(dir, snapshotFolder)); err != nil {
		t.Fatal(err)
	}
	overwrite(t, file, 0, []byte("not a database at all"))
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := Open(t.Context(), testOptions(dir))
		if e := wantKind(t, err, appliance.Unavailable); e.Hint == "" {
			t.Errorf("no way out: %+v", e)
		}
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
}

func TestDamagedContentIsNoticed(t *testing.T) {
	s := openTest(t, t.TempDir())
	appendOK(t, s, revisionOf(clusterNamed("A"), appliance.Pending))
	if _, err := s.writer.Exec("UPDATE content SET body = ?", deflate(clusterNamed("B"))); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Latest(t.Context(), appliance.ClusterLine)
	if e := wantKind(t, err, appliance.Internal); r.Number != 1 || e.Hint == "" {
		t.Errorf("%+v %+v", r, e)
	}
}

func TestSnapshotsFollowChangesAndTwoAreKept(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir, SnapshotEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	newest := 0
	for i := range 4 {
		appendOK(t, s, revisionOf(clusterNamed("A", fmt.Sprint(i)), appliance.Pending))
		newest = waitForSnapshot(t, dir, newest)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := listSnapshots(dir)
	if err != nil || len(list) != snapshotsKept {
		t.Fatalf("%v %v", list, err)
	}
	for _, snap := range list {
		if err := examine(t.Context(), snap.path); err != nil {
			t.Error(err)
		}
	}
	before := list[1].number
	if err := openTest(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if list, err := listSnapshots(dir); err != nil || list[1].number != before {
		t.Errorf("a start without changes took a snapshot: %v %v", list, err)
	}
}

// waitForSnapshot polls for a snapshot newer than that number.
func waitForSnapshot(t *testing.T, dir string, than int) int {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if list, err := listSnapshots(dir); err == nil && len(list) > 0 && list[len(list)-1].number > than {
			return list[len(list)-1].number
		}
	}
	t.Fatal("no snapshot came")
	return 0
}

// allMigrations returns this version's steps.
func allMigrations() (fstest.MapFS, error) {
	names, err := fs.Glob(migrations(), "*.sql")
	steps := fstest.MapFS{}
	for _, name := range names {
		text, err := fs.ReadFile(migrations(), name)
		if err != nil {
			return nil, err
		}
		steps[name] = &fstest.MapFile{Data: text}
	}
	return steps, err
}

func TestMigrationCopiesFirstAndIsWholeOrNot(t *testing.T) {
	dir, file := folderAtRest(t)
	steps, err := allMigrations()
	if err != nil {
		t.Fatal(err)
	}
	now := len(steps)
	more := fmt.Sprintf("%04d_more.sql", now+1)
	steps[more] = &fstest.MapFile{Data: []byte("CREATE TABLE more (x); CREATE TABLE more (x)")}
	if _, err := open(t.Context(), testOptions(dir), steps); err == nil {
		t.Fatal("a broken migration")
	}
	if err := examineShape(t, file, now); err != nil {
		t.Error(err)
	}
	steps[more] = &fstest.MapFile{Data: []byte("CREATE TABLE more (x)")}
	s, err := open(t.Context(), testOptions(dir), steps)
	if err != nil {
		t.Fatal(err)
	}
	if r, _, err := s.Latest(t.Context(), appliance.ClusterLine); err != nil || r.Number != 30 {
		t.Errorf("latest %d %v", r.Number, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := examineShape(t, file, now+1); err != nil {
		t.Error(err)
	}
	if err := examineShape(t, filepath.Join(dir, snapshotFolder, fmt.Sprintf("before-migration-%04d.db", now+1)), now); err != nil {
		t.Error(err)
	}
	_, err = Open(t.Context(), testOptions(dir)) // this version knows no such step
	wantKind(t, err, appliance.Unsupported)
}

func examineShape(t *testing.T, file string, want int) error {
	t.Helper()
	db := connect(file, looking)
	defer db.Close()
	if got, err := shape(t.Context(), db); err != nil || got != want {
		return fmt.Errorf("%s has shape %d, want %d: %w", filepath.Base(file), got, want, err)
	}
	return nil
}

func TestForeignDatabaseIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	db := connect(filepath.Join(dir, databaseName), looking)
	if _, err := db.Exec("CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err := Open(t.Context(), testOptions(dir))
	wantKind(t, err, appliance.Conflict)
}

func TestCheckLooksAtACopy(t *testing.T) {
	dir, _ := folderAtRest(t)
	if err := Check(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, dir) // and beside a running appliance, with what is only in its log yet
	appendOK(t, s, revisionOf(clusterNamed("A", "A"), appliance.Pending))
	before := contents(t, dir)
	e := wantKind(t, Check(t.Context(), dir), appliance.Conflict)
	if e.Field != "virtual_services[A].label" {
		t.Errorf("%+v", e)
	}
	for name, b := range contents(t, dir) {
		if !bytes.Equal(before[name], b) && !strings.HasSuffix(name, "-shm") { // whose marks the store's own readers move
			t.Errorf("%s changed", name)
		}
	}
	wantKind(t, Check(t.Context(), t.TempDir()), appliance.NotFound)
}

func TestCheckTellsOfDamage(t *testing.T) {
	dir, file := folderAtRest(t)
	overwrite(t, file, 0, []byte("not a database at all"))
	before := contents(t, dir)
	wantKind(t, Check(context.Background(), dir), appliance.Unavailable)
	if after := contents(t, dir); len(after) != len(before) || !bytes.Equal(after[databaseName], before[databaseName]) {
		t.Error("the folder changed")
	}
}

func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = b
	}
	return out
}
