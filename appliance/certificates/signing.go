package certificates

import (
	"context"
	"strings"

	"evenkeel/appliance"
)

// SigningRequests returns the keys that wait for their certificates, by label.
func (v *Vault) SigningRequests() []appliance.SigningRequest {
	out := []appliance.SigningRequest{}
	for _, s := range v.contents.Load().requests {
		names := append([]string{}, s.request.DNSNames...)
		for _, ip := range s.request.IPAddresses {
			names = append(names, ip.String())
		}
		out = append(out, appliance.SigningRequest{
			ID: s.record.ID, Label: s.record.Label, Names: names, Subject: s.request.Subject.String(), KeyKind: kindOf(s.request.PublicKey),
			Request: string(s.record.Request), Created: s.record.Created,
		})
	}
	return out
}

// SigningRequest returns one of them. The error is of kind not_found.
func (v *Vault) SigningRequest(id string) (appliance.SigningRequest, error) {
	for _, s := range v.SigningRequests() {
		if s.ID == id {
			return s, nil
		}
	}
	return appliance.SigningRequest{}, absent("signing request", id)
}

// Request makes a key and the request for its certificate. The key waits here.
func (v *Vault) Request(ctx context.Context, o appliance.Origin, w appliance.CertificateWish) (appliance.SigningRequest, error) {
	read, err := readWish(w)
	if err != nil {
		return appliance.SigningRequest{}, err
	}
	label := labelFrom(w.Label, w.Names)
	if e := appliance.CheckLabel(label); e != nil {
		return appliance.SigningRequest{}, e
	}
	key, text, err := request(read)
	if err != nil {
		return appliance.SigningRequest{}, err
	}
	r := appliance.SigningRecord{ID: newID(), Label: label, Request: text}
	if r.Key, err = encodeKey(key); err != nil {
		return appliance.SigningRequest{}, err
	}
	v.turn.Lock()
	defer v.turn.Unlock()
	for _, s := range v.contents.Load().requests {
		if strings.EqualFold(s.record.Label, label) {
			return appliance.SigningRequest{}, taken("a signing request", label)
		}
	}
	if err := v.change(ctx, func() error { return v.store.SaveSigningRequest(ctx, o, r) }); err != nil {
		return appliance.SigningRequest{}, err
	}
	return v.SigningRequest(r.ID)
}

// Answer keeps the certificate that an authority made of a signing request; the request is done then. The errors are of kind invalid at the field "certificate".
func (v *Vault) Answer(ctx context.Context, o appliance.Origin, id, text string) (appliance.Certificate, error) {
	var waiting *signing
	held := v.contents.Load()
	for i := range held.requests {
		if held.requests[i].record.ID == id {
			waiting = &held.requests[i]
		}
	}
	if waiting == nil {
		return appliance.Certificate{}, absent("signing request", id)
	}
	key, err := decodeKey(waiting.record.Key)
	if err != nil {
		return appliance.Certificate{}, err
	}
	var m material
	if err := m.readPEM(fieldCertificate, text, ""); err != nil {
		return appliance.Certificate{}, err
	}
	if len(m.certificates) == 0 {
		return appliance.Certificate{}, refuse(fieldCertificate, "There is no certificate in it.", "Paste what the authority sent, from -----BEGIN CERTIFICATE----- on.")
	}
	chain, found := m.chainOf(key)
	if !found {
		return appliance.Certificate{}, refuse(fieldCertificate, "This certificate does not answer this request: it is for another key.", "Look whether the authority was sent another request.")
	}
	if err := acceptable(fieldCertificate, chain[0], v.now()); err != nil {
		return appliance.Certificate{}, err
	}
	return v.keep(ctx, o, waiting.record.Label, pair{chain, key}, id)
}

// DeleteSigningRequest gives up a request with its key.
func (v *Vault) DeleteSigningRequest(ctx context.Context, o appliance.Origin, id string) error {
	v.turn.Lock()
	defer v.turn.Unlock()
	if _, err := v.SigningRequest(id); err != nil {
		return err
	}
	return v.change(ctx, func() error { return v.store.DeleteSigningRequest(ctx, o, id) })
}
