package story

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// TestExplainTellsWhereAClientGoesBeforeItComes: to one of the servers that are possible, then back to the same one, and to the other when that one is halted. What was
// done stands among the health changes.
func TestExplainTellsWhereAClientGoesBeforeItComes(t *testing.T) {
	_, d := demo(t)
	c := d.client()
	c.allUp(t)
	explained := func() (x appliance.Explanation) {
		c.must(t, 200, "GET", "explain?client=127.0.0.1&listener="+url.QueryEscape(d.address(t, "HL7")), "").into(t, &x)
		return x
	}
	visited := func(id string) string {
		session, err := net.Dial("tcp", d.address(t, "HL7"))
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if err := hl7Exchange(session, id); err != nil {
			t.Fatal(err)
		}
		var open []appliance.Connection
		c.must(t, 200, "GET", "connections?service="+c.services(t)["HL7"].ID, "").into(t, &open)
		for _, o := range open {
			if o.Client.String() == session.LocalAddr().String() {
				return o.ServerID
			}
		}
		t.Fatalf("no connection of %s among %+v", session.LocalAddr(), open)
		return ""
	}
	before := explained()
	first := visited("EXPLAIN1")
	if before.Service != "HL7" || before.Reason != "scheduler" || !slices.Contains(before.Possible, first) {
		t.Errorf("%s serves, told was %+v", first, before)
	}
	again := explained()
	if second := visited("EXPLAIN2"); again.Reason != "persistence" || again.ServerID != first || second != first {
		t.Errorf("%s serves, told was %+v", second, again)
	}
	service := c.services(t)["HL7"]
	c.must(t, 200, "PUT", "virtual-services/"+service.ID+"/real-servers/"+first+"/state", `{"state":"halt"}`)
	moved := explained()
	if third := visited("EXPLAIN3"); moved.ServerID == first || third != moved.ServerID || !strings.Contains(fmt.Sprint(moved.Steps), "halted by an operator") {
		t.Errorf("%s serves, told was %+v", third, moved)
	}
	eventually(t, 10*time.Second, "the halt among the health changes", func() bool {
		var list []appliance.HealthEvent
		c.must(t, 200, "GET", "health-changes?server="+first, "").into(t, &list)
		return len(list) > 1 && list[0].State == "halt" && list[len(list)-1].State == "up"
	})
}

// TestThePagesShowWhatIsKeptOverTime: graphs, availability and the traffic log have something to show in the real program.
func TestThePagesShowWhatIsKeptOverTime(t *testing.T) {
	_, d := demo(t)
	d.client().allUp(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Jar: jar, Timeout: 2 * time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the demo's own certificate
	defer web.CloseIdleConnections()
	page := func(a *http.Response, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page(web.PostForm(d.WebUI+"sign-in", url.Values{"name": {d.User}, "password": {d.Password}}))
	if lines, err := web.Get(d.WebUI + "logs/layer7/download"); err != nil || lines.StatusCode != 200 {
		t.Errorf("the traffic log: %+v, %v", lines, err)
	} else {
		lines.Body.Close()
	}
	eventually(t, 60*time.Second, "points in the graphs", func() bool {
		return strings.Contains(page(web.Get(d.WebUI+"reports/graphs")), `id="graph-throughput"`)
	})
	if text := page(web.Get(d.WebUI + "reports/availability?period=hour")); !strings.Contains(text, "100 %") {
		t.Errorf("availability: %s", text)
	}
	if text := page(web.Get(d.WebUI + "reports/health-changes")); !strings.Contains(text, "C-ECHO answered") {
		t.Errorf("health changes: %s", text)
	}
}
