package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
)

func (p *place) selfSigned(label string) appliance.Certificate {
	p.t.Helper()
	return read[appliance.Certificate](p.t, p.must(201, "POST", "/certificates/self-signed", `{"label":"`+label+`","names":["`+label+`.example.org"]}`))
}

func https(label, address, id string) string {
	return `{"label":"` + label + `","address":"` + address + `","ports":"443","protocol":"http","tls":{"certificates":["` + id + `"]}}`
}

func TestReplacingACertificateChangesEveryServiceInOneRevision(t *testing.T) {
	p := newPlace(t)
	old, fresh := p.selfSigned("old"), p.selfSigned("fresh")
	a, b := p.service(https("A", "192.168.0.188", old.ID)), p.service(https("B", "192.168.0.189", old.ID))
	before := p.control.Saved().Revision.Number
	path, body := "/certificates/"+old.ID+"/replacement", `{"certificate":"`+fresh.ID+`"}`
	etag := p.must(200, "GET", "/certificates/"+old.ID, "").etag()
	p.must(428, "PUT", path, body)
	p.must(412, "PUT", path, body, "If-Match", `"0123456789abcdef0123456789abcdef"`)
	p.must(200, "PUT", path+"?dry_run=true", body, "If-Match", etag)
	if now := p.control.Saved().Revision.Number; now != before {
		t.Fatalf("a dry run made revision %d", now)
	}
	got := read[appliance.Certificate](t, p.must(200, "PUT", path+"?apply=true", body, "If-Match", etag))
	if !slices.Equal(got.UsedBy, []string{"A", "B"}) || p.control.Saved().Revision.Number != before+1 || !p.control.Pending().Empty() {
		t.Errorf("%+v, revision %d", got, p.control.Saved().Revision.Number)
	}
	for _, id := range []string{a.ID, b.ID} {
		if s := read[appliance.VirtualService](t, p.must(200, "GET", "/virtual-services/"+id, "")); !slices.Equal(s.TLS.Certificates, []string{fresh.ID}) {
			t.Errorf("%s has %v", s.Label, s.TLS.Certificates)
		}
	}
	p.must(409, "PUT", path, body, "If-Match", "*")
	p.must(422, "PUT", path, `{"certificate":"`+old.ID+`"}`, "If-Match", "*")
	refusal := read[problem.Problem](t, p.must(409, "DELETE", "/certificates/"+fresh.ID, "", "If-Match", "*"))
	if !strings.Contains(refusal.Detail, "A, B") {
		t.Errorf("%+v", refusal)
	}
	p.must(204, "DELETE", "/certificates/"+old.ID, "", "If-Match", "*")
	p.must(404, "GET", "/certificates/"+old.ID, "")
	p.must(200, "POST", "/revisions/1/rollback", "") // names old: its key is still there
	if list := read[[]appliance.Certificate](t, p.must(200, "GET", "/certificates", "")); len(list) != 2 {
		t.Errorf("after going back: %+v", list)
	}
}

func TestUploadIsRefusedAtItsFieldsOverREST(t *testing.T) {
	p := newPlace(t)
	for body, field := range map[string]string{
		`{"certificate":"x","private_key":"y"}`: "certificate",
		`{"pfx":"%%%"}`:                         "pfx",
		`{"label":"a"}`:                         "certificate",
		`{"label":"a","certificate":"` + pemOf(p, "x") + `"}`: "private_key",
		`{"label":"<b>","names":["a.example"],"days":-1}`:     "",
		`{"names":["a.example"],"days":0}`:                    "",
	} {
		path := "/certificates"
		if field == "" {
			path, field = "/certificates/self-signed", "days"
		}
		if got := refused(t, p.must(422, "POST", path, body)); !slices.Equal(got, []string{field}) {
			t.Errorf("%.60s: refused at %q, want %q", body, got, field)
		}
	}
}

func pemOf(p *place, label string) string {
	text, _ := json.Marshal(p.selfSigned(label).Chain)
	return strings.Trim(string(text), `"`)
}

