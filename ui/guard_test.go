package ui

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestHostMustBeOurs(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	_, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "test"}, nil, func(c *appliance.Config) error {
		c.Local.Names = []string{"pacs-lb.example.org"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.control.Apply(t.Context(), appliance.Origin{Operator: "test"}); err != nil {
		t.Fatal(err)
	}
	port := r.base[strings.LastIndexByte(r.base, ':'):]
	for host, want := range map[string]int{
		"127.0.0.1" + port: 200, "127.0.0.1": 200, "localhost" + port: 200, "lb1" + port: 200, "LB1": 200, "pacs-lb.example.org" + port: 200, "pacs-lb.example.org.": 200,
		"evil.example" + port: 421, "127.0.0.2" + port: 421, "192.0.2.1": 421, "lb1.evil.example": 421, "[::1]" + port: 421, "": 421, "127.0.0.1.nip.io": 421,
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/lbadmin/sign-in", nil)
		req.Host = host
		if host == "" {
			req.Host = "."
		}
		if status, _, _ := r.do(r.browser(), req); status != want {
			t.Errorf("Host %q: %d, want %d", host, status, want)
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	path := serverPath(r.id("HL7"), r.id("HL7", "Corepoint1")) + "/drain"
	cases := map[string]struct {
		headers map[string]string
		want    int
	}{
		"another site":              {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		"the same site":             {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://other.127.0.0.1"}, 403},
		"an old browser elsewhere":  {map[string]string{"Origin": "https://evil.example"}, 403},
		"a null origin":             {map[string]string{"Origin": "null"}, 403},
		"a null origin, same":       {map[string]string{"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 403},
		"plain HTTP of our name":    {map[string]string{"Origin": strings.Replace(r.base, "https", "http", 1)}, 403},
		"plain HTTP, called same":   {map[string]string{"Origin": strings.Replace(r.base, "https", "http", 1), "Sec-Fetch-Site": "same-origin"}, 403},
		"another port":              {map[string]string{"Origin": "https://127.0.0.1:1"}, 403},
		"not a form":                {map[string]string{"Origin": r.base, "Content-Type": "text/plain"}, 422},
		"JSON":                      {map[string]string{"Origin": r.base, "Content-Type": "application/json"}, 422},
		"our own":                   {map[string]string{"Origin": r.base, "Sec-Fetch-Site": "same-origin"}, 303},
		"our own, an old browser":   {map[string]string{"Origin": r.base}, 303},
		"another method by a trick": {map[string]string{"Origin": "https://evil.example", "X-HTTP-Method-Override": "GET"}, 403},
	}
	for name, c := range cases {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+path, strings.NewReader("x=y"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range c.headers {
			req.Header.Set(k, v)
		}
		before := r.control.Running().Revision.Number
		if status, _, _ := r.do(r.client, req); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
		if c.want == 403 && r.control.Running().Revision.Number != before {
			t.Errorf("%s changed something", name)
		}
	}
	for _, route := range routes() { // what changes something is never a GET
		if route.method == http.MethodPost && route.access != anyone {
			if status, _, _ := r.get(r.client, r.concrete(route.path)); status == http.StatusSeeOther {
				t.Errorf("GET %s acts", route.path)
			}
		}
	}
}

func TestPathsHaveOneReading(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	stranger := r.browser()
	for _, path := range []string{
		"/lbadmin/%2e%2e/lbadmin/layer7", "/lbadmin/sign-in/../layer7", "/lbadmin/sign-in/..;/layer7", "/lbadmin//layer7", "/lbadmin/layer7%2f", "/lbadmin/%6cayer7", "/lbadmin/static/..%2f..%2flayer7",
		"/lbadmin/static/%5c..%5clayer7", "/lbadmin/layer7%00", "/lbadmin/./layer7", "/lbadmin/layer7;x=y", "/lbadmin/static/", "/lbadmin/static/static.go", "/debug/pprof/", "/lbadmin/unknown", "/lbadmin/layer7/%69d" + r.id("VNA_DICOM")[2:],
	} {
		for _, c := range []*http.Client{stranger, r.client} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base, nil)
			req.URL = &url.URL{Scheme: "https", Host: req.URL.Host, Opaque: path}
			if status, _, body := r.do(c, req); status != http.StatusNotFound || strings.Contains(body, "VNA_DICOM") {
				t.Errorf("%s: %d", path, status)
			}
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/lbadmin/sign-in", nil)
	for _, h := range []string{"X-Original-URL", "X-Rewrite-URL"} {
		req.Header.Set(h, "/lbadmin/layer7")
	}
	req.Header.Set("X-Forwarded-For", "127.0.0.1")
	if _, _, body := r.do(stranger, req); strings.Contains(body, "VNA_DICOM") {
		t.Error("a header chooses the page")
	}
}

func TestHeadersOfPagesAndFiles(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	for _, path := range []string{"/lbadmin/", "/lbadmin/sign-in", "/lbadmin/configuration/download", "/lbadmin/nothing"} {
		_, h, _ := r.get(r.client, path)
		if h.Get("Cache-Control") != "no-store" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, name := range []string{"app.css", "app.js", "icon.svg"} {
		status, h, body := r.get(r.browser(), r.ui.assets.Address(name))
		if status != http.StatusOK || !strings.Contains(h.Get("Cache-Control"), "immutable") || body == "" {
			t.Errorf("%s: %d %v", name, status, h)
		}
	}
}

func TestALinkFromElsewhereKeepsTheSession(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/lbadmin/layer7", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	if status, h, _ := r.do(r.browser(), req); status != http.StatusOK || h.Get("Refresh") != "0" {
		t.Errorf("%d %q", status, h.Get("Refresh"))
	}
}

// stream opens the event stream at path and returns its lines.
func (r *rig) stream(c *http.Client, path string) (<-chan string, context.CancelFunc) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		r.t.Fatalf("stream: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer resp.Body.Close()
		in := bufio.NewScanner(resp.Body)
		in.Buffer(nil, 4<<20)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	return lines, cancel
}

// await returns the first line that holds text.
func await(t *testing.T, lines <-chan string, text string) string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case line, open := <-lines:
			if !open {
				t.Fatalf("the stream ended before %q", text)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-deadline:
			t.Fatalf("nothing with %q came", text)
		}
	}
}

func TestEventStreamSendsWhatChangedAndEndsWithTheSession(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/lbadmin/events?on=overview", nil)
	req.Header.Set("Accept", "text/event-stream")
	if status, _, _ := r.do(r.browser(), req); status != http.StatusUnauthorized {
		t.Errorf("without a session: %d", status)
	}
	_, _, page := r.get(r.client, "/lbadmin/")
	address := strings.ReplaceAll(page[strings.Index(page, `data-events="`)+13:], "&amp;", "&")
	address = address[:strings.IndexByte(address, '"')]
	lines, cancel := r.stream(r.client, address)
	defer cancel()
	await(t, lines, "event: clock")
	r.engine.see(r.id("HL7", "Corepoint2"), func(s *appliance.ServerStatus) {
		s.Connections, s.Check.Health, s.Check.Sentence = 7, appliance.Down, "Connection <b>refused</b>."
	})
	line := await(t, lines, "rs-"+r.id("HL7", "Corepoint2")+"-note")
	if !strings.Contains(line, "refused") || strings.Contains(line, "<b>") || strings.Contains(line, "rs-"+r.id("HL7", "Corepoint1")) || strings.Contains(line, `"overview"`) {
		t.Errorf("sent %s", line)
	}
	if _, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "anna"}, nil, func(c *appliance.Config) error {
		c.Cluster.VirtualServices[0].Label = "Renamed"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	await(t, lines, "not running yet")
	if status, _, _ := r.post(r.client, "/lbadmin/sign-out"); status != http.StatusSeeOther {
		t.Fatal("no sign-out")
	}
	await(t, lines, "event: ended")
	if line, open := <-lines; open && line != "data: " {
		t.Errorf("after the end: %q", line)
	}
}

func TestStrangersSendLittle(t *testing.T) {
	fresh := newRig(t, rigOptions{})
	settled := newRig(t, rigOptions{setUp: true})
	for _, c := range []struct {
		r          *rig
		path, name string
		size, want int
		says       string
	}{
		{settled, "/lbadmin/sign-in", "password", 1 << 20, 413, "This form sent more than a page takes."},
		{settled, "/lbadmin/sign-in", "password", 5000, 422, "A password has at most 4096 bytes."},
		{fresh, "/lbadmin/setup", "new", 1 << 20, 413, "This form sent more than a page takes."},
		{fresh, "/lbadmin/setup", "new", 5000, 422, "A password has at most 4096 bytes."},
	} {
		long := strings.Repeat("x", c.size)
		status, _, body := c.r.post(c.r.browser(), c.path, "name", "loadbalancer", "code", c.r.code, c.name, long, "again", long)
		if status != c.want || !strings.Contains(body, c.says) {
			t.Errorf("%s with %d bytes: %d", c.path, c.size, status)
		}
	}
}

func TestEventStreamsOfOtherSitesAndOfManyTabsAreRefused(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	ask := func(c *http.Client, name, value string) int {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/lbadmin/events?on=overview", nil)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set(name, value)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, h := range [][2]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		if status := ask(r.client, h[0], h[1]); status != http.StatusForbidden {
			t.Errorf("%s: %d", h, status)
		}
	}
	busy := r.browser()
	r.signIn(busy, "loadbalancer")
	for range mostOfOne {
		_, cancel := r.stream(busy, "/lbadmin/events?on=overview")
		defer cancel()
	}
	if status := ask(busy, "Sec-Fetch-Site", "same-origin"); status != http.StatusServiceUnavailable {
		t.Errorf("one more of the same session: %d", status)
	}
	if status := ask(r.client, "Origin", r.base); status != http.StatusOK {
		t.Errorf("another session: %d", status)
	}
}
