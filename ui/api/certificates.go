package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"evenkeel/appliance"
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

// CertificateLabel gives a certificate another label.
type CertificateLabel struct {
	Label string `json:"label"`
}

// Replacement names the certificate that takes the place of another.
type Replacement struct {
	Certificate string `json:"certificate"`
}

// SigningAnswer is what an authority made of a signing request.
type SigningAnswer struct {
	Certificate string `json:"certificate"`
}

// How much is read: a PFX in base64 beside two texts, and lists of revoked certificates.
const (
	maxUpload      = 4 << 20
	maxRevocations = 20 << 20
)

func (a *API) certificateRoutes() []route {
	const admin, viewer, list, one = appliance.Administrator, appliance.Viewer, "/certificates", "/certificates/{id}"
	c, reason := appliance.Certificate{}, []parameter{why()}
	return []route{
		{Method: "GET", Path: list, Role: viewer, Summary: "All certificates. Keys are never given out.", Gives: []appliance.Certificate{}, Status: 200, do: listCertificates},
		{
			Method: "POST", Path: list, Role: admin, Summary: "Adds a certificate with its key: PEM in any order, or a PFX.",
			Query: reason, Takes: appliance.CertificateUpload{}, Gives: c, Status: 201, Limit: maxUpload, do: addCertificate,
		},
		{Method: "POST", Path: list + "/self-signed", Role: admin, Summary: "Makes a self-signed certificate.", Query: reason, Takes: appliance.CertificateWish{}, Gives: c, Status: 201, do: selfSign},
		{Method: "GET", Path: one, Role: viewer, Summary: "One certificate with its chain.", Gives: c, Status: 200, do: showCertificate},
		{Method: "PUT", Path: one + "/label", Role: admin, Summary: "Gives a certificate another label.", Query: reason, Takes: CertificateLabel{}, Gives: c, Status: 200, Guarded: true, do: relabelCertificate},
		{
			Method: "PUT", Path: one + "/replacement", Role: admin, Summary: "Lets another certificate take the place of this one in every service that uses it, in one revision.",
			Query: committing(), Takes: Replacement{}, Gives: c, Status: 200, Guarded: true, do: replaceCertificate,
		},
		{Method: "DELETE", Path: one, Role: admin, Summary: "Removes a certificate that no service uses.", Query: reason, Status: 204, Guarded: true, do: deleteCertificate},
	}
}

func (a *API) signingRoutes() []route {
	const admin, viewer, list, one = appliance.Administrator, appliance.Viewer, "/signing-requests", "/signing-requests/{id}"
	s, reason := appliance.SigningRequest{}, []parameter{why()}
	return []route{
		{Method: "GET", Path: list, Role: viewer, Summary: "The keys that wait for their certificates.", Gives: []appliance.SigningRequest{}, Status: 200, do: listSigningRequests},
		{Method: "POST", Path: list, Role: admin, Summary: "Makes a key and the request for its certificate.", Query: reason, Takes: appliance.CertificateWish{}, Gives: s, Status: 201, do: requestCertificate},
		{Method: "GET", Path: one, Role: viewer, Summary: "One signing request.", Gives: s, Status: 200, do: showSigningRequest},
		{
			Method: "POST", Path: one + "/answer", Role: admin, Summary: "Adds the certificate that an authority made of the request; the request is done then.",
			Query: reason, Takes: SigningAnswer{}, Gives: appliance.Certificate{}, Status: 201, do: answerSigningRequest,
		},
		{Method: "DELETE", Path: one, Role: admin, Summary: "Gives up a request with its key.", Query: reason, Status: 204, Guarded: true, do: deleteSigningRequest},
	}
}

func (a *API) authorityRoutes() []route {
	const admin, viewer, list, one = appliance.Administrator, appliance.Viewer, "/authorities", "/authorities/{id}"
	g, u, reason := appliance.ClientAuthority{}, appliance.AuthorityUpload{}, []parameter{why()}
	return []route{
		{Method: "GET", Path: list, Role: viewer, Summary: "The authorities of clients and servers.", Gives: []appliance.ClientAuthority{}, Status: 200, do: listAuthorities},
		{Method: "POST", Path: list, Role: admin, Summary: "Adds a bundle of authorities with their lists of revoked certificates.", Query: reason, Takes: u, Gives: g, Status: 201, Limit: maxRevocations, do: addAuthority},
		{Method: "GET", Path: one, Role: viewer, Summary: "One bundle of authorities.", Gives: g, Status: 200, do: showAuthority},
		{
			Method: "PUT", Path: one, Role: admin, Summary: "Replaces the content of a bundle, such as its lists of revoked certificates; what runs takes it up at once.",
			Query: reason, Takes: u, Gives: g, Status: 200, Guarded: true, Limit: maxRevocations, do: replaceAuthority,
		},
		{Method: "DELETE", Path: one, Role: admin, Summary: "Removes a bundle that no service uses.", Query: reason, Status: 204, Guarded: true, do: deleteAuthority},
	}
}

func listCertificates(c *call) error {
	return c.object(http.StatusOK, c.api.Certificates.Certificates())
}

func showCertificate(c *call) error {
	found, err := c.api.Certificates.Certificate(c.Param("id"))
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, found)
}

