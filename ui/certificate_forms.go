package ui

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	pemFiles  = ".pem,.crt,.cer,.key,.txt,.der,.pfx,.p12"
	mostFiles = 8
	mostTyped = 1 << 20 // bytes of a pasted text; the appliance accepts less and says so
)

// showForm draws a form around certificates.
func (p *page) showForm(status int, v view.CertificateForm) error {
	v.Edit = p.may(appliance.Administrator)
	if v.Crumb.Name == "" {
		v.Crumb = view.Link{Name: "SSL Certificates", Path: certificatesPath}
	}
	f := p.frame(v.Title, certificatesPath)
	f.Narrow = true
	return p.show(status, view.CertificateFormPage(f, v))
}

// uploaded joins the texts of the files that a form brought: PEM as it is, what is binary in base64. The error is of kind invalid at the field.
func (p *page) uploaded(field string) (text, binary string, err error) {
	if p.Request().MultipartForm == nil {
		return "", "", nil
	}
	list := p.Request().MultipartForm.File[field]
	if len(list) > mostFiles {
		return "", "", appliance.Refuse(field, "These are more than %d files.", mostFiles)
	}
	for _, h := range list {
		f, err := h.Open()
		if err != nil {
			return "", "", appliance.Refuse(field, "A file did not arrive whole.")
		}
		content, err := io.ReadAll(f)
		f.Close()
		switch {
		case err != nil:
			return "", "", appliance.Refuse(field, "A file did not arrive whole.")
		case bytes.Contains(content, []byte("-----BEGIN")):
			text += strings.ToValidUTF8(string(content), "?") + "\n"
		case len(content) == 0:
		case binary != "":
			return "", "", appliance.Refuse(field, "At most one of the files is binary (PFX or DER).")
		default:
			binary = base64.StdEncoding.EncodeToString(content)
		}
	}
	return text, binary, nil
}

// pasted is a text area's text.
func (p *page) pasted(field string) string {
	text := p.FormValue(field)
	if len(text) > mostTyped {
		text = text[:mostTyped]
	}
	return strings.ToValidUTF8(text, "?")
}

func uploadForm(p *page) error { return p.showUpload(http.StatusOK, "", "", nil) }

func (p *page) showUpload(status int, label, pem string, errs form.Errors) error {
	return p.showForm(status, view.CertificateForm{
		Title: "Upload a certificate", Lead: "With its key and the intermediate certificates, in any order: PEM in one or more files, or a PFX. What does not fit is said before anything is kept.",
		Path: certificatesPath + "/upload", Button: "Upload", Files: true, Errors: errs,
		Fields: []view.SimpleField{
			{Name: "Files", Path: "files", Kind: "file", Example: pemFiles, Help: "Certificate, chain and key (.pem, .crt, .key), or one .pfx or .p12."},
			{Name: "Or paste PEM", Path: "certificate", Kind: "area", Rows: 8, Value: pem, Example: "-----BEGIN CERTIFICATE-----"},
			{Name: "Password", Path: "password", Kind: "password", Example: "off", Help: "Of the PFX or of an encrypted key. It is not kept."},
			{Name: "Label", Path: "label", Value: label, Example: "its first name", Help: "The name shown everywhere."},
		},
	})
}

// withoutKeys drops the keys from what is shown again: what was sent once must not stand on a page.
func withoutKeys(pem string) string {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(pem) {
		if strings.HasPrefix(line, "-----BEGIN") && strings.Contains(line, "KEY") {
			inside = true
		}
		if !inside {
			out.WriteString(line)
		}
		if strings.HasPrefix(line, "-----END") {
			inside = false
		}
	}
	return out.String()
}

func uploadCertificate(p *page) error {
	label, pem := typed(p, "label"), p.pasted("certificate")
	again := func(err error) error {
		return p.refusedFields(atFiles(err, pem == ""), known("files", "certificate", "password", "label"), func(status int, errs form.Errors) error {
			return p.showUpload(status, label, withoutKeys(pem), errs)
		})
	}
	text, binary, err := p.uploaded("files")
	if err != nil {
		return again(err)
	}
	ctx, cancel := p.lasting()
	defer cancel()
	made, err := p.ui.Certificates.Add(ctx, p.origin, appliance.CertificateUpload{Label: label, Certificate: text + pem, PFX: binary, Password: p.FormValue("password")})
	if err != nil {
		return again(err)
	}
	return p.keptCertificate(made)
}

// atFiles moves errors to the field that the content came in.
func atFiles(err error, files bool) error {
	var out appliance.Errors
	for _, e := range appliance.ErrorsOf(err) {
		at := *e
		switch at.Field {
		case "pfx":
			at.Field = "files"
		case "certificate", "private_key":
			at.Field = "certificate"
			if files {
				at.Field = "files"
			}
		}
		out = append(out, &at)
	}
	return out
}

