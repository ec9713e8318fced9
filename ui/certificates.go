package ui

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/problem"
	"evenkeel/ui/view"
)

// Certificates keeps certificates with their keys, which it never gives out.
type Certificates interface {
	Certificates() []appliance.Certificate
	Certificate(id string) (appliance.Certificate, error)
	Add(ctx context.Context, o appliance.Origin, u appliance.CertificateUpload) (appliance.Certificate, error)
	SelfSign(ctx context.Context, o appliance.Origin, w appliance.CertificateWish) (appliance.Certificate, error)
	Relabel(ctx context.Context, o appliance.Origin, id, label string) (appliance.Certificate, error)
	Delete(ctx context.Context, o appliance.Origin, id string) error
	SigningRequests
	Authorities
}

// SigningRequests keeps keys that wait for their certificates.
type SigningRequests interface {
	SigningRequests() []appliance.SigningRequest
	SigningRequest(id string) (appliance.SigningRequest, error)
	Request(ctx context.Context, o appliance.Origin, w appliance.CertificateWish) (appliance.SigningRequest, error)
	Answer(ctx context.Context, o appliance.Origin, id, certificate string) (appliance.Certificate, error)
	DeleteSigningRequest(ctx context.Context, o appliance.Origin, id string) error
}

// Authorities keeps the authorities of clients and servers.
type Authorities interface {
	Authorities() []appliance.ClientAuthority
	ClientAuthority(id string) (appliance.ClientAuthority, error)
	// SaveAuthority adds a bundle, or with an id replaces the content of that one.
	SaveAuthority(ctx context.Context, o appliance.Origin, id string, u appliance.AuthorityUpload) (appliance.ClientAuthority, error)
	DeleteAuthority(ctx context.Context, o appliance.Origin, id string) error
}

const certificatesPath = "/lbadmin/certificates"

func certificateList(p *page) error {
	kept := p.ui.Certificates
	v := view.Certificates{
		Certificates: kept.Certificates(), Requests: kept.SigningRequests(), Authorities: kept.Authorities(), Now: p.ui.Now(), Edit: p.may(appliance.Administrator),
	}
	if p.exporting() {
		out := list{name: "certificates", columns: []string{"id", "label", "names", "subject", "issuer", "key", "not_before", "not_after", "used_by", "warnings"}}
		for _, c := range v.Certificates {
			out.add(c.ID, c.Label, strings.Join(c.Names, " "), c.Subject, c.Issuer, c.KeyKind, c.NotBefore, c.NotAfter, strings.Join(c.UsedBy, ", "), strings.Join(c.Warnings, " "))
		}
		return p.export(out)
	}
	return p.show(http.StatusOK, view.CertificatesPage(p.frame("SSL Certificates", certificatesPath), v))
}

func showCertificate(p *page) error {
	c, err := p.ui.Certificates.Certificate(p.Param("certificate"))
	if err != nil {
		return err
	}
	return p.showCertificate(http.StatusOK, c, c.Label, nil)
}

func (p *page) showCertificate(status int, c appliance.Certificate, label string, errs form.Errors) error {
	v := view.Certificate{
		Certificate: c, Base: appliance.Hash(c), Edit: p.may(appliance.Administrator), Label: label, Errors: errs, Now: p.ui.Now(), Successor: p.FormValue("certificate"),
	}
	saved := p.ui.Control.Saved().Config.Cluster
	for _, used := range c.UsedBy {
		link := view.Link{Name: used, Path: layer7}
		for i := range saved.VirtualServices {
			if s := &saved.VirtualServices[i]; s.Label == used {
				link.Path = layer7 + "/" + s.ID
			}
		}
		v.Services = append(v.Services, link)
	}
	for _, other := range p.ui.Certificates.Certificates() {
		if other.ID != c.ID {
			v.Others = append(v.Others, form.Option{Value: other.ID, Name: other.Label + " (until " + other.NotAfter.Format("2006-01-02") + ")"})
		}
	}
	if len(c.UsedBy) == 0 {
		v.Predecessors = p.predecessors(c)
	}
	f := p.frame(c.Label, certificatesPath)
	f.Narrow = true
	return p.show(status, view.CertificatePage(f, v))
}

// guardedCertificate is the certificate of the path; fresh tells whether it is as the form read it.
func (p *page) guardedCertificate() (c appliance.Certificate, fresh bool, err error) {
	c, err = p.ui.Certificates.Certificate(p.Param("certificate"))
	return c, err == nil && appliance.Hash(c) == p.base(), err
}

func changedMeanwhile() error {
	return &appliance.Error{Kind: appliance.Stale, Message: "This was changed meanwhile.", Hint: "Look at it again."}
}

func renameCertificate(p *page) error {
	c, fresh, err := p.guardedCertificate()
	if err != nil {
		return err
	}
	if !fresh {
		return changedMeanwhile()
	}
	ctx, cancel := p.lasting()
	defer cancel()
	label := typed(p, "label")
	made, err := p.ui.Certificates.Relabel(ctx, p.origin, c.ID, label)
	if err != nil {
		return p.refusedFields(err, known("label"), func(status int, errs form.Errors) error { return p.showCertificate(status, c, label, errs) })
	}
	return p.done(certificatesPath+"/"+c.ID, "It is called %s now.", made.Label)
}

