package ui

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	logsPath    = "/lbadmin/logs/layer7"
	liveLines   = 100
	searchLines = 1000
)

// TrafficLog is what is kept of the traffic log. Lines come back as they were written, the oldest first.
type TrafficLog interface {
	// Last returns the newest lines of a service (by label; empty: of all) that contain a text; deep: from all that is kept, otherwise from the newest part.
	// whole tells whether all of that was looked at.
	Last(service, contains string, limit int, deep bool) (lines []string, whole bool, err error)
	// WriteTo writes every line that is kept and wanted.
	WriteTo(w io.Writer, service, contains string) error
}

// logChoice is what the page shows.
type logChoice struct {
	service, query string
	deep           bool
}

func readLogChoice(q url.Values) logChoice {
	c := logChoice{service: q.Get("service"), query: strings.TrimSpace(q.Get("q")), deep: q.Get("deep") == "1"}
	if len(c.query) > 200 {
		c.query = c.query[:200]
	}
	return c
}

func (c logChoice) values() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"service": c.service, "q": c.query} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if c.deep {
		q.Set("deep", "1")
	}
	return q
}

// logLabel returns the label of the service that is chosen, empty for all.
func (p *page) logLabel(c logChoice) (string, error) {
	if c.service == "" {
		return "", nil
	}
	s := runningService(p, c.service)
	if s == nil {
		return "", errNoService()
	}
	return s.Label, nil
}

// trafficLog shows the newest lines, and goes on as long as the page is open; a deep search stands still.
func trafficLog(p *page) error {
	c := readLogChoice(p.QueryParams())
	v, err := p.logView(c)
	if err != nil {
		return err
	}
	f := p.frame("Layer 7 log", logsPath)
	if !c.deep {
		topic := c.values()
		topic.Set("on", "logs")
		f = p.liveFrame("Layer 7 log", logsPath, topic, p.logParts(v))
	}
	return p.show(http.StatusOK, view.LogsPage(f, v))
}

func (p *page) logView(c logChoice) (view.Logs, error) {
	running := p.ui.Control.Running().Config
	v := view.Logs{Service: c.service, Query: c.query, Deep: c.deep, Kept: !running.Local.TrafficLog.NoFile && p.ui.Traffic != nil, Remote: running.Local.TrafficLog.Remote}
	for i := range running.Cluster.VirtualServices {
		s := &running.Cluster.VirtualServices[i]
		v.Services = append(v.Services, form.Option{Value: s.ID, Name: s.Label})
		if s.ID == c.service || c.service == "" {
			v.Modes = append(v.Modes, s.Log)
		}
	}
	label, err := p.logLabel(c)
	if err != nil || !v.Kept {
		return v, err
	}
	limit := liveLines
	if c.deep {
		limit = searchLines
	}
	lines, whole, err := p.ui.Traffic.Last(label, c.query, limit, c.deep)
	if err != nil {
		return v, err
	}
	v.Whole = whole
	for i := len(lines) - 1; i >= 0; i-- {
		v.Lines = append(v.Lines, view.ReadLogLine(lines[i]))
	}
	deeper := c
	deeper.deep = true
	v.DeepPath = logsPath + "?" + deeper.values().Encode()
	v.LivePath = logsPath
	live := c
	live.deep = false
	if q := live.values().Encode(); q != "" {
		v.LivePath += "?" + q
	}
	v.Download = logsPath + "/download?" + live.values().Encode()
	return v, nil
}

// logParts are the live elements of the page.
func (p *page) logParts(v view.Logs) fragments {
	return fragments{"log-lines": p.ui.drawn(p.ctx(), view.LogLines(v))}
}

func (p *page) liveLogs(topic url.Values) fragments {
	v, err := p.logView(readLogChoice(topic))
	if err != nil {
		return fragments{}
	}
	return p.logParts(v)
}

// downloadTrafficLog sends the lines as they were written.
func downloadTrafficLog(p *page) error {
	c := readLogChoice(p.QueryParams())
	label, err := p.logLabel(c)
	if err != nil {
		return err
	}
	if p.ui.Traffic == nil {
		return &appliance.Error{Kind: appliance.NotFound, Message: "There is no traffic log."}
	}
	h := p.Response().Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="evenkeel-traffic-`+p.ui.Now().UTC().Format(time.DateOnly)+`.log"`)
	p.Response().WriteHeader(http.StatusOK)
	if err := p.ui.Traffic.WriteTo(p.Response(), label, c.query); err != nil {
		p.ui.Log.Warn("traffic log not sent whole", "error", err)
		panic(http.ErrAbortHandler) // the browser must see that it is not whole
	}
	return nil
}

// runningService returns the running service with that id, or nil.
func runningService(p *page, id string) *appliance.VirtualService {
	running := p.ui.Control.Running().Config.Cluster
	return running.Service(id)
}
