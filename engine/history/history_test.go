package history

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
)

// site is what a test lets a history see.
type site struct {
	mu     sync.Mutex // guards what follows, where a history runs
	now    time.Time
	status appliance.Status
}

func (s *site) see() appliance.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.status
	out.At = s.now
	out.Services = slices.Clone(s.status.Services)
	return out
}

func (s *site) open(path string) *History {
	return New(Options{Path: path, Source: s.see, Now: func() time.Time { return s.now }})
}

// newSite has a service with two servers of which nothing is known.
func newSite() *site {
	return &site{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), status: appliance.Status{Services: []appliance.ServiceStatus{{
		ID: "web", Label: "WEB", Health: appliance.ServiceUnknown, Servers: []appliance.ServerStatus{{ID: "a", Label: "A", State: appliance.Online}, {ID: "b", Label: "B", State: appliance.Online}},
	}}}}
}

// after lets time pass, and then has the service and a server change.
func (s *site) after(d time.Duration, health appliance.ServiceHealth, server int, h appliance.Health, sentence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
	w := &s.status.Services[0]
	w.Health, w.Sentence = health, sentence
	if server >= 0 {
		c := &w.Servers[server].Check
		c.Changes = append(c.Changes, appliance.HealthChange{At: s.now.Add(-time.Second), Health: h, Sentence: sentence})
	}
}

func told(t *testing.T, h *History, q appliance.HealthQuery) []string {
	t.Helper()
	list, err := h.Changes(q)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(list.Events))
	for i, e := range list.Events {
		out[i] = fmt.Sprintf("%s %s %s: %s", e.At.Format(time.TimeOnly), strings.TrimSpace(e.Service+" "+e.Server), e.State, e.Sentence)
	}
	return out
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestChangesAreKeptOnceEachAndSurviveARestart(t *testing.T) {
	s, path := newSite(), filepath.Join(t.TempDir(), "changes")
	h := s.open(path)
	h.look()
	want(t, "nothing is known", told(t, h, appliance.HealthQuery{}))
	s.after(time.Minute, appliance.ServiceUp, 0, appliance.Up, "It answers.")
	h.look()
	h.look()
	s.after(time.Minute, appliance.ServiceDegraded, 0, appliance.Down, "Connection refused.")
	s.status.Services[0].Servers[1].State = appliance.Drain
	h = s.open(path) // it began anew in between
	h.look()
	s.after(time.Minute, appliance.ServiceUnknown, -1, "", "")
	h.look()
	want(t, "everything", told(t, h, appliance.HealthQuery{}),
		"12:02:00 WEB degraded: Connection refused.", "12:02:00 WEB B drain: Drained by an operator: no new clients.", "12:01:59 WEB A down: Connection refused.", "12:01:00 WEB up: It answers.", "12:00:59 WEB A up: It answers.")
	want(t, "of a server", told(t, h, appliance.HealthQuery{Service: "web", Server: "a"}), "12:01:59 WEB A down: Connection refused.", "12:00:59 WEB A up: It answers.")
	want(t, "with a text", told(t, h, appliance.HealthQuery{Text: "REFUSED", Whole: true}), "12:02:00 WEB degraded: Connection refused.")
	want(t, "since", told(t, h, appliance.HealthQuery{Since: s.now.Add(-90 * time.Second), Offset: 1, Limit: 1}), "12:02:00 WEB B drain: Drained by an operator: no new clients.")
	list, _ := h.Changes(appliance.HealthQuery{Limit: 1})
	if list.Total != 5 || list.Events[0].ID != 5 {
		t.Errorf("%+v", list)
	}
	s.status.Services = nil
	h.look()
	want(t, "gone", told(t, h, appliance.HealthQuery{Limit: 1}), "12:03:00 WEB removed: The service is no longer there.")
}

func TestWhatAgentsSayIsNewsToo(t *testing.T) {
	s := newSite()
	h := s.open(filepath.Join(t.TempDir(), "changes"))
	a := &s.status.Services[0].Servers[0]
	s.after(time.Minute, appliance.ServiceUp, 0, appliance.Up, "It answers.")
	a.Check.Health, a.Check.Sentence = appliance.Up, "It answers."
	h.look()
	for _, says := range []*appliance.AgentStatus{
		{Sentence: "The agent says down.", Down: true}, {Sentence: "The agent says drain.", State: appliance.Drain}, {Sentence: "The agent says ready."}, nil,
	} {
		s.now = s.now.Add(time.Minute)
		a.Agent = says
		h.look()
		h.look()
	}
	want(t, "by agents", told(t, h, appliance.HealthQuery{Server: "a"}),
		"12:04:00 WEB A online: It takes new clients again.", "12:03:00 WEB A drain: The agent says drain.", "12:03:00 WEB A up: It answers.", "12:02:00 WEB A down: The agent says down.", "12:00:59 WEB A up: It answers.")
}

