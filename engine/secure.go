package engine

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/tlsterm"
)

// Certificates is who keeps the certificates that services name. An error of kind NotFound says that there is none with that id; its text reaches operators.
// Both may be called from any goroutine, never from a loop. The certificate and the key that an id stands for never change; their
// chain may be completed and an authority may get a new revocation list, which are used from the next Apply on.
type Certificates interface {
	KeyPair(id string) (appliance.KeyPair, error)
	Authority(id string) (appliance.Authority, error)
}

// material is every certificate and authority that is in use, by id.
type material struct {
	pairs       map[string]*tlsterm.Certificate
	chains      map[string][]byte // what the pairs were read from: a chain can be completed later
	authorities map[string]*authority
}

type authority struct {
	*tlsterm.Authority
	from appliance.Authority
}

// secrecy is what one snapshot of a service needs for TLS. It is never changed, and shared by snapshots for which nothing of it differs; so are its parts.
type secrecy struct {
	terminator *tlsterm.Terminator // nil: clients come in clear
	clients    appliance.TLSOptions
	offers     []string // by ALPN
	pairs      []*tlsterm.Certificate
	clientCA   *authority

	initiator *tlsterm.Initiator // nil: no server is spoken to over TLS
	servers   appliance.ServerTLS
	speaks2   bool // HTTP/2
	serverCA  *authority
}

// securing works out what a configuration needs for TLS.
type securing struct {
	engine   *Engine
	material material
	services map[string]*secrecy // by id; nil: neither side is in TLS
	errors   appliance.Errors
}

// secured reads every certificate that c names and that is not in use already, changing nothing that runs.
func (e *Engine) secured(c *appliance.Config) *securing {
	w := &securing{engine: e, services: map[string]*secrecy{}, material: material{map[string]*tlsterm.Certificate{}, map[string][]byte{}, map[string]*authority{}}}
	for i := range c.Cluster.VirtualServices {
		v := &c.Cluster.VirtualServices[i]
		encrypts := v.EncryptsFallback() || slices.ContainsFunc(v.RealServers, func(r appliance.RealServer) bool { return v.Encrypts(&r) })
		if !v.TLS.On() && !encrypts {
			continue
		}
		s := &secrecy{clients: v.Clone().TLS, servers: v.ServerTLS, offers: offered(v), speaks2: v.SpeaksHTTP2()}
		s.clients.Redirect, s.clients.RedirectPort, s.clients.HSTS = "", 0, 0 // no part of a handshake
		if before := len(w.errors); w.read(v, s, encrypts) && before == len(w.errors) {
			w.services[v.ID] = w.made(v, s, encrypts)
		}
	}
	return w
}

// read fetches what a service names; false: without it nothing can be made.
func (w *securing) read(v *appliance.VirtualService, s *secrecy, encrypts bool) bool {
	if w.engine.options.Certificates == nil && (v.TLS.On() || v.ServerTLS.CA != "") {
		w.refuse(v, "tls.certificates", &appliance.Error{Kind: appliance.Unsupported, Message: "This appliance keeps no certificates."})
		return false
	}
	for _, id := range v.TLS.Certificates {
		pair, err := w.pair(id)
		if err != nil {
			w.refuse(v, "tls.certificates", err)
		}
		s.pairs = append(s.pairs, pair)
	}
	if v.TLS.On() && v.TLS.ClientAuth != appliance.ClientAuthNone {
		s.clientCA = w.authority(v, "tls.client_ca", v.TLS.ClientCA)
	}
	if encrypts && v.ServerTLS.Verify && v.ServerTLS.CA != "" {
		s.serverCA = w.authority(v, "server_tls.ca", v.ServerTLS.CA)
	}
	return true
}

// made makes the parts, or takes those that run already if they came of the same.
func (w *securing) made(v *appliance.VirtualService, s *secrecy, encrypts bool) *secrecy {
	now := &secrecy{}
	if running := w.engine.services[v.ID]; running != nil {
		if r := running.running.Load(); r != nil && r.secrecy != nil {
			now = r.secrecy
		}
	}
	if v.TLS.On() {
		s.terminator = s.terminatorLike(now, v.ID, w.engine.ring)
	}
	if encrypts {
		s.initiator = s.initiatorLike(now)
	}
	if s.terminator == now.terminator && s.initiator == now.initiator {
		return now
	}
	return s
}

