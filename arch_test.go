package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the table of imports: who may import which of our packages besides `evenkeel/appliance` and its own sub-packages.
// A package that is not listed fails.
var mayImport = map[string][]string{
	".":                      {"*"},
	"appliance":              nil,
	"appliance/control":      nil,
	"appliance/certificates": nil,
	"appliance/realtime":     nil,
	"appliance/host":         {"appliance/realtime"},
	"appliance/ha":           {"appliance/realtime"},
	"appliance/ha/beat":      nil,
	"appliance/ha/role":      nil,
	"appliance/sshd":         nil,
	"appliance/demo":         {"engine/dicom", "engine/mllp"},
	"engine":                 nil,
	"engine/wire":            nil,
	"engine/wire/wiretest":   {"engine/wire"},
	"engine/journal":         nil,
	"engine/loop":            {"engine/wire"},
	"engine/request":         nil,
	"engine/cache":           {"engine/request", "engine/wire"},
	"engine/compress":        {"engine/request"},
	"engine/http1":           {"engine/wire", "engine/request", "engine/compress", "engine/cache", "engine/rules"},
	"engine/explain":         {"engine/wire", "engine/http1", "engine/rules", "engine/peek", "engine/proxyproto", "engine/request"},
	"engine/history":         nil,
	"engine/http2":           {"engine/wire", "engine/request"},
	"engine/relay":           {"engine/wire", "engine/peek"},
	"engine/rules":           {"engine/request"},
	"engine/tlsterm":         {"engine/wire"},
	"engine/tlsterm/tlstest": nil,
	"engine/balance":         {"engine/wire"},
	"engine/peek":            nil,
	"engine/queue":           nil,
	"engine/persist":         nil,
	"engine/persist/mirror":  {"engine/persist"},
	"engine/rings":           {"engine/stats"},
	"engine/stats":           {"engine/wire"},
	"engine/traffic":         {"engine/wire"},
	"engine/monitor":         {"engine/dicom", "engine/mllp"},
	"engine/names":           nil,
	"engine/agent":           nil,
	"engine/fallback":        nil,
	"engine/dicom":           nil,
	"engine/mllp":            nil,
	"engine/proxyproto":      nil,
	"engine/bench/cmd":       {"engine", "engine/bench"},
	"engine/bench":           {"engine"},
	"engine/proof":           {"engine", "engine/fallback", "engine/wire/wiretest", "engine/tlsterm/tlstest"},
	"store":                  nil,
	"story":                  {"engine/wire/wiretest", "appliance/realtime"},
	"story/kernels/cmd":      nil,
	"ui":                     nil,
	"ui/api":                 {"ui/problem", "ui/schema", "appliance/socket"},
	"ui/cli":                 {"ui/problem", "ui/schema"},
	"ui/form":                nil,
	"ui/metrics":             nil,
	"appliance/replica":      nil,
	"ui/problem":             nil,
	"ui/schema":              nil,
	"ui/signin":              nil,
	"ui/static":              nil,
	"ui/view":                {"ui/form"},
	"appliance/socket":       nil,
	"appliance/takeover":     {"appliance/socket"},

	"appliance/ha/role/model": {"appliance/ha/role"},
}

// oneDoor names the packages through which a third party comes in; a prefix of the import path → who may use it.
var oneDoor = map[string][]string{
	"github.com/labstack/echo":           {"ui", "ui/api"},
	"github.com/a-h/templ":               {"ui", "ui/view"},
	"modernc.org/sqlite":                 {"store"},
	"github.com/vishvananda/netlink":     {"appliance/host"},
	"github.com/mdlayher/packet":         {"appliance/host"},
	"github.com/miekg/dns":               {"engine/names"},
	"github.com/google/nftables":         {"appliance/host", "engine/packet"},
	"github.com/cilium/ebpf":             {"engine/packet"},
	"golang.org/x/crypto/ssh":            {"appliance/sshd", "appliance/replica"},
	"github.com/pkg/sftp":                {"appliance/replica"},
	"software.sslmate.com/src/go-pkcs12": {"appliance/certificates"},
	"os/exec":                            {"appliance/host", "update", "engine/monitor", "story/kernels/cmd"},
	"net/http/pprof":                     {},
	"github.com/chromedp":                {},
}