func TestOutagesBeginAndEndWithTheService(t *testing.T) {
	s := newSite()
	h := s.open(filepath.Join(t.TempDir(), "changes"))
	for _, step := range []appliance.ServiceHealth{appliance.ServiceUp, appliance.ServiceDown, appliance.ServiceFallback, appliance.ServiceDegraded, appliance.ServiceUp, appliance.ServiceDrained} {
		s.after(time.Minute, step, -1, "", "It is "+string(step)+".")
		h.look()
	}
	s.now = s.now.Add(10 * time.Second)
	list, err := h.Outages("web", s.now.Add(-time.Hour))
	if err != nil || len(list) != 2 || list[0].State != "down" || list[0].Lasted != 2*time.Minute || list[0].Sentence != "It is down." || list[1].State != "drained" || !list[1].To.IsZero() || list[1].Lasted != 10*time.Second {
		t.Fatalf("%+v, %v", list, err)
	}
	if late, _ := h.Outages("", s.now.Add(-time.Minute)); len(late) != 1 {
		t.Errorf("%+v", late)
	}
	a := appliance.AvailabilityOf(appliance.LastHour, slices.Repeat([]appliance.Point{{Up: 1}}, 60), list, s.now)
	if a.Known != 10*time.Minute || a.Down != 130*time.Second || a.Longest != 2*time.Minute || len(a.Outages) != 2 || a.Outages[0].State != "drained" || a.Percent < 78.3 || a.Percent > 78.4 {
		t.Errorf("%+v", a)
	}
	if a = appliance.AvailabilityOf(appliance.LastHour, []appliance.Point{{Up: -1}}, nil, s.now); a.Percent != -1 {
		t.Errorf("of what nothing is known: %+v", a)
	}
	s.status.Services = nil
	h.look()
	if list, _ = h.Outages("web", s.now.Add(-time.Hour)); len(list) != 2 || list[1].To.IsZero() {
		t.Errorf("a service that is gone is down for ever: %+v", list)
	}
}

func TestTheFilesAreBoundedAndDamageCostsOneLine(t *testing.T) {
	s, path := newSite(), filepath.Join(t.TempDir(), "changes")
	h := New(Options{Path: path, Source: s.see, Now: func() time.Time { return s.now }, Size: 4 << 10})
	for i := range 200 {
		s.after(time.Second, []appliance.ServiceHealth{appliance.ServiceUp, appliance.ServiceDown}[i%2], -1, "", strings.Repeat("x", i))
		h.look()
	}
	total := int64(0)
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	list, err := h.Changes(appliance.HealthQuery{})
	if total > 8<<10 || err != nil || list.Total < 10 || list.Events[0].ID != 200 {
		t.Errorf("%d bytes, %d events, %v", total, list.Total, err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("{\"id\":7}\nnonsense\n" + strings.Repeat("y", 40<<10) + "\n" + `{"id":300,"at":"2026-03-0`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	h = New(Options{Path: path, Source: s.see, Now: func() time.Time { return s.now }})
	s.after(time.Second, appliance.ServiceUp, -1, "", "It answers.")
	h.look()
	again, err := h.Changes(appliance.HealthQuery{})
	if err != nil || again.Total != list.Total+1 || again.Events[0].Sentence != "It answers." || again.Events[0].ID != 201 {
		t.Errorf("%+v, %v", again.Events[0], err)
	}
}

func TestAFileThatCannotBeWrittenIsAnAlertUntilItCan(t *testing.T) {
	s, path := newSite(), filepath.Join(t.TempDir(), "missing", "changes")
	var raised, cleared []string
	h := New(Options{Path: path, Source: s.see, Alert: func(a appliance.Alert) { raised = append(raised, a.Code) }, Clear: func(code string) { cleared = append(cleared, code) }})
	s.after(time.Second, appliance.ServiceUp, -1, "", "It answers.")
	h.look()
	h.look()
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s.after(time.Second, appliance.ServiceDown, -1, "", "It does not.")
	h.look()
	if !slices.Equal(raised, []string{"health_history"}) || !slices.Equal(cleared, raised) {
		t.Errorf("raised %v, cleared %v", raised, cleared)
	}
	want(t, "kept", told(t, h, appliance.HealthQuery{})[:1], "12:00:02 WEB down: It does not.")
}

func TestANudgeIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.now = time.Now()
		h := New(Options{Path: filepath.Join(t.TempDir(), "changes"), Source: s.see})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		s.after(0, appliance.ServiceUp, -1, "", "It answers.")
		h.Nudge()
		h.Nudge()
		synctest.Wait()
		if list, err := h.Changes(appliance.HealthQuery{}); err != nil || list.Total != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		s.after(0, appliance.ServiceDown, -1, "", "It does not.")
		time.Sleep(lookEvery + time.Millisecond)
		synctest.Wait()
		if list, err := h.Changes(appliance.HealthQuery{}); err != nil || list.Total != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"id\":1}\n\n{\"at\":\"2026-03-01T12:00:00Z\",\"virtual_service\":\"web\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got [][]byte
		if err := lines(bytes.NewReader(b), func(line []byte) { got = append(got, bytes.Clone(line)) }); err != nil {
			t.Fatal(err)
		}
		if len(b) < maxEvent && !bytes.Equal(bytes.Join(got, nil), b) {
			t.Fatalf("%q became %q", b, got)
		}
	})
}
