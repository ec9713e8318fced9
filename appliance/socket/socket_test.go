package socket

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSocketIsTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a long name ", 12)) // longer than the name of a socket may be
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second replaces what the first left behind
		l, err := Listen(t.Context(), "unix", dir, "some.sock")
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(filepath.Join(dir, "some.sock"))
		if err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("%v, %v", info, err)
		}
		l.Close()
	}
	if _, err := Listen(t.Context(), "unix", filepath.Join(dir, "missing"), "some.sock"); err == nil {
		t.Error("a socket in a folder that is not there")
	}
}