func TestNoKeyLeavesTheAppliance(t *testing.T) {
	p := newPlace(t)
	c := p.selfSigned("pacs")
	r := read[appliance.SigningRequest](t, p.must(201, "POST", "/signing-requests", `{"names":["web.example.org"],"key":"rsa_2048"}`))
	p.service(https("A", "192.168.0.188", c.ID))
	for _, route := range p.api.routes {
		if route.Method != "GET" {
			continue
		}
		path := strings.NewReplacer("/certificates/{id}", "/certificates/"+c.ID, "/signing-requests/{id}", "/signing-requests/"+r.ID).Replace(route.Path)
		if a := p.admin("GET", path, ""); strings.Contains(string(a.body), "PRIVATE KEY-----\\nM") {
			t.Errorf("%s gives a key: %.200s", path, a.body)
		}
	}
}

func TestSigningRequestsAndAuthoritiesOverREST(t *testing.T) {
	p := newPlace(t)
	r := read[appliance.SigningRequest](t, p.must(201, "POST", "/signing-requests?why=renewal", `{"names":["web.example.org"]}`))
	if !strings.HasPrefix(r.Request, "-----BEGIN CERTIFICATE REQUEST-----") {
		t.Errorf("%+v", r)
	}
	p.must(422, "POST", "/signing-requests/"+r.ID+"/answer", `{"certificate":"`+pemOf(p, "x")+`"}`)
	p.must(404, "POST", "/signing-requests/none/answer", `{"certificate":"x"}`)
	p.must(204, "DELETE", "/signing-requests/"+r.ID, "", "If-Match", p.must(200, "GET", "/signing-requests/"+r.ID, "").etag())
	if got := refused(t, p.must(422, "POST", "/authorities", `{"label":"a","bundle":"`+pemOf(p, "y")+`"}`)); !slices.Equal(got, []string{"bundle"}) {
		t.Errorf("a server's certificate as an authority: %v", got)
	}
	g := read[appliance.ClientAuthority](t, p.must(201, "POST", "/authorities", `{"bundle":"`+strings.ReplaceAll(rootPEM, "\n", `\n`)+`"}`))
	etag := p.must(200, "GET", "/authorities/"+g.ID, "").etag()
	again := read[appliance.ClientAuthority](t, p.must(200, "PUT", "/authorities/"+g.ID, `{"label":"cards","bundle":"`+strings.ReplaceAll(rootPEM, "\n", `\n`)+`"}`, "If-Match", etag))
	if g.Label != "Evenkeel test root" || again.Label != "cards" || again.ID != g.ID {
		t.Errorf("%+v %+v", g, again)
	}
	p.must(412, "DELETE", "/authorities/"+g.ID, "", "If-Match", etag)
	p.must(204, "DELETE", "/authorities/"+g.ID, "", "If-Match", "*")
}

// rootPEM is an authority whose key nobody has.
const rootPEM = `-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUV4SfHD7Xm4UixxoBavb25zCU/g0wCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSRXZlbmtlZWwgdGVzdCByb290MCAXDTI2MTEyMTA1NDcwOFoY
DzIxMjYxMDI4MDU0NzA4WjAdMRswGQYDVQQDDBJFdmVua2VlbCB0ZXN0IHJvb3Qw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATCNCv3bVy6KNN9dT3BLt0zIF0O6VyX
zTbzQKLpQdD8LiKIbUz/Nlznpak/egpFXdAusoZCvB0FWgkIV9yZQ53Wo1MwUTAd
BgNVHQ4EFgQUjBWa1oTTZumheMCkiMnYJmoI8RgwHwYDVR0jBBgwFoAUjBWa1oTT
ZumheMCkiMnYJmoI8RgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiADhnSHHgX9vJMJryR5boIPmO+ZkDE4448AGELsFrgCCgIhAJhUVJj0lZWR/9jn
hwZSWAkrDqfiUBFdZASBnSyM6HcW
-----END CERTIFICATE-----
`
