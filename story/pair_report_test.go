package story

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// faultRow is a fault's line in the report, as it is kept in HA.json.
type faultRow struct {
	Fault   string        `json:"fault"`
	Date    string        `json:"date"`
	Machine string        `json:"machine"`
	Seed    uint64        `json:"seed"`
	Trial   time.Duration `json:"trial"` // how long one took, at the mean
	Wrong   time.Duration `json:"wrong"` // the worst of all trials, as are the rest
	Changes int           `json:"changes"`
	Overlap time.Duration `json:"overlap"`
	Refused int           `json:"refused"`
	Bad     int           `json:"bad"`   // trials in which something did not hold
	Still   int           `json:"still"` // trials that do not count, because the machine stood still
	Gaps    spans         `json:"gaps"`

	since  time.Time
	calmed time.Duration // of all trials together
}

// spans are written as tenths of a millisecond.
type spans []time.Duration

const tenth = 100 * time.Microsecond

// MarshalJSON implements json.Marshaler.
func (s spans) MarshalJSON() ([]byte, error) {
	list := make([]int64, len(s))
	for i, d := range s {
		list[i] = int64(d.Round(tenth) / tenth)
	}
	return json.Marshal(list)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *spans) UnmarshalJSON(b []byte) error {
	var list []int64
	err := json.Unmarshal(b, &list)
	for _, n := range list {
		*s = append(*s, time.Duration(n)*tenth)
	}
	return err
}

func newRow(name string) faultRow {
	now := time.Now()
	return faultRow{Fault: name, Date: now.UTC().Format(time.DateOnly), Machine: fmt.Sprintf("%s, %d processors%s", kernel(), processors(), urgency()), Seed: seed(), since: now}
}

// urgency says whether everything of the laboratory was in front of everything else of its machine (chrt).
func urgency() string {
	if p, err := unix.SchedGetAttr(0, 0); err == nil && p.Policy != unix.SCHED_NORMAL {
		return ", the laboratory with real-time priority"
	}
	return ""
}

func (r *faultRow) add(t tally) {
	r.Gaps = append(r.Gaps, t.gap)
	r.Wrong, r.Changes, r.Overlap, r.Refused = max(r.Wrong, t.wrong), max(r.Changes, t.changes), max(r.Overlap, t.overlap), r.Refused+t.refused
	if t.bad != nil {
		r.Bad++
	}
	r.calmed += t.calmed
	r.Trial = (time.Since(r.since) / time.Duration(len(r.Gaps)+r.Still)).Round(10 * time.Millisecond)
}

// at is the time that a part of the trials did not exceed.
func (r faultRow) at(percent int) time.Duration {
	if len(r.Gaps) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(r.Gaps))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func (r faultRow) String() string {
	return fmt.Sprintf("%-36s %3d trials of %v (%v until all is well again), outage p50 %v p99 %v worst %v, changes <= %d, both %v, neighbours wrong %v, refused %d",
		r.Fault, len(r.Gaps), r.Trial, (r.calmed / time.Duration(max(1, len(r.Gaps)))).Round(10*time.Millisecond), short(r.at(50)), short(r.at(99)), short(r.at(100)), r.Changes, r.Overlap, short(r.Wrong), r.Refused)
}

func short(d time.Duration) time.Duration { return d.Round(tenth) }