// refusedFields shows a form again with what was wrong at its fields; what no field explains is answered as such.
func (p *page) refusedFields(err error, known func(string) bool, show func(int, form.Errors) error) error {
	kind := problem.KindOf(err)
	if kind == appliance.Internal || kind == appliance.NotFound || kind == appliance.Stale {
		return err
	}
	return show(http.StatusUnprocessableEntity, form.Sort(err, "", known))
}

// replaceCertificate lets the chosen certificate take the place of the one of the path.
func replaceCertificate(p *page) error {
	return p.succession(func(c appliance.Certificate) (old, next appliance.Certificate, err error) {
		next, err = p.ui.Certificates.Certificate(p.FormValue("certificate"))
		return c, next, err
	})
}

// succeedCertificate lets the certificate of the path take the place of the chosen one.
func succeedCertificate(p *page) error {
	return p.succession(func(c appliance.Certificate) (old, next appliance.Certificate, err error) {
		old, err = p.ui.Certificates.Certificate(p.FormValue("certificate"))
		return old, c, err
	})
}

// succession replaces one certificate by another in every service, in one revision.
func (p *page) succession(chosen func(appliance.Certificate) (old, next appliance.Certificate, err error)) error {
	c, fresh, err := p.guardedCertificate()
	if err != nil {
		return err
	}
	if !fresh {
		return changedMeanwhile()
	}
	again := func(err error) error {
		return p.refusedFields(err, known("certificate"), func(status int, errs form.Errors) error { return p.showCertificate(status, c, c.Label, errs) })
	}
	old, next, err := chosen(c)
	if err != nil || next.ID == old.ID {
		return again(appliance.Refuse("certificate", "Choose another certificate."))
	}
	ctx, cancel := p.lasting()
	defer cancel()
	n := 0
	_, err = p.ui.Control.Commit(ctx, p.origin, nil, func(c *appliance.Config) error {
		n = c.Cluster.ReplaceCertificate(old.ID, next.ID)
		return nil
	})
	if err != nil {
		return again(err)
	}
	if n == 0 {
		return p.done(certificatesPath, "No service uses %s: nothing was changed.", old.Label)
	}
	return p.done(certificatesPath, "%s takes the place of %s in %s%s.", next.Label, old.Label, view.Plural(n, "service"), p.ui.whetherRunning())
}

// predecessors are the certificates in use whose place another may take, those that share a name with it first.
func (p *page) predecessors(c appliance.Certificate) []form.Option {
	var related, others []form.Option
	for _, old := range p.ui.Certificates.Certificates() {
		option := form.Option{Value: old.ID, Name: old.Label + " (until " + old.NotAfter.Format("2006-01-02") + ", used by " + strings.Join(old.UsedBy, ", ") + ")"}
		switch {
		case old.ID == c.ID || len(old.UsedBy) == 0:
		case slices.ContainsFunc(old.Names, func(name string) bool { return slices.Contains(c.Names, name) }):
			related = append(related, option)
		default:
			others = append(others, option)
		}
	}
	return append(related, others...)
}

// download sends PEM as a file.
func (p *page) download(name, text string) error {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, name)
	p.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return p.Blob(http.StatusOK, "application/x-pem-file", []byte(text))
}

func downloadCertificate(p *page) error {
	c, err := p.ui.Certificates.Certificate(p.Param("certificate"))
	if err != nil {
		return err
	}
	return p.download(c.Label+".pem", c.Chain)
}

func askDeleteCertificate(p *page) error {
	c, err := p.ui.Certificates.Certificate(p.Param("certificate"))
	if err != nil {
		return err
	}
	v := view.Confirm{
		Text: "Delete " + c.Label + "?", Path: certificatesPath + "/" + c.ID + "/delete", Button: "Delete", Danger: true, Back: certificatesPath, Base: appliance.Hash(c),
		Facts: []string{
			"Its key is deleted too and cannot be brought back.",
			"If an earlier revision names it, it is kept out of sight, so that going back to that revision works.",
		},
	}
	if len(c.UsedBy) > 0 {
		v.Warning = "It is used by " + strings.Join(c.UsedBy, ", ") + ": choose another one there first."
	}
	return p.show(http.StatusOK, view.ConfirmPage(p.frame("Delete "+c.Label, certificatesPath), v))
}

func deleteCertificate(p *page) error {
	c, fresh, err := p.guardedCertificate()
	if err != nil {
		return err
	}
	return p.deleteKept(c.Label, fresh, func(ctx context.Context) error { return p.ui.Certificates.Delete(ctx, p.origin, c.ID) })
}

// deleteKept removes what is kept beside the configuration; when it is refused, the list says why.
func (p *page) deleteKept(label string, fresh bool, remove func(context.Context) error) error {
	if !fresh {
		p.say("error", "%s was changed meanwhile. Look at it again before you delete it.", label)
		return p.see(certificatesPath)
	}
	ctx, cancel := p.lasting()
	defer cancel()
	err := remove(ctx)
	switch kind := problem.KindOf(err); {
	case err == nil:
		return p.done(certificatesPath, "%s is deleted.", label)
	case kind == appliance.Conflict:
		e := appliance.ErrorsOf(err)[0]
		p.say("error", "Not deleted: %s%s", e.Text(), hinted(e))
		return p.see(certificatesPath)
	}
	return err
}
