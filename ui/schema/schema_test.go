package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"evenkeel/appliance"
)

func TestDecodeRefusesWhatIsNotOneStrictValue(t *testing.T) {
	for name, body := range map[string]string{
		"empty":             ``,
		"spaces":            "  \n",
		"cut off":           `{"label":"A"`,
		"junk behind":       `{"label":"A"} x`,
		"second value":      `{"label":"A"}{"label":"B"}`,
		"repeated field":    `{"label":"A","label":"B"}`,
		"repeated below":    `{"label":"A","check":{"rise":1,"rise":2}}`,
		"repeated in list":  `{"real_servers":[{"label":"a","label":"b"}]}`,
		"repeated escaped":  `{"label":"A","l\u0061bel":"B"}`,
		"bare words":        `{label:"A"}`,
		"single quotes":     `{'label':'A'}`,
		"trailing comma":    `{"label":"A",}`,
		"comment":           `{"label":"A"/* */}`,
		"not a number":      `{"layer":NaN}`,
		"leading zero":      `{"layer":07}`,
		"broken UTF-8":      "{\"label\":\"\xff\"}",
		"lone surrogate":    `{"label":"\ud800"}`,
		"byte order mark":   "\ufeff{}",
		"deep":              strings.Repeat(`{"check":`, 40) + `1` + strings.Repeat(`}`, 40),
		"unclosed deep":     strings.Repeat(`[`, 100_000),
		"control character": "{\"label\":\"a\nb\"}",
	} {
		t.Run(name, func(t *testing.T) {
			s := appliance.VirtualService{Label: "before"}
			err := Decode([]byte(body), &s)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("got %v, want a syntax error", err)
			}
			if s.Label != "before" {
				t.Error("the value was touched")
			}
		})
	}
}

