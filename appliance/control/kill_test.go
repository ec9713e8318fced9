package control

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/store"
)

// commitForever is the life of the process that is killed: every commit or action that returned is acknowledged with a line "number hash", applies in between.
func commitForever(dir string, out io.Writer) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: dir, SnapshotEvery: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	defer s.Close()
	c := New(Options{Store: s, Engine: &fakeEngine{calls: new([]string)}})
	if err := c.Boot(ctx); err != nil {
		return err
	}
	if c.Saved().Revision.Number == 0 {
		if _, err := c.Commit(ctx, anna(), nil, imaging); err != nil {
			return err
		}
	}
	for i := c.Saved().Revision.Number; ; i++ {
		var done Committed
		weight := int(i % 1000)
		if i%5 == 0 {
			saved := c.Saved().Config
			hl7 := named(&saved, "HL7")
			done, err = c.Act(ctx, anna(), []Act{{Service: hl7.ID, Server: hl7.RealServers[0].ID, Weight: &weight}})
		} else {
			done, err = c.Commit(ctx, anna(), nil, change("WEB", func(s *appliance.VirtualService) { s.Limits.MaxConnections = int(i) + 1 }))
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, done.Revision.Number, done.Revision.Hash); err != nil {
			return err
		}
		if i%7 == 0 {
			if _, err := c.Apply(ctx, anna()); err != nil {
				return err
			}
		}
	}
}

func TestKillLosesNoAcknowledgedCommit(t *testing.T) {
	const wanted = 300
	dir := t.TempDir()
	acknowledged := map[int64]string{}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	rounds := 0
	for ; len(acknowledged) < wanted && rounds < 200; rounds++ {
		killed(t, dir, 1+random.IntN(25), time.Duration(random.IntN(3000))*time.Microsecond, acknowledged)
		verify(t, dir, acknowledged)
	}
	if err := store.Check(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if len(acknowledged) < wanted || rounds < 5 {
		t.Errorf("%d commits in %d rounds", len(acknowledged), rounds)
	}
	t.Logf("%d acknowledged commits, killed %d times", len(acknowledged), rounds)
}

// killed starts the process, reads that many acknowledgements, waits a moment and kills it; what was written until then counts.
func killed(t *testing.T, dir string, commits int, moment time.Duration, acknowledged map[int64]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var number int64
		var hash string
		if _, err := fmt.Sscan(lines.Text(), &number, &hash); err != nil {
			break // the last line, cut off
		}
		acknowledged[number] = hash
		if n == commits {
			time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	if stderr.Len() > 0 {
		t.Fatalf("the process ended by itself: %s", stderr.String())
	}
}

func verify(t *testing.T, dir string, acknowledged map[int64]string) {
	t.Helper()
	// Opening examines the whole file, and would restore a damaged one.
	s, err := store.Open(t.Context(), store.Options{Dir: dir, SnapshotEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if alert, restored := s.Restored(); restored {
		t.Fatalf("it had to be restored: %s", alert.Sentence)
	}
	for number, hash := range acknowledged {
		r, _, err := s.Get(t.Context(), appliance.ClusterLine, number)
		if err != nil || r.Hash != hash {
			t.Fatalf("revision %d was acknowledged as %s and is %q: %v", number, hash, r.Hash, err)
		}
	}
	if damaged, err := filepath.Glob(filepath.Join(dir, "*damaged*")); err != nil || len(damaged) > 0 {
		t.Fatalf("%v %v", damaged, err)
	}
}
