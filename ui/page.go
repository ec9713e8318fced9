package ui

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/signin"
	"evenkeel/ui/view"
)

// page is one request to a page, with who asks.
type page struct {
	echo.Context
	ui       *UI
	operator appliance.Operator
	origin   appliance.Origin
}

func (p *page) ctx() context.Context { return p.Request().Context() }

// lasting is the context of what must not stop halfway because the browser went away.
func (p *page) lasting() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(p.ctx()), 2*time.Minute)
}

// show renders into a buffer first, so that a page is whole or not there.
func (p *page) show(status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(p.ctx(), &b); err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "draw page", Err: err}
	}
	if status == http.StatusUnprocessableEntity && shared(p.Request().URL.Path) && p.ui.Control.Writable() != nil {
		status = http.StatusConflict // no other input would have been taken
	}
	return p.HTMLBlob(status, b.Bytes())
}

// see sends the browser on with a GET.
func (p *page) see(path string) error { return p.Redirect(http.StatusSeeOther, path) }

// done says what was done, on the page that comes next.
func (p *page) done(path, format string, args ...any) error {
	p.say("done", format, args...)
	return p.see(path)
}

func (p *page) say(kind, format string, args ...any) {
	p.ui.said.add(signin.SessionID(p.Request()), view.Message{Kind: kind, Text: sprintf(format, args...)})
}

// holds tells whether the person at the browser has the rights of a role.
func (p *page) holds(role appliance.Role) bool { return signin.Allows(p.operator.Role, role) }

// may tells whether that person may change what both nodes of a pair have in common, here: on the passive node nobody may.
func (p *page) may(role appliance.Role) bool { return p.holds(role) && p.ui.Control.Writable() == nil }

// back returns a path of ours that a form names, or the start page.
func back(path string) string {
	if !strings.HasPrefix(path, "/lbadmin/") || strings.ContainsAny(path, "\\\r\n\x00") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, "/lbadmin/sign-") || strings.HasPrefix(path, "/lbadmin/events") {
		return "/lbadmin/"
	}
	return path
}

// failed answers errors that no page shows at a field.
func (u *UI) failed(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := &page{Context: c, ui: u}
	var routing *echo.HTTPError
	var large *http.MaxBytesError
	status, title, text := 0, "", ""
	switch {
	case errors.As(err, &large):
		status, title, text = http.StatusRequestEntityTooLarge, "Too much", "This form sent more than a page takes."
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		status, title, text = routing.Code, "Not possible", "This page does not know that method."
	case errors.As(err, &routing) && routing.Code < 500:
		status, title, text = http.StatusNotFound, problem.Title(appliance.NotFound), "There is nothing at this address."
	default:
		kind := problem.KindOf(err)
		status, title = problem.FormStatus(kind), problem.Title(kind)
		text = problem.Of(err).Detail
		if kind == appliance.Internal {
			u.Log.Error("request failed", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		}
	}
	hint := ""
	if e := appliance.ErrorsOf(err)[0]; e.Kind != appliance.Internal {
		hint = e.Hint
	}
	if err := p.showFailure(status, title, text, hint); err != nil {
		u.Log.Debug("answer not delivered", "error", err)
	}
}

func (p *page) showFailure(status int, title, text, hint string) error {
	operator, origin, err := p.ui.Door.Glance(p.Request())
	if err != nil {
		e := p.entry(title)
		e.Error, e.Hint = text, hint
		return p.show(status, view.Refused(e))
	}
	p.operator, p.origin = operator, origin
	topic := url.Values{"on": {"frame"}}
	if status == http.StatusConflict {
		topic.Set("at", p.place())
	}
	f := p.liveFrame(title, "", topic, nil)
	f.Narrow = true
	return p.show(status, view.FailurePage(f, text, hint))
}

// said keeps what must be said on the next page of a session, for a short while.
type said struct {
	now func() time.Time

	mu       sync.Mutex // guards messages
	messages map[string]saying
}

type saying struct {
	list []view.Message
	at   time.Time
}

const (
	sayingLife  = 2 * time.Minute
	mostSayings = 1000
)

func newSaid(now func() time.Time) *said { return &said{now: now, messages: map[string]saying{}} }

func (s *said) add(session string, m view.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for k, old := range s.messages {
		if now.Sub(old.at) > sayingLife || len(s.messages) >= mostSayings {
			delete(s.messages, k)
		}
	}
	have := s.messages[session]
	s.messages[session] = saying{append(have.list, m), now}
}

func (s *said) take(session string) []view.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.messages[session]
	delete(s.messages, session)
	if s.now().Sub(have.at) > sayingLife {
		return nil
	}
	return have.list
}

// base is the hash of the object as the form read it; a form that does not say it is about no version at all.
func (p *page) base() string {
	if hash := p.FormValue("base"); hash != "" {
		return hash
	}
	return "none"
}
