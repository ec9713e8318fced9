package ui

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

func showRequest(p *page) error {
	r, err := p.ui.Certificates.SigningRequest(p.Param("request"))
	if err != nil {
		return err
	}
	return p.showRequest(http.StatusOK, r, "", nil)
}

func (p *page) showRequest(status int, r appliance.SigningRequest, pem string, errs form.Errors) error {
	at := certificatesPath + "/requests/" + r.ID
	return p.showForm(status, view.CertificateForm{
		Title: r.Label, Lead: "Send the request to your authority, and upload here what it answers.", Path: at, Button: "Upload the answer", Files: true, Errors: errs,
		Text: r.Request, Download: at + "/download", Delete: at + "/delete",
		Facts: []view.Link{{Name: "Names", Path: strings.Join(r.Names, ", ")}, {Name: "Subject", Path: r.Subject}, {Name: "Key", Path: r.KeyKind}},
		Fields: []view.SimpleField{
			{Name: "Files", Path: "files", Kind: "file", Example: pemFiles, Help: "The certificate and the intermediate certificates that came with it."},
			{Name: "Or paste PEM", Path: "certificate", Kind: "area", Rows: 8, Value: pem, Example: "-----BEGIN CERTIFICATE-----"},
		},
	})
}

func answerRequest(p *page) error {
	r, err := p.ui.Certificates.SigningRequest(p.Param("request"))
	if err != nil {
		return err
	}
	pem := p.pasted("certificate")
	again := func(err error) error {
		return p.refusedFields(atFiles(err, pem == ""), known("files", "certificate"), func(status int, errs form.Errors) error { return p.showRequest(status, r, withoutKeys(pem), errs) })
	}
	text, binary, err := p.uploaded("files")
	if err == nil && binary != "" {
		err = appliance.Refuse("files", "The answer must be PEM; a binary one is converted with: openssl x509 -inform der -in FILE.")
	}
	if err != nil {
		return again(err)
	}
	ctx, cancel := p.lasting()
	defer cancel()
	made, err := p.ui.Certificates.Answer(ctx, p.origin, r.ID, text+pem)
	if err != nil {
		return again(err)
	}
	return p.keptCertificate(made)
}

func downloadRequest(p *page) error {
	r, err := p.ui.Certificates.SigningRequest(p.Param("request"))
	if err != nil {
		return err
	}
	return p.download(r.Label+".csr", r.Request)
}

func askDeleteRequest(p *page) error {
	r, err := p.ui.Certificates.SigningRequest(p.Param("request"))
	if err != nil {
		return err
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Delete "+r.Label, certificatesPath), view.Confirm{
		Text: "Give up the request " + r.Label + "?", Path: certificatesPath + "/requests/" + r.ID + "/delete", Button: "Delete", Danger: true, Back: certificatesPath, Base: appliance.Hash(r),
		Facts: []string{"Its key is deleted: a certificate that the authority makes of it can be used by nobody."},
	}))
}

func deleteRequest(p *page) error {
	r, err := p.ui.Certificates.SigningRequest(p.Param("request"))
	if err != nil {
		return err
	}
	return p.deleteKept(r.Label, appliance.Hash(r) == p.base(), func(ctx context.Context) error { return p.ui.Certificates.DeleteSigningRequest(ctx, p.origin, r.ID) })
}

func newAuthority(p *page) error {
	return p.showAuthority(http.StatusOK, appliance.ClientAuthority{}, appliance.AuthorityUpload{}, nil)
}

func editAuthority(p *page) error {
	a, err := p.ui.Certificates.ClientAuthority(p.Param("authority"))
	if err != nil {
		return err
	}
	return p.showAuthority(http.StatusOK, a, appliance.AuthorityUpload{Label: a.Label, Bundle: a.Bundle, CRL: a.CRL}, nil)
}

