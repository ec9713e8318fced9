package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPriorityIsPutBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "autogroup")
	if err := os.WriteFile(file, []byte("/autogroup-7 nice 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	back := goFirst(file)
	during, _ := os.ReadFile(file)
	back()
	after, _ := os.ReadFile(file)
	if string(during) != "-20" || string(after) != "3" {
		t.Errorf("%q, then %q", during, after)
	}
}

func TestPriorityNeedsNoGroups(t *testing.T) {
	file := filepath.Join(t.TempDir(), "autogroup")
	goFirst(file)()
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was made")
	}
}
