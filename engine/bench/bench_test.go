package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMediansAreOfInterleavedRounds(t *testing.T) {
	var order []string
	values := map[string][]float64{"a": {3, 100, 2}, "b": {6, 5, 4}}
	f := &field{options: Options{Rounds: 3}}
	w := work{name: "w", run: func(f *field, port int) (float64, error) {
		name := f.current.name
		order = append(order, name)
		v := values[name][0]
		values[name] = values[name][1:]
		return v, nil
	}}
	r, err := f.interleaved(w, []*contender{{name: "a"}, {name: "b"}}, []int{1, 1}, nil)
	if err != nil || r.medians[0] != 3 || r.medians[1] != 5 || strings.Join(order, "") != "ababab" {
		t.Errorf("%+v %v %v", r, order, err)
	}
	table := string(report(Options{Rounds: 3, Length: time.Second}, []row{r}))
	if !strings.Contains(table, "| w |  | 3 | – | 5 | 0.60 |") {
		t.Error(table)
	}
}

func TestHAProxyAcceptsItsConfiguration(t *testing.T) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
			t.Fatal("haproxy is missing")
		}
		t.Skip("haproxy is not installed")
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(haproxyConfig(7000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "-c", "-f", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
