package certificates

import (
	"context"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"evenkeel/appliance"
)

// Stage reads what the other node of a pair gives, as if it had been uploaded, and lets lookups find it beside what is kept. Nothing is written. Reload makes what
// is kept count again, before or after it was replaced. The error is of kind invalid when anything cannot be read, and nothing is staged then.
func (v *Vault) Stage(b appliance.Belongings) error {
	kept := v.contents.Load()
	fresh := contents{requests: kept.requests}
	for _, r := range b.Certificates {
		c, err := readRecord(r)
		if err != nil {
			return err
		}
		fresh.certificates = append(fresh.certificates, c)
	}
	for _, r := range b.Requests {
		if err := readSigning(r); err != nil {
			return err
		}
	}
	for _, r := range b.Authorities {
		if e := appliance.CheckLabel(r.Label); e != nil {
			return e
		}
		if !isID(r.ID) {
			return refuse(fieldCertificate, "An authority has no name of its own.", "")
		}
		read, err := readBundle(appliance.AuthorityUpload{Label: r.Label, Bundle: string(r.Bundle), CRL: string(r.Revoked)})
		if err != nil {
			return err
		}
		fresh.authorities = append(fresh.authorities, authority{r, read})
	}
	for _, c := range kept.certificates {
		if fresh.certificate(c.record.ID) == nil {
			fresh.certificates = append(fresh.certificates, c)
		}
	}
	for _, a := range kept.authorities {
		if fresh.authority(a.record.ID) == nil {
			fresh.authorities = append(fresh.authorities, a)
		}
	}
	v.contents.Store(&fresh)
	return nil
}

// Reload reads what is kept again.
func (v *Vault) Reload(ctx context.Context) error { return v.load(ctx) }

func isID(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == 32
}

// readRecord reads a certificate that another node kept. It may have expired meanwhile, but it must be one, with its key, under its own name.
func readRecord(r appliance.CertificateRecord) (certificate, error) {
	refused := func(why string) (certificate, error) {
		return certificate{}, refuse(fieldCertificate, fmt.Sprintf("The certificate %.100q %s.", r.Label, why), "")
	}
	if e := appliance.CheckLabel(r.Label); e != nil {
		return certificate{}, e
	}
	if len(r.Chain) > maxText || len(r.Key) > maxText {
		return refused("is too large")
	}
	chain, err := decodeChain(r.Chain)
	if err != nil || len(chain) > maxCertificates {
		return refused("cannot be read")
	}
	raw, err := parseKey(r.Key)
	if err != nil {
		return refused("has a key that cannot be read")
	}
	key, err := usable(fieldKey, raw)
	if err != nil {
		return certificate{}, err
	}
	if !matches(key, chain[0].PublicKey) || fingerprint(chain[0]) != r.ID {
		return refused("is not the one that its key or its name belongs to")
	}
	pair := appliance.KeyPair{Chain: r.Chain, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: r.Key})}
	return certificate{r, chain, pair, selfSigned(chain[0])}, nil
}

func readSigning(r appliance.SigningRecord) error {
	if e := appliance.CheckLabel(r.Label); e != nil {
		return e
	}
	if !isID(r.ID) || len(r.Request) > maxText || len(r.Key) > maxText {
		return refuse(fieldKey, "A signing request has no name of its own, or is too large.", "")
	}
	request, err := decodeRequest(r.Request)
	if err != nil {
		return err
	}
	key, err := decodeKey(r.Key)
	if err != nil {
		return err
	}
	if !matches(key, request.PublicKey) {
		return refuse(fieldKey, "A signing request does not belong to its key.", "")
	}
	return nil
}
