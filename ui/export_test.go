package ui

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestEveryListCanBeExported(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	paint(r)
	r.post(r.client, "/lbadmin/passwords/tokens", "label", "monitoring", "role", "viewer")
	for _, want := range []struct {
		path, name, holds string
		rows              int
	}{
		{"/lbadmin/?", "overview", "94", 9},
		{"/lbadmin/?q=hl7&show=problems&", "overview", "The machine answers, the service does not.", 3},
		{layer7 + "?", "virtual-services", "changed, not running", 3},
		{"/lbadmin/history?", "history", "192.168.0.17", 3},
		{"/lbadmin/history?before=3&", "history", "192.168.0.17", 2},
		{"/lbadmin/reports/audit?", "audit", "sign_in", -1},
		{"/lbadmin/reports/persistence?", "persistence", "192.168.0.20", 4},
		{"/lbadmin/reports/connections?", "connections", "192.168.0.21:50001", 4},
		{"/lbadmin/reports/layer7?", "layer7-status", "The machine answers, the service does not.", 9},
		{"/lbadmin/reports/layer7?q=hl7&", "layer7-status", "Corepoint2", 3},
		{"/lbadmin/certificates?", "certificates", "wildcard.example.org", 3},
		{"/lbadmin/passwords?list=users&", "users", "administrator", 1},
		{"/lbadmin/passwords?list=tokens&", "tokens", "monitoring", 1},
	} {
		status, h, body := r.get(r.client, want.path+"export=csv")
		lines, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if status != http.StatusOK || err != nil || want.rows >= 0 && len(lines) != want.rows+1 || !strings.Contains(body, want.holds) || strings.Count(body, "\r\n") != len(lines) {
			t.Errorf("%s as CSV: %d, %v, %d lines: %s", want.path, status, err, len(lines), body)
			continue
		}
		if d := h.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="evenkeel-`+want.name+`-`) || h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Content-Type"), "text/csv") {
			t.Errorf("%s: %v", want.path, h)
		}
		_, h, body = r.get(r.client, want.path+"export=json")
		var objects []map[string]any
		if err := json.Unmarshal([]byte(body), &objects); err != nil || len(objects) != len(lines)-1 || len(objects[0]) != len(lines[0]) || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s as JSON: %v, %d objects of %d: %s", want.path, err, len(objects), len(lines)-1, body)
		}
		for _, secret := range []string{"evk_", "$argon2", goodPassword} {
			if strings.Contains(body, secret) {
				t.Errorf("%s holds a secret", want.path)
			}
		}
	}
	if status, _, _ := r.get(r.client, "/lbadmin/?export=xml"); status != http.StatusNotFound {
		t.Errorf("a format that is none: %d", status)
	}
	viola := r.operator("viola", appliance.Viewer)
	if status, _, body := r.get(viola, "/lbadmin/passwords?list=users&export=csv"); status != http.StatusNotFound {
		t.Errorf("a viewer gets the users: %d %s", status, body)
	}
	if _, _, body := r.get(viola, "/lbadmin/passwords?list=tokens&export=csv"); strings.Contains(body, "monitoring") {
		t.Error("a viewer gets the tokens of others")
	}
}

func TestNoCellIsAFormula(t *testing.T) {
	l := list{name: "x", columns: []string{"a", "b"}}
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain", `say "a, b"`, "two\nlines"} {
		l.add(text, -1)
	}
	text, err := l.csv()
	if err != nil {
		t.Fatal(err)
	}
	want := "a,b\r\n'=1+1,-1\r\n'+1,-1\r\n'-1,-1\r\n'@SUM(A1),-1\r\n"
	if !strings.HasPrefix(string(text), want) || !strings.Contains(string(text), "\n'\tx,-1\r\n") || !strings.Contains(string(text), `"'`) || !strings.Contains(string(text), `"say ""a, b""",-1`) {
		t.Errorf("%q", text)
	}
	if text, err := l.json(); err != nil || !json.Valid(text) || !strings.Contains(string(text), `"a": "=1+1"`) {
		t.Errorf("%v %q", err, text)
	}
}
