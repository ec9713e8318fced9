package cli

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"

	"evenkeel/appliance"
)

func certificateCommands() []command {
	why := whyOption()
	label := option{Name: "label", Value: "LABEL", Help: "The name shown everywhere; its own first name when absent."}
	password := option{Name: "password-stdin", Help: "Read the password of the file from standard input; it is not kept."}
	wish := []option{
		label,
		{Name: "name", Value: "NAME", Help: "A further host name or address. May be repeated."},
		{Name: "organisation", Value: "TEXT", Help: "The organisation in the subject."},
		{Name: "country", Value: "XX", Help: "The country in the subject, two letters."},
		{Name: "key", Value: "KIND", Help: "ecdsa_p256 when absent, ecdsa_p384, rsa_2048 or rsa_4096."},
	}
	crl := option{Name: "crl", Value: "FILE", Help: "Lists of revoked certificates, PEM."}
	return []command{
		{Name: "certificates", Summary: "all certificates, when they expire and what uses them", Example: []string{"certificates"}, do: listCertificates},
		{Name: "certificates show", Args: []string{"CERTIFICATE"}, Summary: "one certificate", Example: []string{"certificates show pacs"}, do: showCertificate},
		{Name: "certificates chain", Args: []string{"CERTIFICATE"}, Summary: "its PEM with the chain, for a file; the key is never given out", Example: []string{"certificates chain pacs"}, do: showChain},
		{Name: "certificates add", Args: []string{"FILE", "[KEYFILE]"}, Summary: "add a certificate with its key: PEM in one or two files, or a PFX", Flags: []option{label, password, why}, Example: []string{
			"certificates add fullchain.pem privkey.pem --label pacs", "certificates add pacs.pfx --password-stdin",
		}, do: addCertificate},
		{Name: "certificates self-signed", Args: []string{"NAME"}, Summary: "make a certificate that vouches for itself", Flags: append(wish[:len(wish):len(wish)], option{Name: "days", Value: "N", Help: "How long it is valid; 397 when absent."}, why), Example: []string{"certificates self-signed pacs.example.org --name 192.168.0.188"}, do: selfSign},
		{Name: "certificates rename", Args: []string{"CERTIFICATE", "LABEL"}, Summary: "give a certificate another label", Flags: []option{why}, Example: []string{"certificates rename pacs 'pacs 2026'"}, do: renameCertificate},
		{Name: "certificates replace", Args: []string{"OLD", "NEW"}, Summary: "let NEW take the place of OLD in every service, in one revision", Changes: true, Example: []string{"certificates replace 'pacs 2026' 'pacs 2027' --apply"}, do: replaceCertificate},
		{Name: "certificates delete", Args: []string{"CERTIFICATE"}, Summary: "remove a certificate that no service uses", Flags: []option{why}, Example: []string{"certificates delete 'pacs 2026'"}, do: deleteCertificate},
		{Name: "requests", Summary: "the keys that wait for their certificates", Example: []string{"requests"}, do: listRequests},
		{Name: "requests add", Args: []string{"NAME"}, Summary: "make a key and the request for its certificate, which is shown", Flags: append(wish[:len(wish):len(wish)], why), Example: []string{"requests add pacs.example.org --organisation 'Example Clinic' --country DE"}, do: addRequest},
		{Name: "requests show", Args: []string{"REQUEST"}, Summary: "its PEM, for the authority", Example: []string{"requests show pacs.example.org"}, do: showRequest},
		{Name: "requests answer", Args: []string{"REQUEST", "FILE"}, Summary: "add the certificate that the authority made of it", Flags: []option{why}, Example: []string{"requests answer pacs.example.org answer.pem"}, do: answerRequest},
		{Name: "requests delete", Args: []string{"REQUEST"}, Summary: "give up a request with its key", Flags: []option{why}, Example: []string{"requests delete pacs.example.org"}, do: deleteRequest},
		{Name: "authorities", Summary: "the authorities of clients and servers", Example: []string{"authorities"}, do: listAuthorities},
		{Name: "authorities add", Args: []string{"LABEL", "FILE"}, Summary: "add a bundle of authorities, PEM", Flags: []option{crl, why}, Example: []string{"authorities add cards ca.pem --crl revoked.pem"}, do: addAuthority},
		{Name: "authorities set", Args: []string{"AUTHORITY"}, Summary: "replace its certificates or its lists; what runs takes it up at once", Flags: []option{{Name: "bundle", Value: "FILE", Help: "Certificates of authorities, PEM."}, crl, label, why}, Example: []string{"authorities set cards --crl revoked.pem"}, do: setAuthority},
		{Name: "authorities delete", Args: []string{"AUTHORITY"}, Summary: "remove a bundle that no service uses", Flags: []option{why}, Example: []string{"authorities delete cards"}, do: deleteAuthority},
	}
}

