package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// columns of the table, in this order.
func columns() []string {
	return []string{haproxyName, threadsName, splicedName, noIFMAName, nginxName, reverseName, oursName, twoName}
}

// report is the table as Markdown.
func report(o Options, versions string, rows []row) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Measured\n\nWritten by `task bench`: medians of %d rounds of %v, contenders taking turns (forward, then backward), each on one core with one thread that forwards\n", o.Rounds, o.Length)
	fmt.Fprintf(&b, "(but for the columns of two threads and two loops), generator and server in one process on the other core, loopback with reno in a network namespace, before other\nwork of the machine.\n")
	fmt.Fprintf(&b, "± is half of what the middle half of the rounds spans. HAProxy ÷ Evenkeel is the median of the ratios within each round, where one was measured directly behind the\n")
	fmt.Fprintf(&b, "other, so that what slows the whole machine for a while does not show; in brackets stands what the middle half of these ratios spans. It need not be the quotient of the medians.\n")
	fmt.Fprintf(&b, "The p99, W2 and W4 are of %d rounds of %v. A machine that shares its processors stops one for some milliseconds now and then, which decides the p99 of the whole round that it\n", shortRounds*o.Rounds, shortLength)
	fmt.Fprintf(&b, "falls into; most rounds that short are without. What spends most of its time in the kernel differs more from round to round, so that a ratio needs many of them. For the p99 requests\n")
	fmt.Fprintf(&b, "are due at a fixed rate, and whoever stalls is charged for those that fell due meanwhile. On each processor a thread that goes before everything else wakes every %v\n", watchPeriod)
	fmt.Fprintf(&b, "meanwhile: where it was late by %v or more, so that the machine and no contender stood still, the round is measured again, at most %d times; below the table stands how often.\n", stoodStill, calmTries-1)
	fmt.Fprintf(&b, "Memory is resident growth over %d idle connections, one round.\n\n%s\n\n", o.Idle, versions)
	fmt.Fprintf(&b, "| work | unit | %s | HAProxy ÷ Evenkeel | goal |\n|---|---|%s---|---|\n", strings.Join(columns(), " | "), strings.Repeat("---|", len(columns())))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s |", r.name, r.unit)
		for _, c := range columns() {
			b.WriteString(" " + r.cell(c) + " |")
		}
		goal := "–"
		if r.goal > 0 {
			goal = fmt.Sprintf("≥ %g", r.goal)
		}
		fmt.Fprintf(&b, " %s | %s |\n", r.quotient(), goal)
	}
	for _, r := range rows {
		if note := r.notes(); note != "" {
			b.WriteString("\n" + note)
		}
	}
	return b.Bytes()
}

func (r row) cell(contender string) string {
	v, ok := r.figures[contender]
	if !ok {
		return "–"
	}
	if r.once {
		return fmt.Sprintf("%.4g", v.median)
	}
	return fmt.Sprintf("%.4g ±%.0f %%", v.median, v.spread())
}

// versions says on what and against what was measured.
func (f *arena) versions() string {
	var name unix.Utsname
	_ = unix.Uname(&name)
	list := []string{
		fmt.Sprintf("Linux %s, %s, %d processors, %s", unix.ByteSliceToString(name.Release[:]), processor(), runtime.NumCPU(), runtime.Version()),
		version(f.options.HAProxy, "-v"),
	}
	if f.contenders[nginxName] != nil {
		list = append(list, version(f.options.Nginx, "-v"))
	}
	return strings.Join(list, "; ") + "."
}

var modelName = regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`)

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	if m := modelName.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return runtime.GOARCH
}

var numbered = regexp.MustCompile(`(?i)(haproxy|nginx)[ /](?:version )?([0-9][0-9.]*)`)

func version(program, flag string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, flag).CombinedOutput()
	if m := numbered.FindSubmatch(out); m != nil {
		return string(m[1]) + " " + string(m[2])
	}
	return program
}