// pureLeaves import the standard library and `appliance` only.
var pureLeaves = []string{"engine/proxyproto", "engine/wire", "engine/peek", "engine/request", "engine/dicom", "engine/mllp", "appliance/ha/role"}

// bannedNames are words that the vocabulary does not use, whole words of identifiers.
var bannedNames = regexp.MustCompile(`(?i)^(backend|upstream|manager|helper|util|utils|master|slave)s?$`)

type sourceFile struct {
	dir, name string // dir is "." at the top
	test      bool
	generated bool
	ast       *ast.File
}

func sources(t *testing.T) []sourceFile {
	t.Helper()
	var out []sourceFile
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, sourceFile{dir: path.Dir(filepath.ToSlash(p)), name: p, test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(f), ast: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d files found", len(out))
	}
	return out
}

func imports(f sourceFile) []string {
	var out []string
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		out = append(out, p)
	}
	return out
}

func TestArchImportsFollowTheTable(t *testing.T) {
	for _, f := range sources(t) {
		allowed, listed := mayImport[f.dir]
		if !listed {
			t.Errorf("package %s is not in the table of imports", f.dir)
			continue
		}
		if f.test || slices.Contains(allowed, "*") {
			continue
		}
		for _, p := range imports(f) {
			own, ours := strings.CutPrefix(p, "evenkeel/")
			if !ours || own == "appliance" || strings.HasPrefix(own, f.dir+"/") && f.dir != "appliance" || slices.Contains(allowed, own) {
				continue
			}
			t.Errorf("%s imports %s, which the table does not allow", f.name, own)
		}
	}
}

func TestArchThirdPartiesHaveOneDoor(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, p := range imports(f) {
			for prefix, doors := range oneDoor {
				if (p == prefix || strings.HasPrefix(p, prefix+"/")) && !slices.Contains(doors, f.dir) && !strings.HasPrefix(f.dir, "engine/bench") {
					t.Errorf("%s imports %s; its door is %v", f.name, p, doors)
				}
			}
			standard := !strings.Contains(strings.Split(p, "/")[0], ".")
			if (slices.Contains(pureLeaves, f.dir) || f.dir == "appliance") && !standard && p != "evenkeel/appliance" {
				t.Errorf("%s imports %s; a leaf imports the standard library and appliance only", f.name, p)
			}
		}
	}
}

func TestArchEveryPackageHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.ast.Doc != nil && len(f.ast.Doc.Text()) > 40
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", dir)
		}
	}
}

func TestArchVocabularyAndCalls(t *testing.T) {
	for _, f := range sources(t) {
		if f.generated {
			continue
		}
		var inspect func(n ast.Node) bool
		inspect = func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr: // what others named is not ours to judge
				ast.Inspect(n.X, inspect)
				return false
			case *ast.Ident:
				for _, word := range words(n.Name) {
					if bannedNames.MatchString(word) {
						t.Errorf("%s: the vocabulary has no %q (in %s)", f.name, word, n.Name)
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s: no init functions", f.name)
				}
			case *ast.CallExpr:
				checkCall(t, f, n)
			}
			return true
		}
		ast.Inspect(f.ast, inspect)
	}
}

func checkCall(t *testing.T, f sourceFile, call *ast.CallExpr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || pkg.Obj != nil {
		return
	}
	name := pkg.Name + "." + sel.Sel.Name
	switch {
	case f.dir != "." && !f.test && !strings.HasSuffix(f.dir, "/cmd") && (name == "os.Exit" || strings.HasPrefix(name, "log.Fatal")):
		t.Errorf("%s: %s outside main", f.name, name)
	case f.test && name == "time.Sleep" && !sleepsInSynctest(f):
		t.Errorf("%s: a test sleeps; use testing/synctest, a channel or a condition with a deadline", f.name)
	}
}

// sleepsInSynctest tells whether the file uses the virtual clock, where sleeping costs nothing and is exact.
func sleepsInSynctest(f sourceFile) bool { return slices.Contains(imports(f), "testing/synctest") }

var wordStart = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

func words(identifier string) []string { return wordStart.FindAllString(identifier, -1) }
