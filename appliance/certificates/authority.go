package certificates

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"evenkeel/appliance"
)

const (
	fieldBundle = "bundle"
	fieldCRL    = "crl"
	maxBundle   = 1 << 20 // bytes
	maxCRL      = 16 << 20
	maxLists    = 64
)

// bundle is a set of authorities with the lists of what they revoked.
type bundle struct {
	authorities []*x509.Certificate
	lists       []*x509.RevocationList
}

func (b bundle) encode() []byte { return encodeChain(b.authorities) }

func (b bundle) encodeLists() []byte {
	out := []byte{}
	for _, l := range b.lists {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.Raw})...)
	}
	return out
}

func refuseAuthority(field, message, hint string) *appliance.Error {
	e := refuse(field, message, hint)
	e.Op = "read authority"
	return e
}

// readBundle reads authorities and their lists, and demands that each list is signed by one of them.
func readBundle(u appliance.AuthorityUpload) (bundle, error) {
	var b bundle
	if len(u.Bundle) > maxBundle || len(u.CRL) > maxCRL {
		return b, refuseAuthority(fieldBundle, "This is too large: 1 MB of certificates and 16 MB of lists are accepted.", "")
	}
	seen := map[string]bool{}
	err := blocks(u.Bundle, fieldBundle, "CERTIFICATE", func(der []byte) error {
		c, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			return refuseAuthority(fieldBundle, "A certificate in this text cannot be read.", reason(err))
		case !c.BasicConstraintsValid || !c.IsCA:
			return refuseAuthority(fieldBundle, "“"+clip(c.Subject.String())+"” is not an authority: it may sign no certificates.", "Upload the certificate of the authority that issues your client certificates.")
		case len(b.authorities) >= maxAuthorities:
			return refuseAuthority(fieldBundle, fmt.Sprintf("This holds more than %d authorities.", maxAuthorities), "")
		}
		if id := fingerprint(c); !seen[id] {
			seen[id] = true
			b.authorities = append(b.authorities, c)
		}
		return nil
	})
	if err == nil && len(b.authorities) == 0 {
		err = refuseAuthority(fieldBundle, "There is no certificate in it.", "Paste PEM, from -----BEGIN CERTIFICATE----- on.")
	}
	if err != nil {
		return b, err
	}
	return b, blocks(u.CRL, fieldCRL, "X509 CRL", b.addList)
}

func (b *bundle) addList(der []byte) error {
	list, err := x509.ParseRevocationList(der)
	switch {
	case err != nil:
		return refuseAuthority(fieldCRL, "A list in this text cannot be read.", reason(err))
	case len(b.lists) >= maxLists:
		return refuseAuthority(fieldCRL, fmt.Sprintf("This holds more than %d lists.", maxLists), "")
	}
	for _, a := range b.authorities {
		if bytes.Equal(a.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(a) == nil {
			b.lists = append(b.lists, list)
			return nil
		}
	}
	return refuseAuthority(fieldCRL, "The list of “"+clip(list.Issuer.String())+"” is not signed by any of these authorities.", "")
}

// blocks hands every PEM block of a kind to each; other kinds are refused.
func blocks(text, field, kind string, each func(der []byte) error) error {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != kind {
			return refuseAuthority(field, fmt.Sprintf("This holds a block of the kind %.40q; %q is expected.", block.Type, kind), "")
		}
		if err := each(block.Bytes); err != nil {
			return err
		}
	}
	if len(bytes.TrimSpace(rest)) > 0 && bytes.Contains(rest, []byte("-----BEGIN")) || len(rest) == len(text) && len(bytes.TrimSpace(rest)) > 0 {
		return refuseAuthority(field, "This is not PEM, or a part of it is damaged.", "Copy the whole file, from -----BEGIN to -----END with all dashes.")
	}
	return nil
}

