package ha

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var namesOfTests = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// TestEveryHostileLineHasItsTest: HOSTILE.md names no test that is not there, and none of the lines 72 to 77 is missing.
func TestEveryHostileLineHasItsTest(t *testing.T) {
	there := map[string]bool{}
	for _, root := range []string{"..", "../../engine/persist", "../../story"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range namesOfTests.FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("HOSTILE.md")
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for row := range strings.Lines(string(text)) {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 || strings.HasPrefix(cells[0], "| line") {
			continue
		}
		held[strings.TrimPrefix(cells[0], "| ")] = true
		for name := range strings.SplitSeq(strings.Trim(cells[2], " |\n"), ", ") {
			if !there[name] {
				t.Errorf("line %s: there is no %s", strings.TrimPrefix(cells[0], "| "), name)
			}
		}
	}
	for line := 72; line <= 77; line++ {
		if !held[strconv.Itoa(line)] {
			t.Errorf("line %d has no test", line)
		}
	}
}
