package ui

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"evenkeel/appliance"
	"evenkeel/ui/signin"
	"evenkeel/ui/view"
)

// A fragment is the inside of one live element of a page: what it shows in short, and how to draw it.
type fragment struct {
	hash uint64
	draw func() string
}

// fragments are the live elements of a page by their data-live name.
type fragments map[string]fragment

func (f fragments) add(more fragments) { maps.Copy(f, more) }

func (f fragments) hashes() map[string]uint64 {
	out := make(map[string]uint64, len(f))
	for k, v := range f {
		out[k] = v.hash
	}
	return out
}

// drawn draws a component now.
func (u *UI) drawn(ctx context.Context, c templ.Component) fragment {
	text := u.markup(ctx, c)
	return fragment{maphash.String(u.live.seed, text), func() string { return text }}
}

// keyed draws a component only when what key stands for has changed.
func (u *UI) keyed(ctx context.Context, key string, c templ.Component) fragment {
	return fragment{maphash.String(u.live.seed, key), func() string { return u.markup(ctx, c) }}
}

func (u *UI) markup(ctx context.Context, c templ.Component) string {
	var b bytes.Buffer
	if err := c.Render(context.WithoutCancel(ctx), &b); err != nil { // whoever asked first may be gone when it is drawn
		u.Log.Error("fragment not drawn", "error", err)
	}
	return b.String()
}

const (
	mostStreams = 256
	mostOfOne   = 16 // streams of one session
	mostSeen    = 512
	seenLife    = time.Minute
	streamQuiet = 15 * time.Second // after so long without a change a comment shows that the line lives
	streamWrite = 10 * time.Second
)

// live wakes the open event streams and remembers what a page showed when it was drawn, so that its stream begins with the difference.
type live struct {
	seed  maphash.Seed
	ended chan struct{} // closed when the UI ends

	mu      sync.Mutex // guards what follows
	tick    chan struct{}
	streams int
	each    map[string]int // streams by session
	over    bool
	seen    map[string]seenPage
	shared  map[string]fragments // by topic and role, of this tick and not older than the page that was drawn last
	age     uint64               // counts how often shared was emptied
}

type seenPage struct {
	hashes map[string]uint64
	at     time.Time
}

func newLive() *live {
	return &live{seed: maphash.MakeSeed(), ended: make(chan struct{}), tick: make(chan struct{}), each: map[string]int{}, seen: map[string]seenPage{}, shared: map[string]fragments{}}
}

func (l *live) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.tick)
	l.tick = make(chan struct{})
	l.renew()
}

// renew forgets what was drawn, and what is being drawn now; mu is held.
func (l *live) renew() {
	clear(l.shared)
	l.age++
}

func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.over = true
		close(l.ended)
	}
}

func (l *live) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tick
}

// open takes a place for a stream of a session; close gives it back.
func (l *live) open(session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams >= mostStreams || l.each[session] >= mostOfOne || l.over {
		return false
	}
	l.streams++
	l.each[session]++
	return true
}

func (l *live) close(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams--
	if l.each[session]--; l.each[session] == 0 {
		delete(l.each, session)
	}
}

// address returns where the stream of a page is, which shows parts now. What was drawn for others before is older than that, and no stream begins with it.
func (l *live) address(topic url.Values, parts fragments) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for k, s := range l.seen {
		if now.Sub(s.at) > seenLife || len(l.seen) >= mostSeen {
			delete(l.seen, k)
		}
	}
	key := rand.Text()
	l.seen[key] = seenPage{parts.hashes(), now}
	l.renew()
	topic.Set("seen", key)
	return "/lbadmin/events?" + topic.Encode()
}

// take returns what the page showed, once; an empty map when that is not known any more: then everything is sent.
func (l *live) take(key string) map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.seen[key]
	delete(l.seen, key)
	if !ok {
		return map[string]uint64{}
	}
	return s.hashes
}

// once makes the fragments of a topic one time per tick, however many watch it, and again when a page was drawn meanwhile.
func (l *live) once(key string, draw func() fragments) fragments {
	l.mu.Lock()
	have, ok := l.shared[key]
	age := l.age
	l.mu.Unlock()
	if ok {
		return have
	}
	made := draw()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.age == age {
		l.shared[key] = made
	}
	return made
}

