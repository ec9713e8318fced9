package appliance

import (
	"net/netip"
	"strings"
	"testing"
)

func TestQuestionsAreCheckedFieldByField(t *testing.T) {
	good := Question{Service: "WEB", Client: netip.MustParseAddr("10.0.0.7"), URL: "http://www.example.org/a?b=%20", Headers: []string{"X-One: 1"}, Cookies: "a=b"}
	if all := good.Validate(); all != nil {
		t.Fatal(all)
	}
	for field, spoil := range map[string]func(*Question){
		"client":          func(q *Question) { q.Client = netip.Addr{} },
		"proxy":           func(q *Question) { q.Proxy = netip.MustParseAddr("fe80::1%eth0") },
		"virtual_service": func(q *Question) { q.Service = "" },
		"method":          func(q *Question) { q.Method = "GET /" },
		"url":             func(q *Question) { q.URL = "/a b" },
		"tls_session":     func(q *Question) { q.Session = "xy" },
		"rdp_cookie":      func(q *Question) { q.RDP = "user" },
		"tls_name":        func(q *Question) { q.TLSName = "a\nb" },
		"headers":         func(q *Question) { q.Headers = []string{"X-One: 1\r\nX-Two: 2"} },
		"cookies":         func(q *Question) { q.Cookies = "a=b\r\nX: y" },
		"answer":          func(q *Question) { q.Answer = []string{"fine"} },
	} {
		q := good
		spoil(&q)
		if all := q.Validate(); len(all) != 1 || all[0].Field != field || all[0].Message == "" {
			t.Errorf("%s: %v", field, all)
		}
	}
	long := good
	long.URL = "/" + strings.Repeat("a", 20<<10)
	if all := long.Validate(); len(all) != 1 || all[0].Field != "headers" {
		t.Errorf("too long: %v", all)
	}
}

func TestAURLIsTakenAsItIsTyped(t *testing.T) {
	for _, c := range []struct {
		url, host, target string
		port              uint16
		at                string
	}{
		{"", "", "/", 0, ""},
		{"//a/%61?x#y", "", "//a/%61?x", 0, ""},
		{"HTTPS://www.example.org?q", "www.example.org", "/?q", 443, ""},
		{"http://10.0.0.1:8080/a", "10.0.0.1:8080", "/a", 8080, "10.0.0.1:8080"},
		{"http://[fd00::1]/", "[fd00::1]", "/", 80, "[fd00::1]:80"},
		{"http://a:99999/", "a:99999", "/", 0, ""},
	} {
		q := Question{URL: c.url}
		host, target := q.Split()
		at := ""
		if a := q.Addressed(); a.IsValid() {
			at = a.String()
		}
		if host != c.host || target != c.target || q.Port() != c.port || at != c.at {
			t.Errorf("%q: %q %q %d %q", c.url, host, target, q.Port(), at)
		}
	}
}
