// Package certificates keeps the certificates that services present, keys that wait for theirs, and the authorities of clients and servers. It reads what people
// upload, which is hostile until it was read; it makes keys; and it gives keys to the engine and to nobody else. It keeps everything in memory, so that a lookup waits for nothing.
package certificates

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"evenkeel/appliance"
)

// Store keeps what must outlive the process. Errors are of kind conflict for a label that is taken and not_found for what is not there.
type Store interface {
	Certificates(ctx context.Context) ([]appliance.CertificateRecord, error)
	// SaveCertificate adds a certificate or replaces label and chain of the one of that id; the signing request of that id, if any, is removed with it.
	SaveCertificate(ctx context.Context, o appliance.Origin, r appliance.CertificateRecord, request string) error
	// DeleteCertificate removes a certificate, or hides it while a revision names it.
	DeleteCertificate(ctx context.Context, o appliance.Origin, id string) error
	SigningRequests(ctx context.Context) ([]appliance.SigningRecord, error)
	SaveSigningRequest(ctx context.Context, o appliance.Origin, r appliance.SigningRecord) error
	DeleteSigningRequest(ctx context.Context, o appliance.Origin, id string) error
	Authorities(ctx context.Context) ([]appliance.AuthorityRecord, error)
	SaveAuthority(ctx context.Context, o appliance.Origin, r appliance.AuthorityRecord) error
	DeleteAuthority(ctx context.Context, o appliance.Origin, id string) error
}

// Options of a Vault.
type Options struct {
	Store Store // required
	// Configurations returns the saved and the running configuration, which say what is used; required.
	Configurations func() (saved, running appliance.Config)
	// Renew makes what runs take up a chain or an authority whose content changed; nil: it does so when it is applied next.
	Renew func(ctx context.Context) error
	Log   *slog.Logger     // nil: nothing is logged
	Now   func() time.Time // nil: time.Now
}

// Vault holds the certificates. It is safe for concurrent use; lookups never wait for changes.
type Vault struct {
	store    Store
	config   func() (saved, running appliance.Config)
	renew    func(ctx context.Context) error
	log      *slog.Logger
	now      func() time.Time
	changed  chan struct{} // capacity 1: the watch over expiry looks again
	contents atomic.Pointer[contents]

	turn    sync.Mutex // held while something changes
	loading sync.Mutex // held while what is kept is read, so that the newest counts
}

// contents is what is kept, read. It is immutable.
type contents struct {
	certificates []certificate // by label
	requests     []signing
	authorities  []authority
}

type certificate struct {
	record     appliance.CertificateRecord
	chain      []*x509.Certificate
	pair       appliance.KeyPair
	selfSigned bool
}

type signing struct {
	record  appliance.SigningRecord
	request *x509.CertificateRequest
}

type authority struct {
	record appliance.AuthorityRecord
	bundle bundle
}

// Open reads what is kept. What cannot be read is left out and logged: services that need it are refused then, all others serve.
func Open(ctx context.Context, o Options) (*Vault, error) {
	v := &Vault{store: o.Store, config: o.Configurations, renew: o.Renew, log: o.Log, now: o.Now, changed: make(chan struct{}, 1)}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	v.log = v.log.With("component", "certificates")
	if v.now == nil {
		v.now = time.Now
	}
	return v, v.load(ctx)
}

func (v *Vault) load(ctx context.Context) error {
	v.loading.Lock()
	defer v.loading.Unlock()
	var fresh contents
	certificates, err := v.store.Certificates(ctx)
	if err != nil {
		return err
	}
	for _, r := range certificates {
		chain, err := decodeChain(r.Chain)
		if err != nil {
			v.log.Error("certificate not read", "id", r.ID, "error", err)
			continue
		}
		key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: r.Key})
		fresh.certificates = append(fresh.certificates, certificate{r, chain, appliance.KeyPair{Chain: r.Chain, Key: key}, selfSigned(chain[0])})
	}
	requests, err := v.store.SigningRequests(ctx)
	if err != nil {
		return err
	}
	for _, r := range requests {
		request, err := decodeRequest(r.Request)
		if err != nil {
			v.log.Error("signing request not read", "id", r.ID, "error", err)
			continue
		}
		fresh.requests = append(fresh.requests, signing{r, request})
	}
	authorities, err := v.store.Authorities(ctx)
	if err != nil {
		return err
	}
	for _, r := range authorities {
		b, err := readBundle(appliance.AuthorityUpload{Bundle: string(r.Bundle), CRL: string(r.Revoked)})
		if err != nil {
			v.log.Error("authority not read", "id", r.ID, "error", err)
			continue
		}
		fresh.authorities = append(fresh.authorities, authority{r, b})
	}
	v.contents.Store(&fresh)
	select {
	case v.changed <- struct{}{}:
	default:
	}
	return nil
}