// current demands that the client knows the object as it is.
func (c *call) current(object any) error {
	now := appliance.Hash(object)
	known, err := c.ifMatch(now)
	if err != nil {
		return err
	}
	if known != "" && known != now {
		return &appliance.Error{Kind: appliance.Stale, Message: "This was changed since it was read.", Hint: "Read it again."}
	}
	return nil
}

// guardedCertificate is the certificate of the path, as the client knows it.
func (c *call) guardedCertificate() (appliance.Certificate, error) {
	found, err := c.api.Certificates.Certificate(c.Param("id"))
	if err != nil {
		return found, err
	}
	return found, c.current(found)
}

func addCertificate(c *call) error {
	var u appliance.CertificateUpload
	if err := c.decode(&u); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	made, err := c.api.Certificates.Add(ctx, c.origin, u)
	if err != nil {
		return err
	}
	return c.created("/certificates/"+made.ID, made)
}

func selfSign(c *call) error {
	var w appliance.CertificateWish
	if err := c.decode(&w); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	made, err := c.api.Certificates.SelfSign(ctx, c.origin, w)
	if err != nil {
		return err
	}
	return c.created("/certificates/"+made.ID, made)
}

func relabelCertificate(c *call) error {
	found, err := c.guardedCertificate()
	if err != nil {
		return err
	}
	var want CertificateLabel
	if err := c.decode(&want); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	made, err := c.api.Certificates.Relabel(ctx, c.origin, found.ID, want.Label)
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, made)
}

func replaceCertificate(c *call) error {
	old, err := c.guardedCertificate()
	if err != nil {
		return err
	}
	var want Replacement
	if err := c.decode(&want); err != nil {
		return err
	}
	fresh, err := c.api.Certificates.Certificate(strings.ToLower(strings.TrimSpace(want.Certificate)))
	if err != nil || fresh.ID == old.ID {
		return appliance.Refuse("certificate", "There is no other certificate %.70q.", want.Certificate)
	}
	return c.commit(change{
		edit: func(cfg *appliance.Config) error {
			if cfg.Cluster.ReplaceCertificate(old.ID, fresh.ID) > 0 {
				return nil
			}
			return &appliance.Error{Kind: appliance.Conflict, Subject: old.ID, Message: "No service uses " + old.Label + "."}
		},
		answer: func(appliance.Committed) error {
			now, err := c.api.Certificates.Certificate(fresh.ID)
			if err != nil {
				return err
			}
			return c.object(http.StatusOK, now)
		},
	})
}

func deleteCertificate(c *call) error {
	found, err := c.guardedCertificate()
	if err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	if err := c.api.Certificates.Delete(ctx, c.origin, found.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func listSigningRequests(c *call) error {
	return c.object(http.StatusOK, c.api.Certificates.SigningRequests())
}

func showSigningRequest(c *call) error {
	found, err := c.api.Certificates.SigningRequest(c.Param("id"))
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, found)
}

func requestCertificate(c *call) error {
	var w appliance.CertificateWish
	if err := c.decode(&w); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	made, err := c.api.Certificates.Request(ctx, c.origin, w)
	if err != nil {
		return err
	}
	return c.created("/signing-requests/"+url.PathEscape(made.ID), made)
}

func answerSigningRequest(c *call) error {
	var given SigningAnswer
	if err := c.decode(&given); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	made, err := c.api.Certificates.Answer(ctx, c.origin, c.Param("id"), given.Certificate)
	if err != nil {
		return err
	}
	return c.created("/certificates/"+made.ID, made)
}

func deleteSigningRequest(c *call) error {
	found, err := c.api.Certificates.SigningRequest(c.Param("id"))
	if err != nil {
		return err
	}
	if err := c.current(found); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	if err := c.api.Certificates.DeleteSigningRequest(ctx, c.origin, found.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func listAuthorities(c *call) error {
	return c.object(http.StatusOK, c.api.Certificates.Authorities())
}

func showAuthority(c *call) error {
	found, err := c.api.Certificates.ClientAuthority(c.Param("id"))
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, found)
}

func addAuthority(c *call) error {
	made, err := c.saveAuthority("")
	if err != nil {
		return err
	}
	return c.created("/authorities/"+made.ID, made)
}

func (c *call) saveAuthority(id string) (appliance.ClientAuthority, error) {
	var u appliance.AuthorityUpload
	if err := c.decode(&u); err != nil {
		return appliance.ClientAuthority{}, err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	return c.api.Certificates.SaveAuthority(ctx, c.origin, id, u)
}

func replaceAuthority(c *call) error {
	found, err := c.api.Certificates.ClientAuthority(c.Param("id"))
	if err != nil {
		return err
	}
	if err := c.current(found); err != nil {
		return err
	}
	made, err := c.saveAuthority(found.ID)
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, made)
}

func deleteAuthority(c *call) error {
	found, err := c.api.Certificates.ClientAuthority(c.Param("id"))
	if err != nil {
		return err
	}
	if err := c.current(found); err != nil {
		return err
	}
	ctx, cancel := c.lasting()
	defer cancel()
	if err := c.api.Certificates.DeleteAuthority(ctx, c.origin, found.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
