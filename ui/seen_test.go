package ui

import (
	"html"
	"io"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// loggedLines is a traffic log that holds what the test says.
type loggedLines []string

func (l loggedLines) Last(service, contains string, limit int, _ bool) ([]string, bool, error) {
	var out []string
	for _, line := range l {
		if strings.Contains(line, " service="+service) && strings.Contains(line, contains) {
			out = append(out, line)
		}
	}
	return out[max(len(out)-limit, 0):], len(out) <= limit, nil
}

func (l loggedLines) WriteTo(w io.Writer, _, contains string) error {
	_, err := io.WriteString(w, strings.Join(l, "\n")+"\n")
	return err
}

// waves are statistics that look like days.
type waves struct{}

func (waves) Points(service, server string, period appliance.Period) ([]appliance.Point, bool, error) {
	if server == "none" {
		return nil, false, nil
	}
	var out []appliance.Point
	now := time.Now().UTC().Truncate(period.Step())
	n := int(period.Length() / period.Step())
	for i := range n {
		x := float64(i) / float64(n) * 12
		p := appliance.Point{At: now.Add(-time.Duration(n-i) * period.Step()), Connections: 100 + 60*math.Sin(x), Opened: 3 + math.Sin(2*x), BytesIn: 3e6 * (1.2 + math.Sin(x)), BytesOut: 2e5, P50: 8 * time.Millisecond, P99: time.Duration(30+20*math.Sin(5*x)) * time.Millisecond, Up: 1}
		if i > n/3 && i < n/3+n/20 {
			continue // it was off
		}
		if i > n/2 && i < n/2+n/40 {
			p.Up, p.Errors = 0, 2
		}
		out = append(out, p)
	}
	return out, true, nil
}

func someLines() loggedLines {
	return loggedLines{
		`2026-11-21T05:30:10.001Z id=00c0ffee00c0ffee-00000028 service=VNA_DICOM client=192.168.0.17:51000 server=VNA1 address=192.168.0.40:11112 connect=0.804 first=4.000 total=13512.500 in=524288000 out=5120 by=persistence end=done`,
		`2026-11-21T05:30:11.002Z id=00c0ffee00c0ffee-00000029 service=HL7 client=192.168.0.18:51000 server=Corepoint2 address=192.168.0.43:6667 connect=- first=- total=3.500 in=0 out=0 by=scheduler retries=1 end=connect_failed why="no server can serve the session"`,
		`2026-11-21T05:30:12.345Z id=00c0ffee00c0ffee-0000002a service=VNA_DICOM client=203.0.113.7:51000 server=VNA2 address=192.168.0.41:8080 method=GET host=example.org path="/<script>alert(1)</script> \" end=done" status=200 connect=1.204 first=12.000 total=13.500 in=312 out=5120 by=scheduler end=done`,
		`2026-11-21T05:30:13.345Z dropped=17 why="the log was not written in time"`,
	}
}

func TestLogLinesAreReadAndStayInert(t *testing.T) {
	l := view.ReadLogLine(someLines()[2])
	if l.Service != "VNA_DICOM" || l.Request != `GET example.org/<script>alert(1)</script> \" end=done` || l.End != "done" || l.Total != "13.5 ms" || !l.Good || l.Bytes != "312 B in, 5.0 KB out" || l.At.IsZero() {
		t.Errorf("%+v", l)
	}
	if l := view.ReadLogLine(someLines()[3]); l.Request != "17 lines were dropped" || l.Why != "the log was not written in time" {
		t.Errorf("%+v", l)
	}
	for _, odd := range []string{"", " ", "=", `x="`, `a="\`, "\x00=\xff"} {
		if l := view.ReadLogLine(odd); l.Raw != odd {
			t.Errorf("%q: %+v", odd, l)
		}
	}
	r := newRig(t, rigOptions{setUp: true, traffic: someLines()})
	r.fill()
	status, _, page := r.get(r.client, logsPath)
	if status != http.StatusOK || strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;alert(1)") || !strings.Contains(page, "data-events") {
		t.Errorf("%d", status)
	}
	if _, _, page := r.get(r.client, logsPath+"?service="+r.id("HL7")); !strings.Contains(page, ">connect failed<") || strings.Contains(page, "13.5 s") {
		t.Error("the filter by service")
	}
	if _, _, page := r.get(r.client, logsPath+"?"+url.Values{"q": {"nothing like it"}}.Encode()); !strings.Contains(page, "There is no such line.") {
		t.Error("the filter by text")
	}
	if status, _, _ := r.get(r.client, logsPath+"?service=none"); status != http.StatusNotFound {
		t.Errorf("an unknown service: %d", status)
	}
	status, header, text := r.get(r.client, logsPath+"/download?q=x")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") || header.Get("X-Content-Type-Options") != "nosniff" || text != strings.Join(someLines(), "\n")+"\n" {
		t.Errorf("%d %v", status, header)
	}
}

func TestGraphsHaveAnAlternativeInNumbersAndSayWhenThereIsNothing(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true, statistics: waves{}})
	r.fill()
	for _, period := range appliance.Periods() {
		status, _, page := r.get(r.client, graphsPath+"?service="+r.id("HL7")+"&period="+string(period))
		if status != http.StatusOK || strings.Count(page, "<figure") != 6 || strings.Count(page, "<desc ") != 6 || strings.Count(page, "<summary>Values") != 6 || !strings.Contains(page, "up 97.") {
			t.Errorf("%s: %d, %d figures", period, status, strings.Count(page, "<figure"))
		}
	}
	if status, _, _ := r.get(r.client, graphsPath+"?service=none"); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	if _, _, page := r.get(r.client, graphsPath+"?service="+r.id("HL7")+"&server="+r.id("VNA_DICOM", "VNA1")); !strings.Contains(page, "HL7, the last hour") {
		t.Error("a server of another service is not left out")
	}
	bare := newRig(t, rigOptions{setUp: true})
	if _, _, page := bare.get(bare.client, graphsPath); !strings.Contains(page, "No service runs yet.") {
		t.Error("nothing runs")
	}
	bare.fill()
	if _, _, page := bare.get(bare.client, graphsPath); !strings.Contains(page, "Nothing is kept of this service yet.") {
		t.Error("nothing is kept")
	}
}

func TestGraphLeavesGapsAndKeepsPeaks(t *testing.T) {
	from := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	var points []appliance.Point
	for i := range 360 {
		if i < 100 || i > 200 {
			points = append(points, appliance.Point{At: from.Add(time.Duration(i) * 10 * time.Second), Connections: float64(i % 7)})
		}
	}
	points[50].Connections = 90
	g := view.NewGraph("c", "Open connections", points, func(p appliance.Point) (float64, bool) { return p.Connections, true }, from, from.Add(time.Hour), 10*time.Second, 5, view.SayCount)
	if strings.Count(g.Line, "M") != 2 || strings.Count(g.Fill, "Z") != 2 || g.Peak != "90" || g.Now == "" || len(g.Rows) < 30 {
		t.Errorf("%d lines, peak %s, now %s, %d rows", strings.Count(g.Line, "M"), g.Peak, g.Now, len(g.Rows))
	}
	empty := view.NewGraph("c", "Open connections", nil, nil, from, from.Add(time.Hour), 10*time.Second, 5, view.SayCount)
	if empty.Line != "" || empty.Description != "Open connections: nothing is known of this time." {
		t.Errorf("%+v", empty)
	}
}

func TestPagesSayWhatAnAgentSays(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	service, server := r.id("HL7"), r.id("HL7", "Corepoint1")
	for _, c := range []struct {
		agent    appliance.AgentStatus
		overview string // the state's word, or the sentence
	}{
		{appliance.AgentStatus{Sentence: "The agent says drain (<b>backup</b>).", At: time.Now(), Percent: 100, State: appliance.Drain}, "Agent: drain"},
		{appliance.AgentStatus{Sentence: "The agent says maint.", At: time.Now(), Percent: 100, State: appliance.Halt}, "Agent: maint"},
		{appliance.AgentStatus{Sentence: "The agent says 75%.", At: time.Now(), Percent: 75}, "The agent says 75%."},
	} {
		r.engine.see(server, func(seen *appliance.ServerStatus) { seen.Agent = &c.agent })
		want := html.EscapeString(c.agent.Sentence)
		if _, _, body := r.get(r.client, serverPath(service, server)); !strings.Contains(body, want) || strings.Contains(body, "<b>backup") {
			t.Errorf("the page does not say %s", want)
		}
		if _, _, body := r.get(r.client, "/lbadmin/?open="+service); !strings.Contains(body, c.overview) || !strings.Contains(body, want) {
			t.Errorf("the overview does not say %s with %s", c.overview, want)
		}
	}
}

func TestAServersPageSaysWhereItsNameLeads(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	service, server := r.id("HL7"), r.id("HL7", "Corepoint1")
	if _, _, body := r.get(r.client, serverPath(service, server)); strings.Contains(body, "leads to") || !strings.Contains(body, "Corepoint1") {
		t.Error("an address leads to another one")
	}
	r.engine.see(server, func(seen *appliance.ServerStatus) { seen.Resolved = netip.MustParseAddr("fd00::7") })
	if _, _, body := r.get(r.client, serverPath(service, server)); !strings.Contains(body, "leads to fd00::7,") {
		t.Error("the page does not say where the name leads")
	}
}
