package ui

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// postFiles sends a form with files as a browser does.
func (r *rig) postFiles(c *http.Client, path string, files map[string][]string, pairs ...string) (int, http.Header, string) {
	r.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for field, list := range files {
		for _, content := range list {
			part, err := w.CreateFormFile(field, "some.pem")
			if err != nil {
				r.t.Fatal(err)
			}
			if _, err := part.Write([]byte(content)); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+path, &body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Origin", r.base)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return r.do(c, req)
}

// uploadable is a certificate with its encrypted key, as the fixtures of the reader hold them.
func uploadable(t *testing.T) (certificate, key string) {
	t.Helper()
	var out [2]string
	for i, name := range []string{"encrypted.crt", "encrypted-aes256.pem"} {
		text, err := os.ReadFile("../appliance/certificates/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(text)
	}
	return out[0], out[1]
}

func TestCertificateIsUploadedFromFilesOrPasted(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	certificate, key := uploadable(t)
	const upload = certificatesPath + "/upload"
	for name, try := range map[string]struct {
		files   []string
		pairs   []string
		refusal string
	}{
		"wrong password": {[]string{certificate, key}, []string{"password", "no"}, "The password does not open the private key."},
		"no key":         {[]string{certificate}, nil, "The private key is missing."},
		"two binaries":   {[]string{"\x30\x01", "\x30\x02"}, nil, "At most one of the files is binary"},
		"nothing":        {nil, []string{"certificate", "hello <b>"}, "This is not PEM"},
		"bad label":      {[]string{certificate, key}, []string{"password", "open sesame", "label", "<b>"}, "A label has letters"},
	} {
		status, _, body := r.postFiles(r.client, upload, map[string][]string{"files": try.files}, try.pairs...)
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, try.refusal) || strings.Contains(body, "<b>\"") {
			t.Errorf("%s: %d, without %q", name, status, try.refusal)
		}
	}
	status, _, body := r.postFiles(r.client, upload, nil, "certificate", certificate+key, "password", "no")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "BEGIN CERTIFICATE") || strings.Contains(body, "ENCRYPTED PRIVATE KEY") {
		t.Errorf("%d: what is shown again lacks the certificate or has the key", status)
	}
	status, h, _ := r.postFiles(r.client, upload, map[string][]string{"files": {key, certificate}}, "password", "open sesame", "label", "pacs")
	if status != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), certificatesPath+"/") {
		t.Fatalf("%d to %s", status, h.Get("Location"))
	}
	_, _, page := r.get(r.client, h.Get("Location"))
	if !strings.Contains(page, "pacs is kept.") || !strings.Contains(page, "pacs.example.org") || strings.Contains(page, "PRIVATE KEY") {
		t.Error("the page of the certificate lacks what it shows")
	}
	_, head, file := r.get(r.client, h.Get("Location")+"/download")
	if file != certificate || head.Get("Content-Disposition") != `attachment; filename="pacs.pem"` {
		t.Errorf("%v %s", head, file)
	}
}

func TestFilesAreTakenOnThePagesOfCertificatesOnly(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	if status, _, body := r.postFiles(r.client, "/lbadmin/advanced", nil, "apply_at_once", "true"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "This page takes forms only.") {
		t.Errorf("%d", status)
	}
	if status, _, _ := r.postFiles(r.client, certificatesPath+"/upload", map[string][]string{"files": {strings.Repeat("x", maxBody+1)}}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large file: %d", status)
	}
}