// change runs a change of the store and reads what is kept again.
func (v *Vault) change(ctx context.Context, f func() error) error {
	if err := f(); err != nil {
		return err
	}
	return v.load(context.WithoutCancel(ctx))
}

func (c *contents) certificate(id string) *certificate {
	for i := range c.certificates {
		if c.certificates[i].record.ID == id {
			return &c.certificates[i]
		}
	}
	return nil
}

func (c *contents) authority(id string) *authority {
	for i := range c.authorities {
		if c.authorities[i].record.ID == id {
			return &c.authorities[i]
		}
	}
	return nil
}

func absent(what, id string) *appliance.Error {
	return &appliance.Error{Kind: appliance.NotFound, Subject: id, Message: "There is no such " + what + ".", Hint: "It may have been deleted meanwhile."}
}

// KeyPair returns a certificate with its key, for the engine only; hidden ones too, because an old revision may run again. The error is of kind not_found.
func (v *Vault) KeyPair(id string) (appliance.KeyPair, error) {
	if c := v.contents.Load().certificate(id); c != nil {
		return c.pair, nil
	}
	return appliance.KeyPair{}, absent("certificate", id)
}

// Authority returns a bundle of authorities with their lists of revoked certificates. The error is of kind not_found.
func (v *Vault) Authority(id string) (appliance.Authority, error) {
	if a := v.contents.Load().authority(id); a != nil {
		return appliance.Authority{Bundle: a.record.Bundle, CRL: a.record.Revoked}, nil
	}
	return appliance.Authority{}, absent("authority", id)
}

// Certificates returns what is known of every certificate, by label.
func (v *Vault) Certificates() []appliance.Certificate {
	now, use := v.now(), v.use()
	out := []appliance.Certificate{}
	for _, c := range v.contents.Load().certificates {
		if by := use.of(c.record.ID); c.record.Hidden.IsZero() || len(by) > 0 {
			d := describe(c, now)
			d.UsedBy = by
			out = append(out, d)
		}
	}
	return out
}

// Certificate returns what is known of one certificate. The error is of kind not_found.
func (v *Vault) Certificate(id string) (appliance.Certificate, error) {
	for _, c := range v.Certificates() {
		if c.ID == id {
			return c, nil
		}
	}
	return appliance.Certificate{}, absent("certificate", id)
}

// Add keeps an uploaded certificate. The errors are of kind invalid at the upload's fields, or conflict when it or its label is there already.
func (v *Vault) Add(ctx context.Context, o appliance.Origin, u appliance.CertificateUpload) (appliance.Certificate, error) {
	p, err := readUpload(u, v.now())
	if err != nil {
		return appliance.Certificate{}, err
	}
	return v.keep(ctx, o, u.Label, p, "")
}

// SelfSign makes a certificate that vouches for itself.
func (v *Vault) SelfSign(ctx context.Context, o appliance.Origin, w appliance.CertificateWish) (appliance.Certificate, error) {
	read, err := readWish(w)
	if err != nil {
		return appliance.Certificate{}, err
	}
	p, err := selfSign(read, v.now())
	if err != nil {
		return appliance.Certificate{}, err
	}
	return v.keep(ctx, o, w.Label, p, "")
}

