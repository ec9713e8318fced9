// Package history keeps what became of services and real servers over time: when each went up or down, why, and what operators wanted of it. It looks at what is seen, when
// it is told that something changed and every few seconds, and appends a line for each change to a file of bounded size; so the history survives restarts, and nothing of
// it is in the way of traffic. A file that cannot be written costs history only.
package history

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"evenkeel/appliance"
)

// Options of a History; Path and Source are required.
type Options struct {
	Path   string                  // of the file; another of its name with .1 holds what is older
	Source func() appliance.Status // what is seen now
	// Watch returns what ticks when something was applied or done, and what ends that; nil: nothing does.
	Watch func() (changed <-chan struct{}, stop func())
	Log   *slog.Logger     // nil: silent
	Now   func() time.Time // nil: time.Now
	Size  int64            // bytes of each of the two files; 0: 2 MiB, about eight thousand changes
	// Alert is told of what stands in the way, and Clear when that is over; nil: nobody is.
	Alert func(appliance.Alert)
	Clear func(code string)
}

const (
	usualSize  = 2 << 20
	lookEvery  = 5 * time.Second
	usualLimit = 1000
	codeFile   = "health_history"
)

// History is safe for concurrent use. Run is called once.
type History struct {
	options Options
	log     *slog.Logger
	nudged  chan struct{}
	last    map[key]string    // state of each; Run's, nil until the file was read
	wanted  map[key]string    // by operators, likewise
	seen    map[key]time.Time // of its last change
	labels  map[string]string // of services

	mu    sync.Mutex // guards what follows
	file  file
	fault string // that was told
}

// key names a service (server empty) or a real server.
type key struct{ service, server string }

// New returns a history; the file is opened by Run.
func New(o Options) *History {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alert == nil {
		o.Alert = func(appliance.Alert) {}
	}
	if o.Clear == nil {
		o.Clear = func(string) {}
	}
	o.Size = cmp.Or(o.Size, usualSize)
	return &History{options: o, log: o.Log.With("component", "history"), nudged: make(chan struct{}, 1), labels: map[string]string{}, file: file{path: o.Path, size: o.Size}}
}

// Nudge tells that something changed. It never waits.
func (h *History) Nudge() {
	select {
	case h.nudged <- struct{}{}:
	default:
	}
}

// Run keeps the history until the context ends. It returns nil.
func (h *History) Run(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var changed <-chan struct{}
	if h.options.Watch != nil {
		ticks, stop := h.options.Watch()
		defer stop()
		changed = ticks
	}
	h.look()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-h.nudged:
		case <-changed:
		}
		h.look()
	}
}

// look writes what changed since the look before.
func (h *History) look() {
	h.mu.Lock()
	err := h.catchUp()
	if err == nil {
		err = h.file.append(h.news(h.options.Source()))
	}
	h.mu.Unlock()
	h.tell(err)
}

// catchUp learns from the file how everything was when it was written last, so that a restart is no news.
func (h *History) catchUp() error {
	if h.last != nil {
		return nil
	}
	last, wanted, seen := map[key]string{}, map[key]string{}, map[key]time.Time{}
	if err := h.file.each(func(e *appliance.HealthEvent) {
		k := key{e.ServiceID, e.ServerID}
		if e.ServerID != "" && appliance.State(e.State).Valid() {
			wanted[k] = e.State
		} else {
			last[k], seen[k] = e.State, e.At
		}
		if e.State == removed {
			delete(last, k)
		}
	}); err != nil {
		return err
	}
	h.last, h.wanted, h.seen = last, wanted, seen
	return nil
}

// news lists what is not as it was, in order of time. What is not known yet is no news.
func (h *History) news(now appliance.Status) []appliance.HealthEvent {
	var out []appliance.HealthEvent
	alive := map[key]bool{}
	for i := range now.Services {
		s := &now.Services[i]
		whole := key{s.ID, ""}
		alive[whole] = true
		h.labels[s.ID] = s.Label
		for k := range s.Servers {
			alive[key{s.ID, s.Servers[k].ID}] = true
			out = append(out, h.serverNews(s, &s.Servers[k], now.At)...)
		}
		if state := string(s.Health); s.Health != appliance.ServiceUnknown && h.last[whole] != state {
			h.last[whole] = state
			out = append(out, appliance.HealthEvent{At: now.At.UTC(), ServiceID: s.ID, Service: s.Label, State: state, Sentence: s.Sentence})
		}
	}
	out = append(out, h.farewells(now.At, alive)...)
	slices.SortStableFunc(out, func(a, b appliance.HealthEvent) int { return a.At.Compare(b.At) })
	return out
}

// removed is the state of a service that is no longer there.
const removed = "removed"

// farewells forgets who is gone: should it come again, that is news. Services are said to be gone.
func (h *History) farewells(now time.Time, alive map[key]bool) []appliance.HealthEvent {
	var out []appliance.HealthEvent
	for k := range h.last {
		if alive[k] {
			continue
		}
		if k.server == "" {
			out = append(out, appliance.HealthEvent{At: now.UTC(), ServiceID: k.service, Service: cmp.Or(h.labels[k.service], k.service), State: removed, Sentence: "The service is no longer there."})
			delete(h.labels, k.service)
		}
		delete(h.last, k)
		delete(h.seen, k)
	}
	for k := range h.wanted {
		if !alive[k] {
			delete(h.wanted, k)
		}
	}
	return out
}

