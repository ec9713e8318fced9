package agent

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	said := func(percent int, a Admission, h Health, reason string) Word { return Word{percent, a, h, reason} }
	for line, want := range map[string]Word{
		"75%":                              said(75, "", "", ""),
		"0%":                               said(0, "", "", ""),
		"1000%":                            said(1000, "", "", ""),
		"up":                               said(Unsaid, "", Up, ""),
		"ready":                            said(Unsaid, Ready, "", ""),
		"drain":                            said(Unsaid, Drain, "", ""),
		"maint":                            said(Unsaid, Maint, "", ""),
		"down":                             said(Unsaid, "", Down, ""),
		"fail#disk full":                   said(Unsaid, "", Fail, "disk full"),
		"stopped # by hand ":               said(Unsaid, "", Stopped, "by hand"),
		"up,ready\t 75%":                   said(75, Ready, Up, ""),
		"UP Ready 50%":                     said(50, Ready, Up, ""),
		"ready maxconn:30":                 said(Unsaid, Ready, "", ""),
		"up down":                          said(Unsaid, "", Down, ""),
		"1001% ready":                      said(Unsaid, Ready, "", ""),
		"-5% ready":                        said(Unsaid, Ready, "", ""),
		"+5% 7.5% % 5 ready":               said(Unsaid, Ready, "", ""),
		"99999999999999999999% up":         said(Unsaid, "", Up, ""),
		"down#a\x1b[31mb\u202e\xff":        said(Unsaid, "", Down, "a?[31mb??"),
		"down#" + strings.Repeat("x", 200): said(Unsaid, "", Down, strings.Repeat("x", 80)+"…"),
		"down#up":                          said(Unsaid, "", Down, "up"),
	} {
		if got, err := Parse([]byte(line)); err != nil || got != want {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	for line, want := range map[string]error{
		"": errEmpty, " ,\t": errEmpty, "#drain": errEmpty, "hello": errUnknown, "HTTP/1.1 400 Bad Request": errUnknown, "drained": errUnknown, "75 %": errUnknown, "\x00": errUnknown,
		strings.Repeat("up ", 400): errLong,
	} {
		if got, err := Parse([]byte(line)); err != want || got != (Word{Percent: Unsaid}) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"75% up ready", "drain#why", "fail,stopped", "1000%", "#", "\xff%"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		w, err := Parse(line)
		if err != nil {
			if w != (Word{Percent: Unsaid}) {
				t.Fatalf("%+v with an error", w)
			}
			return
		}
		if w.Percent < Unsaid || w.Percent > MaxPercent || w.Percent == Unsaid && w.Admission == "" && w.Health == "" {
			t.Fatalf("%+v", w)
		}
		if !utf8.ValidString(w.Reason) || utf8.RuneCountInString(w.Reason) > maxReason+1 || strings.ContainsFunc(w.Reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("reason %q", w.Reason)
		}
		again, err := Parse([]byte(State{Word: w}.said()))
		if w.Reason = ""; err != nil || again != w {
			t.Fatalf("%+v is said as %q: %+v, %v", w, State{Word: w}.said(), again, err)
		}
	})
}