func (s *secrecy) terminatorLike(now *secrecy, service string, ring *tlsterm.Ring) *tlsterm.Terminator {
	if now.terminator != nil && slices.Equal(s.offers, now.offers) && s.clientCA == now.clientCA && slices.Equal(s.pairs, now.pairs) && reflect.DeepEqual(s.clients, now.clients) {
		return now.terminator
	}
	return tlsterm.NewTerminator(tlsterm.TerminatorOptions{
		Service: service, Options: &s.clients, Certificates: s.pairs, Authority: s.clientCA.loaded(), Protocols: s.offers, Ring: ring,
	})
}

func (s *secrecy) initiatorLike(now *secrecy) *tlsterm.Initiator {
	if now.initiator != nil && s.servers == now.servers && s.speaks2 == now.speaks2 && s.serverCA == now.serverCA {
		return now.initiator
	}
	if s.servers.Verify && s.serverCA == nil {
		tlsterm.ReadSystemAuthorities()
	}
	var protocols []string
	if s.speaks2 {
		protocols = []string{appliance.ProtocolHTTP2}
	}
	return tlsterm.NewInitiator(s.servers, s.serverCA.loaded(), protocols)
}

// offered returns what is offered to clients by ALPN, best first.
func offered(v *appliance.VirtualService) []string {
	switch {
	case v.Protocol != appliance.HTTP:
		return nil
	case v.HTTP.HTTP2In == appliance.HTTP2Off:
		return []string{appliance.ProtocolHTTP1}
	}
	return []string{appliance.ProtocolHTTP2, appliance.ProtocolHTTP1}
}

func (a *authority) loaded() *tlsterm.Authority {
	if a == nil {
		return nil
	}
	return a.Authority
}

func (w *securing) pair(id string) (*tlsterm.Certificate, error) {
	if c := w.material.pairs[id]; c != nil {
		return c, nil
	}
	found, err := w.engine.options.Certificates.KeyPair(id)
	if err != nil {
		return nil, err
	}
	c := w.engine.material.pairs[id]
	if c == nil || !bytes.Equal(w.engine.material.chains[id], found.Chain) {
		if c, err = tlsterm.Load(found); err != nil {
			return nil, err
		}
	}
	w.material.pairs[id], w.material.chains[id] = c, found.Chain
	return c, nil
}

func (w *securing) authority(v *appliance.VirtualService, field, id string) *authority {
	if a := w.material.authorities[id]; a != nil {
		return a
	}
	found, err := w.engine.options.Certificates.Authority(id)
	if err != nil {
		w.refuse(v, field, err)
		return nil
	}
	a := w.engine.material.authorities[id]
	if a == nil || !bytes.Equal(a.from.Bundle, found.Bundle) || !bytes.Equal(a.from.CRL, found.CRL) {
		loaded, err := tlsterm.LoadAuthority(found)
		if err != nil {
			w.refuse(v, field, err)
			return nil
		}
		if a = (&authority{loaded, found}); loaded.Outdated(time.Now()) {
			w.engine.log.Warn("a revocation list is out of date", "service", v.Label, "authority", id)
		}
	}
	w.material.authorities[id] = a
	return a
}

// refuse adds an error at a field of a service.
func (w *securing) refuse(v *appliance.VirtualService, field string, err error) {
	var e *appliance.Error
	if !errors.As(err, &e) {
		e = &appliance.Error{Kind: appliance.Unavailable, Message: "The certificate cannot be read.", Err: err}
	}
	named := *e
	if named.Kind == appliance.NotFound { // what is not there is the certificate, not the service
		named.Kind, named.Hint = appliance.Invalid, "Choose one that is kept, or add it first."
	}
	named.Op, named.Subject, named.Field = "read certificates", v.ID, fmt.Sprintf("virtual_services[%s].%s", v.Label, field)
	w.errors = append(w.errors, &named)
}

// keep makes what was read what is in use.
func (w *securing) keep() {
	e := w.engine
	e.material = w.material
	list := make([]*tlsterm.Certificate, 0, len(w.material.pairs))
	for _, c := range w.material.pairs {
		list = append(list, c)
	}
	e.stapler.Watch(list)
}

// rekeyed drops idle connections that were opened under other rules than those that hold now.
func (w *serviceSwap) rekeyed(before *snapshot) {
	if before == nil {
		return
	}
	var was, is *tlsterm.Initiator
	if before.secrecy != nil {
		was = before.secrecy.initiator
	}
	if w.secrecy != nil {
		is = w.secrecy.initiator
	}
	for _, had := range before.servers {
		old, fresh := before.config.Server(had.id), w.config.Server(had.id)
		if fresh != nil && (before.config.Encrypts(old) != w.config.Encrypts(fresh) || is != was) {
			w.dropped = append(w.dropped, had)
		}
	}
}
