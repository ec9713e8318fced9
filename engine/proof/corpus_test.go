package proof

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var fuzzed = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// TestTheParsersOfTrafficKeepWhatFuzzingFound: what once was new to a parser is tried by each run of its tests.
func TestTheParsersOfTrafficKeepWhatFuzzingFound(t *testing.T) {
	for _, name := range []string{"http1", "http2", "peek", "proxyproto", "request", "tlsterm", "persist"} {
		folder := filepath.Join("..", name)
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		targets := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range fuzzed.FindAllSubmatch(text, -1) {
				targets++
				if kept, err := os.ReadDir(filepath.Join(folder, "testdata", "fuzz", string(m[1]))); err != nil || len(kept) < 8 {
					t.Errorf("%s: %d inputs are kept of %s; task fuzz:keep adds some", name, len(kept), m[1])
				}
			}
		}
		if targets == 0 {
			t.Errorf("%s is not fuzzed", name)
		}
	}
}
