package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// turns measures with made-up values, by contender and round, and returns the row and who was measured, in order.
func turns(t *testing.T, w work, values map[string][]float64) (row, string) {
	t.Helper()
	var order []string
	a := &arena{options: Options{Rounds: 3}, contenders: map[string]*contender{}}
	for name := range values {
		a.contenders[name] = &contender{name: name}
	}
	w.run = func(int) (float64, error) {
		name := a.current.name
		order = append(order, name)
		v := values[name][0]
		values[name] = values[name][1:]
		return v, nil
	}
	r, err := a.interleaved(w)
	if err != nil {
		t.Fatal(err)
	}
	return r, strings.Join(order, " ")
}

func TestContendersTakeTurnsForwardAndBackward(t *testing.T) {
	values := map[string][]float64{oursName: {1, 1, 1}, haproxyName: {1, 1, 1}, reverseName: {1, 1, 1}}
	_, order := turns(t, work{who: []string{haproxyName, oursName, nginxName, reverseName}}, values)
	if order != "HAProxy Evenkeel Go ReverseProxy Go ReverseProxy Evenkeel HAProxy HAProxy Evenkeel Go ReverseProxy" {
		t.Error(order)
	}
}

// TestRatioIsOfPairsOfRounds: the quotient of the medians is 1, and that of sorted values has the median 1.33.
func TestRatioIsOfPairsOfRounds(t *testing.T) {
	w := work{name: "w", goal: 0.5, who: []string{haproxyName, oursName}}
	r, _ := turns(t, w, map[string][]float64{haproxyName: {4, 12, 6}, oursName: {8, 6, 3}})
	table := string(report(Options{Rounds: 3, Length: time.Second}, "v", []row{r}))
	if !strings.Contains(table, "| w |  | 6 ±67 % | – | – | – | – | – | 6 ±42 % | – | 2.00 (0.50 to 2.00) | ≥ 0.5 |") {
		t.Error(table)
	}
}

func TestRatioNeedsBoth(t *testing.T) {
	once := newRow(work{name: "w", once: true}, map[string][]float64{haproxyName: {3}, oursName: {2}})
	alone := newRow(work{name: "w", once: true}, map[string][]float64{oursName: {2}})
	if once.quotient() != "1.50" || alone.quotient() != "–" {
		t.Errorf("%q %q", once.quotient(), alone.quotient())
	}
}

func TestNotesSayWhatTwoProcessorsCostAndWhatWasMeasuredAgain(t *testing.T) {
	w := work{name: "w", who: []string{haproxyName, oursName, twoName}, beside: [][2]string{{twoName, oursName}}}
	r := newRow(w, map[string][]float64{haproxyName: {1, 1, 1}, oursName: {2, 4, 5}, twoName: {3, 4, 15}})
	r.again = map[string]int{oursName: 7}
	if got, want := r.notes(), "w: Evenkeel, two loops ÷ Evenkeel 1.50 (1.00 to 3.00); Evenkeel 7 rounds measured again.\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if got := newRow(work{name: "w"}, nil).notes(); got != "" {
		t.Errorf("%q", got)
	}
}

func TestMiddleIsOfQuartiles(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   middle
	}{
		{[]float64{7}, middle{7, 7, 7}},
		{[]float64{4, 2}, middle{2, 3, 4}},
		{[]float64{9, 1, 8, 2, 7, 3, 6, 4, 5}, middle{3, 5, 7}},
	} {
		if got := middleOf(c.values); got != c.want {
			t.Errorf("%v: %v", c.values, got)
		}
	}
}

// TestComparedStandTogether: a work whose two main contenders were not measured directly behind each other has a ratio that says less.
func TestComparedStandTogether(t *testing.T) {
	for _, w := range (&arena{}).works() {
		i := slices.Index(w.who, haproxyName)
		if i < 0 && w.goal == 0 {
			continue // there is nothing to compare with
		}
		if i < 0 || i+1 == len(w.who) || w.who[i+1] != oursName {
			t.Errorf("%s: %v", w.name, w.who)
		}
	}
}

func TestShortWorksHaveManyRounds(t *testing.T) {
	o := Options{}
	o.defaults()
	p := o.pace(work{short: true})
	if p.rounds != 72 || p.length != 125*time.Millisecond || o.pace(work{}).rounds != 9 || o.pace(work{once: true}).rounds != 1 {
		t.Error(p, o.pace(work{}))
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
		"haproxy": {filepath.Join(dir, "haproxy.cfg"), haproxyConfig(7000, 2, files, true), []string{"-c", "-f"}},
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