func TestDecodeNamesEveryWrongField(t *testing.T) {
	body := `{"Label":"A","label":5,"address":"192.168.0.300","ports":"80-70","layer":"7","persistence":7,"check":{"kind":1,"interval":"soon","port":70000,
	  "http":{"verify":"yes","nonsense":1}},"real_servers":[{"label":"a"},{"weight":1.5,"id ":1},null,7],"limits":null,"nonsense":{}}`
	err := Decode([]byte(body), new(appliance.VirtualService))
	var got []string
	for _, e := range appliance.ErrorsOf(err) {
		if e.Kind != appliance.Invalid || e.Message == "" {
			t.Errorf("%s: %+v", e.Field, e)
		}
		got = append(got, e.Field)
	}
	want := []string{
		"label", "address", "ports", "layer", "check.kind", "check.port", "check.interval", "check.http.verify", "check.http.nonsense",
		"real_servers[1].weight", "real_servers[1].id ", "real_servers[2]", "real_servers[3]", "persistence", "limits", "Label", "nonsense",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDecodeReadsWhatTheApplianceWrites(t *testing.T) {
	s := appliance.NewService(appliance.HTTP)
	s.ID, s.Label = "abc", "WEB"
	s.Normalize()
	s.Ports = appliance.Ports{{First: 80, Last: 90}, {First: 443, Last: 443}}
	s.Monitor.HTTP = appliance.HTTPProbe{Path: "/healthz", Verify: true}
	s.RealServers = []appliance.RealServer{{ID: "x", Label: "a", Address: "192.168.0.40", Port: 8080, Weight: 0, State: appliance.Drain}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back appliance.VirtualService
	if err := Decode(text, &back); err != nil {
		t.Fatal(err)
	}
	if appliance.Hash(back) != appliance.Hash(s) {
		t.Errorf("%s came back as %+v", text, back)
	}
}

func TestDecodeReadsTheShortForms(t *testing.T) {
	var s appliance.VirtualService
	err := Decode([]byte(`{"label":"A","address":"10.0.0.1","ports":[80,"443"],"persistence":"source_ip","check":"dicom_echo","limits":{"client_timeout":5000}}`), &s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Ports.String() != "80,443" || s.Persistence.Kind != appliance.PersistSourceIP || s.Monitor.Kind != appliance.MonitorDICOM || s.Limits.ClientTimeout.String() != "5s" {
		t.Errorf("%+v", s)
	}
	if s.Persistence.TableSize != 10240 || s.Monitor.Rise != 2 {
		t.Error("defaults are lost")
	}
}

func TestNetworksAreReadFromAddressesToo(t *testing.T) {
	var s appliance.VirtualService
	if err := Decode([]byte(`{"persistence":{"kind":"x_forwarded_for","trusted_proxies":["192.168.0.10","10.1.2.3/16","fd00::1"]},"proxy_protocol":{"trusted":["::ffff:10.0.0.1","::ffff:10.2.3.4/112"]}}`), &s); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.Persistence.TrustedProxies, s.ProxyProtocol.Trusted); got != "[192.168.0.10/32 10.1.0.0/16 fd00::1/128] [10.0.0.1/32 10.2.0.0/16]" {
		t.Error(got)
	}
	for _, bad := range []string{`["192.168.0.300"]`, `["fe80::1%eth0"]`, `"10.0.0.0/8"`, `[5]`, `[null]`, `["10.0.0.0/33"]`, `["::ffff:0.0.0.0/90"]`} {
		err := Decode([]byte(`{"proxy_protocol":{"trusted":`+bad+`}}`), &s)
		if list := appliance.ErrorsOf(err); len(list) != 1 || list[0].Field != "proxy_protocol.trusted" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestMergeFollowsRFC7396 runs the table of appendix A on untyped values.
func TestMergeFollowsRFC7396(t *testing.T) {
	for _, c := range []struct{ original, patch, result string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		original, err1 := parse([]byte(c.original))
		patch, err2 := parse([]byte(c.patch))
		text, err3 := json.Marshal(merge(original, patch))
		if err := errors.Join(err1, err2, err3); err != nil || string(text) != c.result {
			t.Errorf("%s + %s = %s, want %s (%v)", c.original, c.patch, text, c.result, err)
		}
	}
}

func TestMergeChangesOnlyWhatIsSent(t *testing.T) {
	now := appliance.NewService(appliance.TCP)
	now.Label, now.Monitor.Rise, now.Persistence.TableSize, now.Ports = "HL7", 7, 99, appliance.Ports{{First: 6667, Last: 6667}}
	now.Normalize()
	var out appliance.VirtualService
	if err := Merge(now, []byte(`{"check":{"interval":"2s","rise":null},"persistence":{"kind":"source_ip"}}`), &out); err != nil {
		t.Fatal(err)
	}
	if out.Label != "HL7" || out.Monitor.Interval.String() != "2s" || out.Monitor.Rise != 2 || out.Persistence.TableSize != 99 {
		t.Errorf("%+v", out)
	}
	for _, bad := range []string{`{"nonsense":null}`, `{"check":{"nonsense":null}}`, `null`, `[]`, `"x"`, `{"real_servers":[null]}`, `{"real_servers":[{"label":null}]}`} {
		if err := Merge(now, []byte(bad), &out); appliance.KindOf(err) != appliance.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestChoicesAreWhatValidateAccepts(t *testing.T) {
	s := Of(reflect.TypeFor[appliance.VirtualService]())
	for path, valid := range map[string]func(string) bool{
		"protocol":         func(w string) bool { return appliance.Protocol(w).Valid() },
		"scheduler":        func(w string) bool { return appliance.Scheduler(w).Valid() },
		"mode":             func(w string) bool { return appliance.ModeOfUse(w).Valid() },
		"check.kind":       func(w string) bool { return appliance.MonitorKind(w).Valid() },
		"persistence.kind": func(w string) bool { return appliance.PersistenceKind(w).Valid() },
	} {
		at, found := s.At(path)
		if !found || len(at.Choices) < 2 {
			t.Errorf("%s has no choices", path)
			continue
		}
		for _, w := range at.Choices {
			if !valid(w) {
				t.Errorf("%s: %q is not valid", path, w)
			}
		}
	}
}

func TestEveryFieldOfTheCatalogueExists(t *testing.T) {
	types := map[string]reflect.Type{
		"virtual_service": reflect.TypeFor[appliance.VirtualService](), "real_server": reflect.TypeFor[appliance.RealServer](),
		"rule": reflect.TypeFor[appliance.Rule](), "question": reflect.TypeFor[appliance.Question](),
		"script": reflect.TypeFor[appliance.Script](), "settings": reflect.TypeFor[appliance.Settings](), "heartbeat": reflect.TypeFor[appliance.Heartbeat](), "local": reflect.TypeFor[appliance.Local](),
	}
	for _, f := range appliance.Fields() {
		if _, found := Of(types[f.Object]).At(f.Path); !found {
			t.Errorf("%s has no field %s", f.Object, f.Path)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"label":"A","address":"10.0.0.1","ports":"80"}`, `{"check":{"interval":4000}}`, `[1,{"a":null}]`, `{"ports":[80,"90-95"]}`, `{"layer":1e999}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s appliance.VirtualService
		if Decode(body, &s) != nil || s.Ports.Count() == 0 {
			return // a service without ports is for Validate to refuse
		}
		s.Normalize()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again appliance.VirtualService
		if err := Decode(text, &again); err != nil || appliance.Hash(again) != appliance.Hash(s) {
			t.Fatalf("%s was read, but its own writing %s is not: %v", body, text, err)
		}
	})
}

func FuzzMerge(f *testing.F) {
	for _, s := range []string{`{"label":"B"}`, `{"check":"http"}`, `{"check":{"http":{"path":"/x"}}}`, `{"real_servers":[{"label":"a"}]}`, `{"limits":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		now := appliance.NewService(appliance.HTTP)
		now.Label, now.Ports = "A", appliance.Ports{{First: 80, Last: 80}}
		now.Normalize()
		var once, twice appliance.VirtualService
		if Merge(now, patch, &once) != nil || once.Ports.Count() == 0 {
			return
		}
		once.Normalize()
		err := Merge(once, patch, &twice)
		if twice.Normalize(); err != nil || appliance.Hash(once) != appliance.Hash(twice) {
			t.Fatalf("%s is not idempotent: %v", patch, err)
		}
	})
}