// describeAuthority says what people see of a bundle.
func describeAuthority(r appliance.AuthorityRecord, b bundle, now time.Time) appliance.ClientAuthority {
	out := appliance.ClientAuthority{
		ID: r.ID, Label: r.Label, Bundle: string(r.Bundle), CRL: string(r.Revoked), Subjects: []string{}, Warnings: []string{}, UsedBy: []string{}, Created: r.Created,
	}
	for _, a := range b.authorities {
		out.Subjects = append(out.Subjects, a.Subject.String())
		if out.NotAfter.IsZero() || a.NotAfter.Before(out.NotAfter) {
			out.NotAfter = a.NotAfter.UTC()
		}
		if now.After(a.NotAfter) {
			out.Warnings = append(out.Warnings, "“"+clip(a.Subject.String())+"” expired on "+day(a.NotAfter)+".")
		}
	}
	for _, l := range b.lists {
		out.Revoked += len(l.RevokedCertificateEntries)
		if !l.NextUpdate.IsZero() && (out.CRLUntil.IsZero() || l.NextUpdate.Before(out.CRLUntil)) {
			out.CRLUntil = l.NextUpdate.UTC()
		}
	}
	if !out.CRLUntil.IsZero() && now.After(out.CRLUntil) {
		out.Warnings = append(out.Warnings, "A list of revoked certificates should have been replaced on "+day(out.CRLUntil)+".")
	}
	return out
}

// Authorities returns what is known of every bundle, by label.
func (v *Vault) Authorities() []appliance.ClientAuthority {
	now, use := v.now(), v.use()
	out := []appliance.ClientAuthority{}
	for _, a := range v.contents.Load().authorities {
		if by := use.of(a.record.ID); a.record.Hidden.IsZero() || len(by) > 0 {
			d := describeAuthority(a.record, a.bundle, now)
			d.UsedBy = by
			out = append(out, d)
		}
	}
	return out
}

// ClientAuthority returns what is known of one bundle. The error is of kind not_found.
func (v *Vault) ClientAuthority(id string) (appliance.ClientAuthority, error) {
	for _, a := range v.Authorities() {
		if a.ID == id {
			return a, nil
		}
	}
	return appliance.ClientAuthority{}, absent("authority", id)
}

// SaveAuthority adds a bundle, or with an id replaces the content of that one, which what runs takes up at once. The errors are of kind invalid at the upload's fields.
func (v *Vault) SaveAuthority(ctx context.Context, o appliance.Origin, id string, u appliance.AuthorityUpload) (appliance.ClientAuthority, error) {
	b, err := readBundle(u)
	if err != nil {
		return appliance.ClientAuthority{}, err
	}
	label := strings.TrimSpace(u.Label)
	if label == "" {
		label = b.authorities[0].Subject.CommonName
	}
	if e := appliance.CheckLabel(label); e != nil {
		return appliance.ClientAuthority{}, e
	}
	v.turn.Lock()
	defer v.turn.Unlock()
	held := v.contents.Load()
	for _, a := range held.authorities {
		if a.record.ID != id && a.record.Hidden.IsZero() && strings.EqualFold(a.record.Label, label) {
			return appliance.ClientAuthority{}, taken("an authority", label)
		}
	}
	known := id != ""
	if known && held.authority(id) == nil {
		return appliance.ClientAuthority{}, absent("authority", id)
	}
	if !known {
		id = newID()
	}
	r := appliance.AuthorityRecord{ID: id, Label: label, Bundle: b.encode(), Revoked: b.encodeLists()}
	if err := v.change(ctx, func() error { return v.store.SaveAuthority(ctx, o, r) }); err != nil {
		return appliance.ClientAuthority{}, err
	}
	if err := v.takeUp(ctx, id); err != nil {
		return appliance.ClientAuthority{}, err
	}
	return v.ClientAuthority(id)
}

// DeleteAuthority removes a bundle. The error is of kind conflict when a service uses it.
func (v *Vault) DeleteAuthority(ctx context.Context, o appliance.Origin, id string) error {
	v.turn.Lock()
	defer v.turn.Unlock()
	a := v.contents.Load().authority(id)
	if a == nil {
		return absent("authority", id)
	}
	if by := v.use().of(id); len(by) > 0 {
		return inUse(id, a.record.Label, by)
	}
	return v.change(ctx, func() error { return v.store.DeleteAuthority(ctx, o, id) })
}