func (v *Vault) keep(ctx context.Context, o appliance.Origin, label string, p pair, request string) (appliance.Certificate, error) {
	v.turn.Lock()
	defer v.turn.Unlock()
	r := appliance.CertificateRecord{ID: p.id(), Label: labelFrom(label, append(namesOf(p.chain[0]), p.chain[0].Subject.CommonName)), Chain: encodeChain(p.chain)}
	if err := v.freeLabel(r.ID, r.Label); err != nil {
		return appliance.Certificate{}, err
	}
	if old := v.contents.Load().certificate(r.ID); old != nil && old.record.Hidden.IsZero() && string(old.record.Chain) == string(r.Chain) {
		return appliance.Certificate{}, &appliance.Error{Kind: appliance.Conflict, Subject: r.ID, Field: fieldCertificate, Message: "This certificate is here already, as " + old.record.Label + "."}
	}
	var err error
	if r.Key, err = encodeKey(p.key); err != nil {
		return appliance.Certificate{}, err
	}
	if err := v.change(ctx, func() error { return v.store.SaveCertificate(ctx, o, r, request) }); err != nil {
		return appliance.Certificate{}, err
	}
	if err := v.takeUp(ctx, r.ID); err != nil {
		return appliance.Certificate{}, err
	}
	return v.Certificate(r.ID)
}

// takeUp lets what runs use a chain or a list that changed under an id that it names.
func (v *Vault) takeUp(ctx context.Context, id string) error {
	if v.renew == nil || len(v.use().of(id)) == 0 {
		return nil
	}
	return v.renew(ctx)
}

// freeLabel refuses a label that another certificate has.
func (v *Vault) freeLabel(id, label string) error {
	if e := appliance.CheckLabel(label); e != nil {
		return e
	}
	for _, c := range v.contents.Load().certificates {
		if c.record.ID != id && c.record.Hidden.IsZero() && strings.EqualFold(c.record.Label, label) {
			return taken("a certificate", label)
		}
	}
	return nil
}

func taken(what, label string) *appliance.Error {
	e := appliance.Refuse("label", "There is already %s named %s.", what, label)
	e.Kind = appliance.Conflict
	return e
}

// Relabel gives a certificate another label.
func (v *Vault) Relabel(ctx context.Context, o appliance.Origin, id, label string) (appliance.Certificate, error) {
	v.turn.Lock()
	defer v.turn.Unlock()
	c := v.contents.Load().certificate(id)
	if c == nil {
		return appliance.Certificate{}, absent("certificate", id)
	}
	r := c.record
	r.Label = strings.TrimSpace(label)
	if err := v.freeLabel(id, r.Label); err != nil {
		return appliance.Certificate{}, err
	}
	if err := v.change(ctx, func() error { return v.store.SaveCertificate(ctx, o, r, "") }); err != nil {
		return appliance.Certificate{}, err
	}
	return v.Certificate(id)
}

// Delete removes a certificate with its key; while a revision names it, it is kept out of sight. The error is of kind conflict when a service uses it.
func (v *Vault) Delete(ctx context.Context, o appliance.Origin, id string) error {
	v.turn.Lock()
	defer v.turn.Unlock()
	c := v.contents.Load().certificate(id)
	if c == nil {
		return absent("certificate", id)
	}
	if by := v.use().of(id); len(by) > 0 {
		return inUse(id, c.record.Label, by)
	}
	return v.change(ctx, func() error { return v.store.DeleteCertificate(ctx, o, id) })
}

func inUse(id, label string, by []string) *appliance.Error {
	return &appliance.Error{
		Kind: appliance.Conflict, Subject: id, Message: label + " is used by " + strings.Join(by, ", ") + ", as saved or running.",
		Hint: "Choose another one there first, and apply it.",
	}
}

// use says which services name an id.
type use map[string][]string

func (u use) of(id string) []string {
	if u[id] == nil {
		return []string{}
	}
	return u[id]
}

// use collects what the services name, as saved or running.
func (v *Vault) use() use {
	saved, running := v.config()
	out := use{}
	for _, c := range []appliance.Config{saved, running} {
		for i := range c.Cluster.VirtualServices {
			s := &c.Cluster.VirtualServices[i]
			for _, id := range append(slices.Clone(s.TLS.Certificates), s.TLS.ClientCA, s.ServerTLS.CA) {
				if id != "" && !slices.Contains(out[id], s.Label) {
					out[id] = append(out[id], s.Label)
				}
			}
		}
	}
	for id := range out {
		slices.Sort(out[id])
	}
	return out
}

// newID returns an id in the shape of a fingerprint.
func newID() string {
	var id [32]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