// serverNews lists what the checks found since the last look, each with its own time, what its agent said, and what an operator did.
func (h *History) serverNews(s *appliance.ServiceStatus, r *appliance.ServerStatus, now time.Time) []appliance.HealthEvent {
	var out []appliance.HealthEvent
	k := key{s.ID, r.ID}
	add := func(at time.Time, state, sentence string) {
		out = append(out, appliance.HealthEvent{At: at.UTC(), ServiceID: s.ID, Service: s.Label, ServerID: r.ID, Server: r.Label, State: state, Sentence: sentence})
	}
	becomes := func(at time.Time, health appliance.Health, sentence string) {
		if health != appliance.Unknown && health != "" && h.last[k] != string(health) {
			h.last[k] = string(health)
			add(at, string(health), sentence)
		}
	}
	downByAgent := r.Agent != nil && r.Agent.Down
	for _, c := range r.Check.Changes {
		if !c.At.After(h.seen[k]) {
			continue
		}
		if h.seen[k] = c.At; !downByAgent {
			becomes(c.At, c.Health, c.Sentence)
		}
	}
	if downByAgent {
		becomes(now, appliance.Down, r.Agent.Sentence)
	} else {
		becomes(now, r.Check.Health, r.Check.Sentence) // its agent no longer says that it is down
	}
	wanted, sentence := r.State, wantedSentence(r.State)
	if r.Held() {
		wanted, sentence = r.Agent.State, r.Agent.Sentence
	}
	if was := cmp.Or(h.wanted[k], string(appliance.Online)); wanted != "" && string(wanted) != was {
		h.wanted[k] = string(wanted)
		add(now, string(wanted), sentence)
	}
	return out
}

func wantedSentence(s appliance.State) string {
	switch s {
	case appliance.Drain:
		return "Drained by an operator: no new clients."
	case appliance.Halt:
		return "Halted by an operator."
	}
	return "It takes new clients again."
}

func (h *History) tell(err error) {
	fault := ""
	if err != nil {
		fault = fmt.Sprintf("The history of health changes cannot be written: %v.", err)
	}
	h.mu.Lock()
	before := h.fault
	h.fault = fault
	h.mu.Unlock()
	switch {
	case fault == before:
	case fault == "":
		h.log.Info("history is written again")
		h.options.Clear(codeFile)
	default:
		h.log.Warn("history not written", "error", err)
		h.options.Alert(appliance.Alert{Code: codeFile, Severity: appliance.Warning, Sentence: fault + " Traffic goes on.", Hint: "Look at the free space of the data folder's disk."})
	}
}

// Changes lists the events that a query chooses. An error is of kind Unavailable.
func (h *History) Changes(q appliance.HealthQuery) (appliance.HealthList, error) {
	if q.Limit <= 0 {
		q.Limit = usualLimit
	}
	text := strings.ToLower(q.Text)
	var all []appliance.HealthEvent
	err := h.each(func(e *appliance.HealthEvent) {
		if q.Service != "" && e.ServiceID != q.Service || q.Server != "" && e.ServerID != q.Server || q.Whole && e.ServerID != "" || e.At.Before(q.Since) {
			return
		}
		if text == "" || strings.Contains(strings.ToLower(e.Service+"\x00"+e.Server+"\x00"+e.State+"\x00"+e.Sentence), text) {
			all = append(all, *e)
		}
	})
	slices.Reverse(all)
	from := min(max(q.Offset, 0), len(all))
	return appliance.HealthList{Events: all[from:min(from+q.Limit, len(all))], Total: len(all)}, err
}

// Outages lists the times in which no real server of a service served, as far as they lie behind from, the oldest first; service empty: those of all. An error is of
// kind Unavailable.
func (h *History) Outages(service string, from time.Time) ([]appliance.Outage, error) {
	var all []appliance.Outage
	open := map[string]int{} // place in all, by service
	err := h.each(func(e *appliance.HealthEvent) {
		if e.ServerID != "" || service != "" && e.ServiceID != service {
			return
		}
		serves := e.State == string(appliance.ServiceUp) || e.State == string(appliance.ServiceDegraded)
		switch at, isOpen := open[e.ServiceID]; {
		case (serves || e.State == removed) && isOpen:
			all[at].To, all[at].Lasted = e.At, e.At.Sub(all[at].From)
			delete(open, e.ServiceID)
		case !serves && !isOpen && e.State != removed:
			open[e.ServiceID] = len(all)
			all = append(all, appliance.Outage{ServiceID: e.ServiceID, Service: e.Service, From: e.At, State: e.State, Sentence: e.Sentence})
		}
	})
	now := h.options.Now()
	for _, at := range open {
		all[at].Lasted = now.Sub(all[at].From)
	}
	return slices.DeleteFunc(all, func(o appliance.Outage) bool { return !o.To.IsZero() && !o.To.After(from) }), err
}

func (h *History) each(see func(*appliance.HealthEvent)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.file.each(see); err != nil {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "read history", Message: "The history of health changes cannot be read.", Err: err}
	}
	return nil
}