// record tells a row, and in the whole laboratory puts it into the report beside those of other runs.
func record(t *testing.T, row faultRow) {
	t.Helper()
	t.Log(row)
	if !wholeLaboratory() || len(row.Gaps) == 0 {
		return
	}
	file, err := os.OpenFile("HA.json", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil { // other laboratories write into it, too
		t.Fatal(err)
	}
	var old []faultRow
	if err := json.NewDecoder(file).Decode(&old); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	rows := merged(old, row, rowNames())
	lines := make([]string, len(rows))
	for i, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines[i] = string(line)
	}
	for name, text := range map[string]string{"HA.json": "[\n" + strings.Join(lines, ",\n") + "\n]\n", "HA.md": report(rows, version(t, "keepalived", "--version"))} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// merged puts a row among others, in that order; what the laboratory does not have any more goes.
func merged(old []faultRow, row faultRow, order []string) (rows []faultRow) {
	for _, name := range order {
		if name == row.Fault {
			rows = append(rows, row)
			continue
		}
		if i := slices.IndexFunc(old, func(r faultRow) bool { return r.Fault == name }); i >= 0 {
			rows = append(rows, old[i])
		}
	}
	return rows
}

// report is story/HA.md.
func report(rows []faultRow, rival string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The pair in the laboratory

Written by `+"`task test:ha`"+`, from HA.json, where every trial's outage is; beside keepalived %s. The rows may be of several runs: each tells when and where it was measured, and its seed.
Client, switch, gateway and both nodes are network namespaces of one machine. The client makes a connection of its own, and a request, a thousand times a second; the outage is the
longest time between two that were answered with one in between that was not; rows before 2026-11-22 count the client's own pauses as well, of up to some tens of milliseconds. "Changes" and "two owners" are read from the frames that left the nodes; "neighbours" is for how long after a change frames of the client, of the gateway or of
a further host, which both knock at the address a hundred times a second, still went to the former owner. In rows with jitter it asks a hundred times a second, in those that last long (frozen for 20 s and longer, ten minutes of loss, a disk for 10 s) two hundred times.
Each figure is the worst of all trials but p50 and p99.
The seed, with the number of the trial, decides what the laboratory draws: at which moment between two heartbeats a fault comes, and everything random in the fault itself but loss, which the kernel draws.
For keepalived a defect is that both nodes had the address on their interface before the fault was healed; its web server is a program of its own, which goes on when keepalived dies.
A trial during which the machine itself stood still for more than %v, as seen by a thread of higher priority than the nodes' heartbeats, is not counted (but looked at for two owners).

| fault | trials | p50 ms | p99 ms | worst ms | changes | two owners ms | neighbours ms | refused | trials with a defect | trials not counted | seed | one trial | measured |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
`, rival, stoodStill)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %d | %s | %s | %d | %d | %d | %d | %.1f s | %s on %s |\n", r.Fault, len(r.Gaps), ms(r.at(50)), ms(r.at(99)), ms(r.at(100)), r.Changes, ms(r.Overlap), ms(r.Wrong),
			r.Refused, r.Bad, r.Still, r.Seed, r.Trial.Seconds(), r.Date, r.Machine)
	}
	return b.String()
}

func TestReportKeepsTheRowsOfOtherRuns(t *testing.T) {
	order := []string{"kill", "freeze", "link down"}
	var rows []faultRow
	for _, one := range []faultRow{{Fault: "link down", Seed: 1, Gaps: spans{200 * time.Millisecond}}, {Fault: "kill", Gaps: spans{213_449 * time.Microsecond}}, {Fault: "link down", Seed: 2}} {
		text, err := json.Marshal(merged(rows, one, order))
		if err == nil {
			rows = nil
			err = json.Unmarshal(text, &rows)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(rows) != 2 || rows[0].Fault != "kill" || rows[0].at(50) != 213_400*time.Microsecond || rows[1].Fault != "link down" || rows[1].Seed != 2 {
		t.Errorf("%+v", rows)
	}
	if left := merged(rows, faultRow{Fault: "freeze"}, order[1:]); len(left) != 2 || left[0].Fault != "freeze" || left[1].Fault != "link down" {
		t.Errorf("%+v", left)
	}
	if text := report(rows, "2"); !strings.Contains(text, "| kill | 1 | 213.4 |") {
		t.Error(text)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func kernel() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

func processors() int {
	var set unix.CPUSet
	_ = unix.SchedGetaffinity(0, &set)
	return set.Count()
}

// version is what a program says of itself, its first line.
func version(t *testing.T, program, flag string) string {
	t.Helper()
	_, out, said := command(t, "", program, flag)
	first, _, _ := strings.Cut(strings.TrimSpace(out+said), "\n")
	return strings.TrimPrefix(first, "Keepalived ")
}
