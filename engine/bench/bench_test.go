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
	values := map[string][]float64{oursName: {6, 5, 4}, haproxyName: {3, 100, 2}}
	a := &arena{options: Options{Rounds: 3}, contenders: map[string]*contender{oursName: {name: oursName}, haproxyName: {name: haproxyName}}}
	w := work{name: "w", goal: 0.5, who: []string{haproxyName, nginxName, oursName}, run: func(int) (float64, error) {
		name := a.current.name
		order = append(order, name)
		v := values[name][0]
		values[name] = values[name][1:]
		return v, nil
	}}
	r, err := a.interleaved(w)
	if err != nil || r.medians[haproxyName] != 3 || r.medians[oursName] != 5 || strings.Join(order, " ") != "HAProxy Evenkeel HAProxy Evenkeel HAProxy Evenkeel" {
		t.Errorf("%+v %v %v", r, order, err)
	}
	table := string(report(Options{Rounds: 3, Length: time.Second}, "v", []row{r}))
	if !strings.Contains(table, "| w |  | 3 ±1633 % | – | – | – | 5 ±20 % | – | 0.60 | ≥ 0.5 |") {
		t.Error(table)
	}
}

func TestQuantilesAreRightToThreePercent(t *testing.T) {
	h := &histogram{}
	for i := 1; i <= 10000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]float64{0.5: 5000, 0.99: 9900, 0.999: 9990} {
		if got := h.quantile(q); got < want*0.96 || got > want*1.01 {
			t.Errorf("%v: %v µs", q, got)
		}
	}
}

// TestPeersAcceptTheirConfiguration: a row of the table must not be lost to a mistake here.
func TestPeersAcceptTheirConfiguration(t *testing.T) {
	dir := t.TempDir()
	files, err := writeCertificates(dir)
	if err != nil {
		t.Fatal(err)
	}
	for program, c := range map[string]struct {
		file, text string
		args       []string
	}{
		"haproxy": {filepath.Join(dir, "haproxy.cfg"), haproxyConfig(7000, files, true), []string{"-c", "-f"}},
		"nginx":   {filepath.Join(dir, "nginx.conf"), nginxConfig(7200, files, dir), []string{"-t", "-c"}},
	} {
		t.Run(program, func(t *testing.T) {
			path, err := exec.LookPath(program)
			if err != nil {
				if os.Getenv("EVENKEEL_TEST_REQUIRE") == "all" {
					t.Fatal(program + " is missing")
				}
				t.Skip(program + " is not installed")
			}
			if err := os.WriteFile(c.file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(path, append(c.args, c.file)...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
