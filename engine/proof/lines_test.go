package proof

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var tests = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// TestEveryHostileLineHasItsTest: no line of the document names a test that is not there, and none of the lines 20 to 37 is missing.
func TestEveryHostileLineHasItsTest(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range tests.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(hostileFile)
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := bytes.Cut(text, []byte("| line | what | tests |\n"))
	if !found {
		t.Fatal("the list of lines is gone")
	}
	held := map[string]bool{}
	for row := range strings.Lines(string(list)) {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 {
			continue
		}
		held[strings.TrimPrefix(cells[0], "| ")] = true
		for _, name := range strings.Split(strings.Trim(cells[2], " |\n"), ", ") {
			if !there[name] {
				t.Errorf("line%s: there is no %s", strings.TrimPrefix(cells[0], "|"), name)
			}
		}
	}
	for line := 20; line <= 37; line++ {
		if name := []byte{byte('0' + line/10), byte('0' + line%10)}; !held[string(name)] {
			t.Errorf("line %d has no test", line)
		}
	}
}
