package proof

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var tests = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// TestEveryHostileLineHasItsTest: no line of the document names a test that is not there, and none of the lines 1 to 37 is missing. A line that
// names TestNothingOfABrokenRequestIsForwarded has a request there.
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
	sent := map[string]bool{}
	for _, in := range refused() {
		line, _, _ := strings.Cut(in.name, " ")
		sent[line] = true
	}
	held := map[string]bool{}
	for row := range strings.Lines(string(list)) {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 {
			continue
		}
		line := strings.TrimPrefix(cells[0], "| ")
		held[line] = true
		for _, name := range strings.Split(strings.Trim(cells[2], " |\n"), ", ") {
			if !there[name] {
				t.Errorf("line %s: there is no %s", line, name)
			}
			if name == "TestNothingOfABrokenRequestIsForwarded" && !sent[line] {
				t.Errorf("line %s: no request of it is sent", line)
			}
		}
	}
	for line := 1; line <= 37; line++ {
		if !held[strconv.Itoa(line)] {
			t.Errorf("line %d has no test", line)
		}
	}
}