func TestReplacingOnThePageIsOneRevision(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	ids := []string{}
	for _, name := range []string{"old.example.org", "new.example.org"} {
		status, h, body := r.post(r.client, certificatesPath+"/self-signed", "names", name+"\n192.168.0.188", "key", "ecdsa_p256", "days", "200")
		if status != http.StatusSeeOther {
			t.Fatalf("%d %s", status, body)
		}
		ids = append(ids, strings.TrimPrefix(h.Get("Location"), certificatesPath+"/"))
	}
	_, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "test"}, nil, func(c *appliance.Config) error {
		for i := range c.Cluster.VirtualServices {
			c.Cluster.VirtualServices[i].TLS.Certificates = []string{ids[0]}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, page := r.get(r.client, certificatesPath+"/"+ids[0])
	base := hiddenBase(t, page)
	if status, _, _ := r.post(r.client, certificatesPath+"/"+ids[0]+"/replace", "certificate", ids[1], "base", "stale"); status != http.StatusConflict {
		t.Errorf("a stale page: %d", status)
	}
	if status, _, body := r.post(r.client, certificatesPath+"/"+ids[0]+"/replace", "certificate", ids[0], "base", base); status != http.StatusUnprocessableEntity || !strings.Contains(body, "Choose another certificate.") {
		t.Errorf("by itself: %d", status)
	}
	before := r.control.Saved().Revision.Number
	if status, _, _ := r.post(r.client, certificatesPath+"/"+ids[0]+"/replace", "certificate", ids[1], "base", base); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	saved := r.control.Saved()
	for _, s := range saved.Config.Cluster.VirtualServices {
		if !slices.Equal(s.TLS.Certificates, []string{ids[1]}) || saved.Revision.Number != before+1 {
			t.Errorf("%s has %v in revision %d", s.Label, s.TLS.Certificates, saved.Revision.Number)
		}
	}
	if _, _, page := r.get(r.client, certificatesPath); !strings.Contains(page, "new.example.org takes the place of old.example.org in 3 services") {
		t.Error("it is not said what was done")
	}
	r.post(r.client, certificatesPath+"/"+ids[1]+"/delete", "base", appliance.Hash(mustCertificate(t, r, ids[1])))
	if _, _, page := r.get(r.client, certificatesPath); !strings.Contains(page, "Not deleted: new.example.org is used by DMWL, HL7, VNA_DICOM") {
		t.Error("what services use is deleted, or it is not said why not")
	}
	if status, _, _ := r.post(r.client, certificatesPath+"/"+ids[0]+"/delete", "base", appliance.Hash(mustCertificate(t, r, ids[0]))); status != http.StatusSeeOther || len(r.ui.Certificates.Certificates()) != 1 {
		t.Errorf("%d, %d left", status, len(r.ui.Certificates.Certificates()))
	}
}

func TestTheFormOfAServiceOffersWhatIsKept(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	paintCertificates(r, appliance.Origin{Operator: "test"})
	var ids []string
	for _, c := range r.ui.Certificates.Certificates() {
		ids = append(ids, c.ID)
	}
	authority := r.ui.Certificates.Authorities()[0].ID
	path := layer7 + "/" + r.id("HL7")
	_, _, page := r.get(r.client, path)
	if !strings.Contains(page, "wildcard.example.org: *.example.org, 192.168.0.188 (until") || strings.Count(page, `name="tls.certificates.first"`) != 3 {
		t.Error("the form does not offer the certificates with their names")
	}
	if _, _, found := r.get(r.client, "/lbadmin/search?q=wildcard"); !strings.Contains(found, certificatesPath+"/"+ids[2]) {
		t.Error("a certificate is not found by its name")
	}
	saved := r.control.Saved().Config.Cluster
	values := url.Values{"base": {appliance.Hash(saved.Service(r.id("HL7")))}, "do": {"save"}}
	for field, v := range form.OfService(saved.Service(r.id("HL7"))).Values {
		values.Set(field, v)
	}
	for i, row := range form.OfService(saved.Service(r.id("HL7"))).Rows {
		for name, v := range map[string]string{"id": row.ID, "label": row.Label, "address": row.Address, "encrypt": "true"} {
			values.Set(form.RowName(i, name), v)
		}
	}
	values["tls.certificates"], values["tls.certificates.first"] = ids, []string{ids[2]}
	values.Set("tls.client_auth", "required")
	if status, _, body := r.postForm(r.client, path, values); status != http.StatusUnprocessableEntity || !strings.Contains(body, "Choose the authority that signed the clients") || strings.Count(body, `name="tls.certificates" value="`) != 3 || strings.Count(body, " checked") < 4 {
		t.Errorf("without an authority: %d", status)
	}
	values.Set("tls.client_ca", authority)
	if status, _, body := r.postForm(r.client, path, values); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	now := r.control.Saved().Config.Cluster
	s := now.Service(r.id("HL7"))
	if !slices.Equal(s.TLS.Certificates, []string{ids[2], ids[0], ids[1]}) || s.TLS.ClientCA != authority || !s.RealServers[0].Encrypt {
		t.Errorf("%+v", s.TLS)
	}
}

func TestARenewalTakesThePlaceOfTheCertificateOfTheSameName(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	r.fill()
	var ids []string
	for _, names := range []string{"other.example.org", "pacs.example.org", "pacs.example.org vna.example.org"} {
		_, h, _ := r.post(r.client, certificatesPath+"/self-signed", "names", names, "key", "ecdsa_p256", "label", "c"+string(rune('0'+len(ids))))
		ids = append(ids, strings.TrimPrefix(h.Get("Location"), certificatesPath+"/"))
	}
	_, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "test"}, nil, func(c *appliance.Config) error {
		for i := range c.Cluster.VirtualServices {
			c.Cluster.VirtualServices[i].TLS.Certificates = []string{ids[min(i, 1)]}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, page := r.get(r.client, certificatesPath+"/"+ids[2])
	first := strings.Index(page, `<option value="`+ids[1])
	if other := strings.Index(page, `<option value="`+ids[0]); first < 0 || other < first {
		t.Error("the certificate of the same name is not offered first")
	}
	if status, _, _ := r.post(r.client, certificatesPath+"/"+ids[2]+"/succeed", "certificate", ids[1], "base", hiddenBase(t, page)); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	if used := mustCertificate(t, r, ids[2]).UsedBy; !slices.Equal(used, []string{"HL7", "VNA_DICOM"}) {
		t.Errorf("used by %v", used)
	}
	if used := mustCertificate(t, r, ids[0]).UsedBy; !slices.Equal(used, []string{"DMWL"}) {
		t.Errorf("the other is used by %v", used)
	}
}

func mustCertificate(t *testing.T, r *rig, id string) appliance.Certificate {
	t.Helper()
	c, err := r.ui.Certificates.Certificate(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hiddenBase(t *testing.T, page string) string {
	t.Helper()
	m := regexp.MustCompile(`name="base" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no base")
	}
	return m[1]
}

func TestWishKeepsWhatWasTypedWhenItIsRefused(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	status, _, body := r.post(r.client, certificatesPath+"/self-signed", "names", "-bad-", "organisation", "Example Clinic", "country", "Germany", "days", "x", "key", "ecdsa_p256")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "is valid for 1 to 3650 days") || !strings.Contains(body, `value="Example Clinic"`) {
		t.Errorf("%d", status)
	}
	if status, _, body = r.post(r.client, certificatesPath+"/request", "names", "-bad-", "country", "Germany", "key", "ecdsa_p256"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "neither a host name") || !strings.Contains(body, "A country has two letters") {
		t.Errorf("%d", status)
	}
}

func TestRequestAndAuthorityOnThePages(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	_, h, _ := r.post(r.client, certificatesPath+"/request", "names", "vna.example.org", "key", "rsa_2048")
	at := h.Get("Location")
	_, _, page := r.get(r.client, at)
	if !strings.Contains(page, "BEGIN CERTIFICATE REQUEST") || !strings.Contains(page, "RSA 2048") {
		t.Error("the request is not shown")
	}
	certificate, _ := uploadable(t)
	if status, _, body := r.postFiles(r.client, at, map[string][]string{"files": {certificate}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "does not answer this request") {
		t.Errorf("the answer to another request: %d", status)
	}
	if status, head, body := r.get(r.client, at+"/download"); status != http.StatusOK || !strings.HasPrefix(body, "-----BEGIN CERTIFICATE REQUEST") || head.Get("Content-Disposition") != `attachment; filename="vna.example.org.csr"` {
		t.Errorf("%d %v", status, head)
	}
	_, _, page = r.get(r.client, at+"/delete")
	if status, _, _ := r.post(r.client, at+"/delete", "base", hiddenBase(t, page)); status != http.StatusSeeOther || len(r.ui.Certificates.SigningRequests()) != 0 {
		t.Errorf("%d", status)
	}

	if status, _, body := r.postFiles(r.client, certificatesPath+"/authorities/new", nil, "label", "cards", "bundle", "hello"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "This is not PEM") {
		t.Errorf("no certificate at all: %d", status)
	}
	if status, _, _ := r.postFiles(r.client, certificatesPath+"/authorities/new", map[string][]string{"bundle_files": {rootPEM}}, "label", "cards"); status != http.StatusSeeOther {
		t.Fatalf("%d", status)
	}
	a := r.ui.Certificates.Authorities()[0]
	at = certificatesPath + "/authorities/" + a.ID
	if status, _, _ := r.postFiles(r.client, at, nil, "label", "staff", "bundle", rootPEM, "base", "stale"); status != http.StatusConflict {
		t.Errorf("a stale page: %d", status)
	}
	if status, _, _ := r.postFiles(r.client, at, nil, "label", "staff", "bundle", rootPEM, "base", appliance.Hash(a)); status != http.StatusSeeOther || r.ui.Certificates.Authorities()[0].Label != "staff" {
		t.Errorf("%d", status)
	}
	_, _, page = r.get(r.client, at+"/delete")
	if status, _, _ := r.post(r.client, at+"/delete", "base", hiddenBase(t, page)); status != http.StatusSeeOther || len(r.ui.Certificates.Authorities()) != 0 {
		t.Errorf("%d", status)
	}
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