func (p *page) showAuthority(status int, a appliance.ClientAuthority, typed appliance.AuthorityUpload, errs form.Errors) error {
	v := view.CertificateForm{
		Title: "Add an authority", Lead: "Whose certificates are accepted: from clients that must show one, or from real servers.", Path: certificatesPath + "/authorities/new", Button: "Add", Files: true, Errors: errs,
		Fields: []view.SimpleField{
			{Name: "Label", Path: "label", Value: typed.Label, Example: "the name in the first certificate"},
			{Name: "Certificates", Path: "bundle", Kind: "area", Rows: 8, Value: typed.Bundle, Example: "-----BEGIN CERTIFICATE-----", Help: "PEM of the authorities, roots and intermediates."},
			{Name: "Or from files", Path: "bundle_files", Kind: "file", Example: ".pem,.crt,.cer"},
			{Name: "Revoked certificates", Path: "crl", Kind: "area", Rows: 5, Value: typed.CRL, Example: "-----BEGIN X509 CRL-----", Help: "PEM lists that these authorities signed. Whoever stands on one is turned away. A new list counts as soon as it is saved."},
			{Name: "Or from files", Path: "crl_files", Kind: "file", Example: ".pem,.crl"},
		},
	}
	if a.ID != "" {
		at := certificatesPath + "/authorities/" + a.ID
		v.Title, v.Path, v.Button, v.Base, v.Delete, v.Download, v.Warnings = a.Label, at, "Save", appliance.Hash(a), at+"/delete", at+"/download", a.Warnings
		v.Facts = []view.Link{{Name: "Subjects", Path: strings.Join(a.Subjects, "; ")}, {Name: "Revoked", Path: strconv.Itoa(a.Revoked)}}
		if !a.CRLUntil.IsZero() {
			v.Facts = append(v.Facts, view.Link{Name: "Next list expected", Path: a.CRLUntil.Format("2006-01-02")})
		}
		if len(a.UsedBy) > 0 {
			v.Facts = append(v.Facts, view.Link{Name: "Used by", Path: strings.Join(a.UsedBy, ", ")})
		}
	}
	return p.showForm(status, v)
}

func addAuthority(p *page) error { return p.commitAuthority(appliance.ClientAuthority{}) }

func saveAuthority(p *page) error {
	a, err := p.ui.Certificates.ClientAuthority(p.Param("authority"))
	if err != nil {
		return err
	}
	if appliance.Hash(a) != p.base() {
		return changedMeanwhile()
	}
	return p.commitAuthority(a)
}

// commitAuthority keeps what was typed; files take the place of the text beside them.
func (p *page) commitAuthority(a appliance.ClientAuthority) error {
	in := appliance.AuthorityUpload{Label: typed(p, "label"), Bundle: p.pasted("bundle"), CRL: p.pasted("crl")}
	again := func(err error) error {
		return p.refusedFields(err, known("label", "bundle", "crl", "bundle_files", "crl_files"), func(status int, errs form.Errors) error { return p.showAuthority(status, a, in, errs) })
	}
	for field, into := range map[string]*string{"bundle_files": &in.Bundle, "crl_files": &in.CRL} {
		text, binary, err := p.uploaded(field)
		if err == nil && binary != "" {
			err = appliance.Refuse(field, "This must be PEM, not binary.")
		}
		if err != nil {
			return again(err)
		}
		if text != "" {
			*into = text
		}
	}
	ctx, cancel := p.lasting()
	defer cancel()
	made, err := p.ui.Certificates.SaveAuthority(ctx, p.origin, a.ID, in)
	if err != nil {
		return again(err)
	}
	return p.done(certificatesPath, "%s is kept.", made.Label)
}

func downloadAuthority(p *page) error {
	a, err := p.ui.Certificates.ClientAuthority(p.Param("authority"))
	if err != nil {
		return err
	}
	return p.download(a.Label+".pem", a.Bundle+a.CRL)
}

func askDeleteAuthority(p *page) error {
	a, err := p.ui.Certificates.ClientAuthority(p.Param("authority"))
	if err != nil {
		return err
	}
	v := view.Confirm{
		Text: "Delete " + a.Label + "?", Path: certificatesPath + "/authorities/" + a.ID + "/delete", Button: "Delete", Danger: true, Back: certificatesPath, Base: appliance.Hash(a),
		Facts: []string{"If an earlier revision names it, it is kept out of sight, so that going back to that revision works."},
	}
	if len(a.UsedBy) > 0 {
		v.Warning = "It is used by " + strings.Join(a.UsedBy, ", ") + ": choose another one there first."
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Delete "+a.Label, certificatesPath), v))
}

func deleteAuthority(p *page) error {
	a, err := p.ui.Certificates.ClientAuthority(p.Param("authority"))
	if err != nil {
		return err
	}
	return p.deleteKept(a.Label, appliance.Hash(a) == p.base(), func(ctx context.Context) error { return p.ui.Certificates.DeleteAuthority(ctx, p.origin, a.ID) })
}