// frameParts are the live parts of every page.
func (p *page) frameParts(topic url.Values) fragments {
	running, saved := p.ui.Control.Running().Revision.Number, p.ui.Control.Saved().Revision.Number
	return fragments{
		"messages": p.ui.drawn(p.ctx(), view.StandingView(p.standing(topic))),
		"revision": p.ui.drawn(p.ctx(), view.Revisions(running, saved)),
		"pair":     p.ui.drawn(p.ctx(), view.PairMark(p.ui.pairChip())),
	}
}

// parts returns the live parts of the page that a stream belongs to.
func (p *page) parts(topic url.Values) fragments {
	all := fragments{}
	all.add(p.frameParts(topic))
	switch topic.Get("on") {
	case "overview":
		all.add(p.overviewParts(p.overview(readChoice(topic))))
	case "server":
		all.add(p.serverParts(topic.Get("service"), topic.Get("server")))
	case "layer7":
		all.add(p.partsOfLayer7(p.layer7(topic.Get("q"))))
	case "logs":
		all.add(p.liveLogs(topic))
	case "pair":
		all.add(p.pairParts())
	case "pairing":
		all.add(p.pairingParts(topic.Get("address")))
	case "heartbeat":
		all.add(p.heartbeatParts())
	case "floating":
		all.add(p.floatingParts())
	case "label":
		all.add(p.labelParts(topic.Get("label")))
	}
	return all
}

// fromElsewhere tells whether a page of another site asks; a browser that is too old to say so sends at least its origin.
func fromElsewhere(r *http.Request) bool {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	return origin != "" && !strings.EqualFold(origin, "https://"+r.Host) || site != "" && site != "same-origin" && site != "none"
}

// events is the one stream of a tab.
func events(p *page) error {
	u := p.ui
	if fromElsewhere(p.Request()) {
		return &appliance.Error{Kind: appliance.Denied, Message: "This request came from another site."}
	}
	session := cmp.Or(signin.SessionID(p.Request()), p.operator.Name)
	if !u.live.open(session) {
		return &appliance.Error{Kind: appliance.Unavailable, Message: "Too many pages are open at once."}
	}
	defer u.live.close(session)
	topic := p.QueryParams()
	seen := u.live.take(topic.Get("seen"))
	topic.Del("seen")
	h := p.Response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	p.Response().WriteHeader(http.StatusOK)
	out := stream{p: p, control: http.NewResponseController(p.Response())}
	if err := out.control.SetReadDeadline(time.Time{}); err != nil { // a stream outlives the time for a request
		return nil
	}
	if !out.send("clock", strconv.FormatInt(u.Now().UnixMilli(), 10)) {
		return nil
	}
	for {
		tick := u.live.next()
		var err error
		if p.operator, p.origin, err = u.Door.Glance(p.Request()); err != nil {
			out.send("ended", "")
			return nil
		}
		key := string(p.operator.Role) + "?" + topic.Encode()
		if !out.differences(u.live.once(key, func() fragments { return p.parts(topic) }), seen) {
			return nil
		}
		select {
		case <-tick:
		case <-p.ctx().Done():
			return nil
		case <-u.live.ended:
			return nil
		}
	}
}

// stream writes server-sent events.
type stream struct {
	p       *page
	control *http.ResponseController
	last    time.Time
}

// differences sends what is not as seen, and remembers it there. A whole that holds other parts goes first in the same message, and the parts with it count as seen.
func (s *stream) differences(now fragments, seen map[string]uint64) bool {
	changes := map[string]string{}
	whole, replaced := now[wholeOverview], false
	if whole.draw != nil && seen[wholeOverview] != whole.hash {
		replaced = true
	}
	for name, f := range now {
		if seen[name] == f.hash {
			continue
		}
		seen[name] = f.hash
		if name == wholeOverview || !replaced || !insideOverview(name) {
			changes[name] = f.draw()
		}
	}
	if len(changes) == 0 {
		if time.Since(s.last) > streamQuiet {
			return s.write(": still here\n\n")
		}
		return true
	}
	text, err := json.Marshal(changes)
	if err != nil {
		s.p.ui.Log.Error("event not written", "error", err)
		return false
	}
	return s.send("patch", string(text))
}

func (s *stream) send(event, text string) bool {
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", event, text))
}

func (s *stream) write(text string) bool {
	s.last = time.Now()
	if err := s.control.SetWriteDeadline(s.last.Add(streamWrite)); err != nil {
		return false
	}
	if _, err := s.p.Response().Write([]byte(text)); err != nil {
		return false
	}
	return s.control.Flush() == nil
}
