package schema

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/appliance"
)

// TestEveryWordOfTheLanguageIsOffered: a type of few words offers all of them, so that the description of the interface and the help of a command leave none out.
func TestEveryWordOfTheLanguageIsOffered(t *testing.T) {
	said := wordsOfTheLanguage(t)
	seen := map[string]bool{}
	var look func(s *Schema)
	look = func(s *Schema) {
		for _, p := range s.Fields {
			look(p.Schema)
		}
		if s.Item != nil {
			look(s.Item)
		}
		if s.Type == nil || s.Form != Text || s.Type.PkgPath() != "evenkeel/appliance" || seen[s.Type.Name()] {
			return
		}
		seen[s.Type.Name()] = true
		want, got := said[s.Type.Name()], slices.Sorted(slices.Values(s.Choices))
		if len(want) > 1 && !cmp.Equal(want, got) {
			t.Errorf("%s:\n%s", s.Type.Name(), cmp.Diff(want, got))
		}
	}
	for _, of := range []reflect.Type{
		reflect.TypeFor[appliance.VirtualService](), reflect.TypeFor[appliance.Settings](), reflect.TypeFor[appliance.Heartbeat](), reflect.TypeFor[appliance.Local](), reflect.TypeFor[appliance.Operator](),
		reflect.TypeFor[appliance.Revision](), reflect.TypeFor[appliance.Alert](), reflect.TypeFor[appliance.ServiceStatus](), reflect.TypeFor[appliance.Change](), reflect.TypeFor[appliance.PairStatus](),
	} {
		look(Of(of))
	}
	if len(seen) < 15 {
		t.Errorf("only %d types were looked at: %v", len(seen), seen)
	}
}

// wordsOfTheLanguage reads from the source which constants of which type there are, sorted; the empty word is what stands for none and is not among them.
func wordsOfTheLanguage(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../../appliance/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	all := map[string][]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := goparser.ParseFile(token.NewFileSet(), name, text, goparser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST && !strings.HasSuffix(name, "_test.go") {
				addWords(all, g)
			}
		}
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

func addWords(all map[string][]string, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		v := spec.(*ast.ValueSpec)
		of, typed := v.Type.(*ast.Ident)
		if !typed || len(v.Values) != 1 {
			continue
		}
		if literal, ok := v.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if word, err := strconv.Unquote(literal.Value); err == nil && word != "" {
				all[of.Name] = append(all[of.Name], word)
			}
		}
	}
}
