package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"evenkeel/appliance"
)

// children are processes of their own: they have a file system in a mount namespace of theirs, which goes away with them.
func children() map[string]func(dir string) error {
	return map[string]func(string) error{"full disk": onFullDisk, "read-only folder": onReadOnlyFolder}
}

func runChild(t *testing.T, name string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+name, childEnv+"_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || bytes.Contains(out, []byte(noMount))) {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatalf("this test needs a mount namespace: %v %s", err, out)
		}
		t.Skipf("this test needs a mount namespace (root, or user namespaces): %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const noMount = "no small file system"

func smallDisk(dir, options string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%s: %w", noMount, err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, options); err != nil {
		return fmt.Errorf("%s: %w", noMount, err)
	}
	return nil
}

func TestFullDiskChangesNothing(t *testing.T) { runChild(t, "full disk") }

func onFullDisk(dir string) error {
	ctx := context.Background()
	if err := smallDisk(dir, "size=2m"); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 600<<10), 0o600); err != nil {
		return err
	}
	s, err := Open(ctx, testOptions(dir))
	if err != nil {
		return err
	}
	defer s.Close()
	good := 0
	var refused error
	for i := range 1000 {
		if _, refused = s.Append(ctx, []appliance.NewRevision{noise(i)}, appliance.AuditEntry{Origin: origin(), Action: "commit", Outcome: "done"}); refused != nil {
			break
		}
		good++
	}
	var e *appliance.Error
	if !errors.As(refused, &e) || e.Kind != appliance.Unavailable || !strings.Contains(e.Message, "disk") || e.Hint == "" || good == 0 {
		return fmt.Errorf("after %d revisions: %w", good, refused)
	}
	list, err := s.List(ctx, appliance.ClusterLine, 0, maxPageRows)
	if err != nil || len(list) != good {
		return fmt.Errorf("%d revisions of %d acknowledged: %w", len(list), good, err)
	}
	if audit, err := s.AuditEntries(ctx, 0, maxPageRows); err != nil || len(audit) != good {
		return fmt.Errorf("%d audit entries of %d: %w", len(audit), good, err)
	}
	if _, err := Open(ctx, Options{Dir: filepath.Join(dir, "second")}); appliance.KindOf(err) != appliance.Unavailable {
		return fmt.Errorf("opening on a full disk: %w", err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if _, err := s.Append(ctx, []appliance.NewRevision{revisionOf(clusterNamed("A"), appliance.Pending)}); err != nil {
		return fmt.Errorf("after space was freed: %w", err)
	}
	return quickCheck(ctx, s.reader)
}

// noise is a revision that cannot be made smaller.
func noise(i int) appliance.NewRevision {
	r := rand.New(rand.NewPCG(1, uint64(i)))
	b := make([]byte, 16<<10)
	for j := range b {
		b[j] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[r.IntN(64)]
	}
	return revisionOf([]byte(`{"noise":"`+string(b)+`"}`), appliance.Pending)
}

func TestFolderWithoutRightsIsDenied(t *testing.T) { runChild(t, "read-only folder") }

func onReadOnlyFolder(dir string) error {
	ctx := context.Background()
	if err := smallDisk(dir, ""); err != nil {
		return err
	}
	s, err := Open(ctx, testOptions(dir))
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("%s: %w", noMount, err)
	}
	for _, name := range []string{dir, filepath.Join(dir, "new")} {
		var e *appliance.Error
		if _, err := Open(ctx, testOptions(name)); !errors.As(err, &e) || e.Kind != appliance.Denied || e.Hint == "" {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return Check(ctx, dir) // which writes nothing there
}