func (s *session) certificate(name string) (appliance.Certificate, error) {
	list, _, err := get[[]appliance.Certificate](s, "/certificates")
	if err != nil {
		return appliance.Certificate{}, err
	}
	c, err := pick(list, name, func(c appliance.Certificate) (string, string) { return c.ID, c.Label })
	return c, named(err, "certificate", name)
}

func (s *session) authority(name string) (appliance.ClientAuthority, error) {
	list, _, err := get[[]appliance.ClientAuthority](s, "/authorities")
	if err != nil {
		return appliance.ClientAuthority{}, err
	}
	a, err := pick(list, name, func(a appliance.ClientAuthority) (string, string) { return a.ID, a.Label })
	return a, named(err, "authority", name)
}

func (s *session) request(name string) (appliance.SigningRequest, error) {
	list, _, err := get[[]appliance.SigningRequest](s, "/signing-requests")
	if err != nil {
		return appliance.SigningRequest{}, err
	}
	r, err := pick(list, name, func(r appliance.SigningRequest) (string, string) { return r.ID, r.Label })
	return r, named(err, "signing request", name)
}

// certificateIDs lets a person name certificates and authorities by label where a service wants ids.
func (s *session) certificateIDs(patch map[string]any) error {
	tls, _ := patch["tls"].(map[string]any)
	if list, named := tls["certificates"].([]string); named {
		for i, name := range list {
			c, err := s.certificate(name)
			if err != nil {
				return err
			}
			list[i] = c.ID
		}
	}
	servers, _ := patch["server_tls"].(map[string]any)
	for _, at := range []struct {
		in   map[string]any
		name string
	}{{tls, "client_ca"}, {servers, "ca"}} {
		if name, named := at.in[at.name].(string); named {
			a, err := s.authority(name)
			if err != nil {
				return err
			}
			at.in[at.name] = a.ID
		}
	}
	return nil
}

func users(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

func listCertificates(s *session) error {
	list, a, err := get[[]appliance.Certificate](s, "/certificates")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("There is no certificate. Add one with: %s certificates add FILE\n", program)
		return nil
	}
	rows := make([][]string, len(list))
	for i, c := range list {
		rows[i] = []string{c.Label, c.NotAfter.Format("2006-01-02"), c.KeyKind, users(c.UsedBy), strings.Join(c.Names, ", ")}
	}
	s.table([]string{"CERTIFICATE", "EXPIRES", "KEY", "USED BY", "NAMES"}, rows)
	for _, c := range list {
		for _, w := range c.Warnings {
			s.printf("%s: %s\n", inert(c.Label), inert(w))
		}
	}
	return nil
}

func showCertificate(s *session) error {
	c, err := s.certificate(s.args[0])
	if err != nil {
		return err
	}
	if s.flagged("json") {
		_, a, err := get[appliance.Certificate](s, "/certificates/"+c.ID)
		return s.orJSON(a, err)
	}
	s.printf("id: %s\nlabel: %s\nnames: %s\nsubject: %s\nissuer: %s\nserial: %s\nkey: %s\nnot before: %s\nnot after: %s\nused by: %s\n", c.ID, inert(c.Label), inert(strings.Join(c.Names, ", ")),
		inert(c.Subject), inert(c.Issuer), c.Serial, c.KeyKind, moment(c.NotBefore), moment(c.NotAfter), inert(users(c.UsedBy)))
	for _, w := range c.Warnings {
		s.printf("warning: %s\n", inert(w))
	}
	return nil
}

func showChain(s *session) error {
	c, err := s.certificate(s.args[0])
	if err != nil {
		return err
	}
	s.out.WriteString(c.Chain) // PEM that the appliance wrote
	return nil
}

func addCertificate(s *session) error {
	body := map[string]any{"label": s.flag("label")}
	for i, field := range []string{"certificate", "private_key"} {
		if i >= len(s.args) {
			break
		}
		text, err := s.file(s.args[i])
		switch {
		case err != nil:
			return err
		case bytes.Contains(text, []byte("-----BEGIN")):
			body[field] = string(text)
		case body["pfx"] != nil:
			return s.misused("at most one of the files is binary")
		default:
			body["pfx"] = base64.StdEncoding.EncodeToString(text)
		}
	}
	if s.flagged("password-stdin") {
		password, err := s.password()
		if err != nil {
			return err
		}
		body["password"] = password
	}
	return s.made("/certificates", body)
}

