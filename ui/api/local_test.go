package api

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestLocalSettingsAreReplacedWholeAndRefusedAtTheirFields(t *testing.T) {
	p := newPlace(t)
	a := p.must(200, "GET", "/local", "")
	p.must(428, "PUT", "/local", `{"hostname":"lb1"}`)
	b := p.must(200, "PUT", "/local", `{"hostname":"lb1","traffic_log":{"remote":"192.168.0.9:514","transport":"udp"}}`, "If-Match", a.etag())
	if got := read[appliance.Local](t, b); got.Hostname != "lb1" || got.TrafficLog.Remote != "192.168.0.9:514" || got.TrafficLog.Transport != appliance.SyslogUDP {
		t.Errorf("%+v", got)
	}
	if got := p.api.Control.Saved().Config.Local; got.Hostname != "lb1" {
		t.Errorf("saved is %+v", got)
	}
	p.must(412, "PUT", "/local", `{}`, "If-Match", a.etag())
	if got := refused(t, p.must(422, "PUT", "/local", `{"hostname":"a b","traffic_log":{"remote":"nowhere"}}`, "If-Match", b.etag())); strings.Join(got, " ") != "traffic_log.remote hostname" {
		t.Errorf("refused at %v", got)
	}
	if plan := read[Planned](t, p.must(200, "PUT", "/local?dry_run=true", `{}`, "If-Match", b.etag())); plan.Unchanged || plan.Changes[0].Object != "local" {
		t.Errorf("%+v", plan)
	}
	if now := p.must(200, "GET", "/local", ""); now.etag() != b.etag() {
		t.Errorf("the dry run saved %s", now.body)
	}
}

// asked is a traffic log that keeps what it was asked for.
type asked struct {
	service string
	limit   int
	deep    bool
}

func (k *asked) Last(service, contains string, limit int, deep bool) ([]string, bool, error) {
	*k = asked{service, limit, deep}
	return []string{"a line with " + contains}, deep, nil
}

func TestLogsAreSearchedDeepUnlessTheNewestAreEnough(t *testing.T) {
	p := newPlace(t)
	log := &asked{}
	p.api.Traffic = log
	s := p.service(hl7)
	p.must(404, "GET", "/logs?service="+s.ID, "")
	p.must(200, "POST", "/apply", "")
	got := read[Lines](t, p.must(200, "GET", "/logs?service="+s.ID+"&contains=end%3Ddone&limit=7", ""))
	if !got.Whole || len(got.Lines) != 1 || got.Lines[0] != "a line with end=done" || *log != (asked{"HL7", 7, true}) {
		t.Errorf("%+v of %+v", got, log)
	}
	if got = read[Lines](t, p.must(200, "GET", "/logs?newest=true", "")); got.Whole || *log != (asked{"", 100, false}) {
		t.Errorf("%+v of %+v", got, log)
	}
	p.must(400, "GET", "/logs?newest=1", "")
	p.must(400, "GET", "/logs?limit=0", "")
}
