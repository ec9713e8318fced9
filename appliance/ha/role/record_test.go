package role

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"
)

func TestEveryCodeHasASentence(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "record.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Type != nil {
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Code" {
				declared += len(spec.Names)
			}
		}
		return true
	})
	if declared < 30 || declared != len(Codes()) {
		t.Fatalf("%d codes are declared, %d have a sentence", declared, len(Codes()))
	}
	for _, c := range Codes() {
		s := Record{Code: c, Lasted: 1500 * time.Millisecond, Taken: 31 * time.Millisecond, Count: 4, Hardware: 0x0242ac110002}.Sentence()
		if strings.ContainsAny(s, "{}") || !strings.HasSuffix(s, ".") {
			t.Errorf("%s: %q", c, s)
		}
	}
}

func TestSentenceTellsTheNumbers(t *testing.T) {
	got := Record{Code: OwnerAnswers, Lasted: 190 * time.Millisecond, Hardware: 0x0242ac110002}.Sentence()
	if !strings.Contains(got, "02:42:ac:11:00:02") || !strings.Contains(got, "190 ms") {
		t.Fatal(got)
	}
}

// TestSentencesSayThatThePeerWasNotHeardYet: a decision about a peer that never came has no time to tell, and invents none.
func TestSentencesSayThatThePeerWasNotHeardYet(t *testing.T) {
	for _, c := range Codes() {
		s := Record{Code: c, Count: 4}.Sentence()
		_, about := unheard[c]
		if aPeer := strings.Contains(catalogue[c], "echo") || strings.Contains(catalogue[c], "silent for {lasted}") || c == RivalDeaf; aPeer != about && c != PeerBack {
			t.Errorf("%s: a peer that never came is not thought of: %s", c, s)
		}
		if about && (strings.Contains(s, "less than") && !strings.Contains(catalogue[c], "{taken}") || strings.Contains(s, "echo")) || strings.ContainsAny(s, "{}") || !strings.HasSuffix(s, ".") {
			t.Errorf("%s: %s", c, s)
		}
	}
	if got := (Record{Code: Solo}).Sentence(); got != "The peer has not answered yet; this node goes on alone, because its witness answers or none is configured." {
		t.Error(got)
	}
	if got := (Record{Code: Solo, Lasted: 190 * time.Millisecond}).Sentence(); !strings.HasPrefix(got, "The peer's last echo is 190 ms old; ") {
		t.Error(got)
	}
	if got := (Record{Code: HandsNow}).Sentence(); !strings.Contains(got, "after less than 1 ms;") {
		t.Error(got)
	}
}