// made adds a certificate and says what clients may object to.
func (s *session) made(path string, body any) error {
	a, err := s.client.do(s.ctx, "POST", path, pairs("why", s.flag("why")), body, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var c appliance.Certificate
	if err := understand(a, &c); err != nil {
		return err
	}
	s.printf("Added the certificate %s, valid until %s.\n", inert(c.Label), c.NotAfter.Format("2006-01-02"))
	for _, w := range c.Warnings {
		s.printf("%s\n", inert(w))
	}
	return nil
}

// wish is what a certificate that is made shall say.
func (s *session) wish() (map[string]any, error) {
	body := map[string]any{
		"label": s.flag("label"), "names": append([]string{s.args[0]}, s.flags["name"]...), "organisation": s.flag("organisation"), "country": s.flag("country"), "key": s.flag("key"),
	}
	for name, v := range body {
		if v == "" {
			delete(body, name)
		}
	}
	if s.flagged("days") {
		days, err := s.number(s.flag("days"), "--days")
		if err != nil {
			return nil, err
		}
		body["days"] = jsonNumber(days)
	}
	return body, nil
}

func selfSign(s *session) error {
	body, err := s.wish()
	if err != nil {
		return err
	}
	return s.made("/certificates/self-signed", body)
}

func renameCertificate(s *session) error {
	c, err := s.certificate(s.args[0])
	if err != nil {
		return err
	}
	return s.guardedly("PUT", "/certificates/"+c.ID+"/label", map[string]any{"label": s.args[1]}, tag(c), "The certificate "+c.Label+" is "+s.args[1]+" now.")
}

func replaceCertificate(s *session) error {
	old, err := s.certificate(s.args[0])
	if err != nil {
		return err
	}
	fresh, err := s.certificate(s.args[1])
	if err != nil {
		return err
	}
	return s.change("PUT", "/certificates/"+old.ID+"/replacement", map[string]any{"certificate": fresh.ID}, tag(old), fresh.Label+" takes the place of "+old.Label+".")
}

func deleteCertificate(s *session) error {
	c, err := s.certificate(s.args[0])
	if err != nil {
		return err
	}
	return s.guardedly("DELETE", "/certificates/"+c.ID, nil, tag(c), "Removed the certificate "+c.Label+".")
}

func listRequests(s *session) error {
	list, a, err := get[[]appliance.SigningRequest](s, "/signing-requests")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("No key waits for its certificate.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, r := range list {
		rows[i] = []string{r.Label, moment(r.Created), r.KeyKind, strings.Join(r.Names, ", ")}
	}
	s.table([]string{"REQUEST", "SINCE", "KEY", "NAMES"}, rows)
	return nil
}

func addRequest(s *session) error {
	body, err := s.wish()
	if err != nil {
		return err
	}
	a, err := s.client.do(s.ctx, "POST", "/signing-requests", pairs("why", s.flag("why")), body, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var r appliance.SigningRequest
	if err := understand(a, &r); err != nil {
		return err
	}
	s.out.WriteString(r.Request) // PEM that the appliance wrote
	return nil
}

func showRequest(s *session) error {
	r, err := s.request(s.args[0])
	if err != nil {
		return err
	}
	s.out.WriteString(r.Request)
	return nil
}

func answerRequest(s *session) error {
	r, err := s.request(s.args[0])
	if err != nil {
		return err
	}
	text, err := s.file(s.args[1])
	if err != nil {
		return err
	}
	return s.made("/signing-requests/"+url.PathEscape(r.ID)+"/answer", map[string]any{"certificate": string(text)})
}

func deleteRequest(s *session) error {
	r, err := s.request(s.args[0])
	if err != nil {
		return err
	}
	return s.guardedly("DELETE", "/signing-requests/"+url.PathEscape(r.ID), nil, tag(r), "Gave up the request "+r.Label+".")
}

func listAuthorities(s *session) error {
	list, a, err := get[[]appliance.ClientAuthority](s, "/authorities")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("There is no authority. Certificates of clients need one.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		rows[i] = []string{v.Label, v.NotAfter.Format("2006-01-02"), users(v.UsedBy), strings.Join(v.Subjects, "; ")}
	}
	s.table([]string{"AUTHORITY", "EXPIRES", "USED BY", "SUBJECTS"}, rows)
	return nil
}

func addAuthority(s *session) error {
	body, err := s.bundle(map[string]any{"label": s.args[0]}, s.args[1])
	if err != nil {
		return err
	}
	return s.plainly("POST", "/authorities", body, "Added the authority "+s.args[0]+".")
}

// bundle reads the files of an authority.
func (s *session) bundle(body map[string]any, file string) (map[string]any, error) {
	for field, name := range map[string]string{"bundle": file, "crl": s.flag("crl")} {
		if name == "" {
			continue
		}
		text, err := s.file(name)
		if err != nil {
			return nil, err
		}
		body[field] = string(text)
	}
	return body, nil
}

func setAuthority(s *session) error {
	now, err := s.authority(s.args[0])
	if err != nil {
		return err
	}
	body := map[string]any{"label": now.Label, "bundle": now.Bundle, "crl": now.CRL}
	if s.flagged("label") {
		body["label"] = s.flag("label")
	}
	if body, err = s.bundle(body, s.flag("bundle")); err != nil {
		return err
	}
	return s.guardedly("PUT", "/authorities/"+now.ID, body, tag(now), "Changed the authority "+now.Label+".")
}

func deleteAuthority(s *session) error {
	a, err := s.authority(s.args[0])
	if err != nil {
		return err
	}
	return s.guardedly("DELETE", "/authorities/"+a.ID, nil, tag(a), "Removed the authority "+a.Label+".")
}