func (p *page) keptCertificate(c appliance.Certificate) error {
	for _, w := range c.Warnings {
		p.say("warning", "%s", w)
	}
	return p.done(certificatesPath+"/"+c.ID, "%s is kept. Choose it in a service to use it.", c.Label)
}

// wishForm is a form that asks what a certificate shall say.
type wishForm struct {
	title, lead, path, button string
	days                      bool
}

func selfSignedForm() wishForm {
	return wishForm{"Self-signed certificate", "Encrypts at once, and clients warn unless they are told to trust it: for trying, or between machines that you own.", certificatesPath + "/self-signed", "Make it", true}
}

func requestForm() wishForm {
	return wishForm{"Signing request", "A key is made here and waits; the request goes to your authority, whose answer is uploaded then. The key never travels.", certificatesPath + "/request", "Make the request", false}
}

func (p *page) showWish(status int, w wishForm, in appliance.CertificateWish, days string, errs form.Errors) error {
	kinds := []form.Option{}
	for _, k := range []appliance.KeyKind{appliance.KeyECDSA256, appliance.KeyECDSA384, appliance.KeyRSA2048, appliance.KeyRSA4096} {
		kinds = append(kinds, form.Option{Value: string(k), Name: k.String()})
	}
	fields := []view.SimpleField{
		{Name: "Names", Path: "names", Kind: "area", Rows: 3, Value: strings.Join(in.Names, "\n"), Example: "pacs.example.org", Help: "Host names and addresses by which clients reach the service, one a line. *.example.org stands for every name below."},
		{Name: "Organisation", Path: "organisation", Value: in.Organisation},
		{Name: "Unit", Path: "unit", Value: in.Unit},
		{Name: "Town", Path: "locality", Value: in.Locality},
		{Name: "State or province", Path: "region", Value: in.Region},
		{Name: "Country", Path: "country", Value: in.Country, Example: "DE", Help: "Two letters."},
		{Name: "Key", Path: "key", Kind: "choice", Options: kinds, Value: string(in.KeyKind), Help: "ECDSA P-256 suits all but very old clients and costs the least."},
		{Name: "Label", Path: "label", Value: in.Label, Example: "its first name"},
	}
	if w.days {
		fields = append(fields, view.SimpleField{Name: "Valid for", Path: "days", Value: days, Example: "397", Help: "Days, 1 to 3650."})
	}
	return p.showForm(status, view.CertificateForm{Title: w.title, Lead: w.lead, Path: w.path, Button: w.button, Fields: fields, Errors: errs})
}

func newSelfSigned(p *page) error {
	return p.showWish(http.StatusOK, selfSignedForm(), appliance.CertificateWish{}, "", nil)
}

func newRequest(p *page) error {
	return p.showWish(http.StatusOK, requestForm(), appliance.CertificateWish{}, "", nil)
}

// wish reads what was typed, and shows the form again when something is refused.
func (p *page) wish(w wishForm, do func(appliance.CertificateWish) error) error {
	in := appliance.CertificateWish{
		Label: typed(p, "label"), Organisation: typed(p, "organisation"), Unit: typed(p, "unit"), Locality: typed(p, "locality"), Region: typed(p, "region"),
		Country: typed(p, "country"), KeyKind: appliance.KeyKind(typed(p, "key")), Names: strings.FieldsFunc(p.pasted("names"), func(r rune) bool { return r == ',' || r <= ' ' }),
	}
	days := typed(p, "days")
	var err error
	if days != "" {
		if in.Days, err = strconv.Atoi(days); err != nil || in.Days == 0 {
			err = appliance.Refuse("days", "A certificate is valid for 1 to 3650 days; %.20q is no such number.", days)
		}
	}
	if err == nil {
		if err = do(in); err == nil {
			return nil
		}
	}
	paths := known("names", "organisation", "unit", "locality", "region", "country", "key", "label", "days")
	return p.refusedFields(err, paths, func(status int, errs form.Errors) error { return p.showWish(status, w, in, days, errs) })
}

func makeSelfSigned(p *page) error {
	return p.wish(selfSignedForm(), func(in appliance.CertificateWish) error {
		ctx, cancel := p.lasting()
		defer cancel()
		made, err := p.ui.Certificates.SelfSign(ctx, p.origin, in)
		if err != nil {
			return err
		}
		return p.keptCertificate(made)
	})
}

func makeRequest(p *page) error {
	return p.wish(requestForm(), func(in appliance.CertificateWish) error {
		ctx, cancel := p.lasting()
		defer cancel()
		made, err := p.ui.Certificates.Request(ctx, p.origin, in)
		if err != nil {
			return err
		}
		return p.done(certificatesPath+"/requests/"+made.ID, "The key waits. Send this request to your authority.")
	})
}
