package appliance

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const aFingerprint = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func webService() Config {
	s := NewService(HTTP)
	s.ID, s.Label, s.Address = "web", "WEB", hl7().Cluster.VirtualServices[0].Address
	s.Ports = Ports{{First: 80, Last: 80}}
	return Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}
}

func TestValidateTellsWhatIsWrongWithTLS(t *testing.T) {
	for field, c := range map[string]func(*VirtualService){
		"tls.certificates":     func(s *VirtualService) { s.TLS.Certificates = []string{"beef"} },
		"tls.certificates#two": func(s *VirtualService) { s.TLS.Certificates = []string{aFingerprint, aFingerprint} },
		"tls.certificates#all": func(s *VirtualService) { s.TLS.Certificates = make([]string, 501) },
		"tls.min_version":      func(s *VirtualService) { s.TLS.MinVersion = "1.0" },
		"tls.ciphers":          func(s *VirtualService) { s.TLS.Ciphers = []string{"TLS_RSA_WITH_RC4_128_SHA"} },
		"tls.client_auth":      func(s *VirtualService) { s.TLS.ClientAuth, s.TLS.ClientCA = ClientAuthRequired, aFingerprint },
		"tls.client_ca": func(s *VirtualService) {
			s.TLS.Certificates, s.TLS.ClientAuth = []string{aFingerprint}, ClientAuthOptional
		},
		"tls.redirect":      func(s *VirtualService) { s.TLS.Redirect, s.TLS.Certificates = "301", []string{aFingerprint} },
		"tls.redirect#tcp":  func(s *VirtualService) { s.Protocol, s.Fallback.Kind, s.TLS.Redirect = TCP, FallbackNone, "301" },
		"tls.redirect#code": func(s *VirtualService) { s.TLS.Redirect = "304" },
		"tls.redirect_port": func(s *VirtualService) { s.TLS.Redirect, s.TLS.RedirectPort = "308", 80 },
		"tls.hsts":          func(s *VirtualService) { s.TLS.HSTS = -1 },
		"tls.hsts#clear":    func(s *VirtualService) { s.TLS.HSTS = UsualHSTS },
		"persistence.cookie_name": func(s *VirtualService) {
			s.Persistence.Kind, s.Persistence.CookieName = PersistCookie, "__Host-SERVERID"
		},
		"persistence.cookie_name#either": func(s *VirtualService) {
			s.Persistence.Kind, s.Persistence.CookieName = PersistCookieOrIP, "__secure-id"
		},
		"server_tls.sni": func(s *VirtualService) { s.ServerTLS.SNI = "10.0.0.1" },
		"server_tls.ca":  func(s *VirtualService) { s.ServerTLS.CA = "x" },
	} {
		config := webService()
		c(&config.Cluster.VirtualServices[0])
		field, _, _ = strings.Cut(field, "#")
		got := ErrorsOf(Validate(config, Site{}))
		if len(got) != 1 || got[0].Field != "virtual_services[WEB]."+field {
			t.Errorf("%s: %v", field, got)
		}
	}
	good := webService()
	good.Cluster.VirtualServices[0].TLS.Redirect = RedirectPermanentlyAsSent
	if err := Validate(good, Site{}); err != nil {
		t.Error(err)
	}
	good.Cluster.VirtualServices[0].TLS = TLSOptions{
		Certificates: []string{aFingerprint}, MinVersion: TLS13, ClientAuth: ClientAuthRequired, ClientCA: aFingerprint, Redirect: RedirectOff, HSTS: UsualHSTS,
	}
	good.Cluster.VirtualServices[0].Persistence.Kind, good.Cluster.VirtualServices[0].Persistence.CookieName = PersistCookie, "__Host-SERVERID"
	if err := Validate(good, Site{}); err != nil {
		t.Error(err)
	}
}

func TestAServiceWithoutTLSFieldsHasTheDefaults(t *testing.T) {
	var s VirtualService
	if err := json.Unmarshal([]byte(`{"label":"W","address":"10.0.0.1","ports":80,"protocol":"http"}`), &s); err != nil {
		t.Fatal(err)
	}
	if s.TLS.On() || s.TLS.MinVersion != TLS12 || s.TLS.ClientAuth != ClientAuthNone || s.TLS.Redirects() || !s.ServerTLS.Verify || s.ServerTLS.Enabled {
		t.Errorf("%+v %+v", s.TLS, s.ServerTLS)
	}
}

func TestACloneOwnsItsCertificates(t *testing.T) {
	c := webService()
	c.Cluster.VirtualServices[0].TLS.Certificates = []string{aFingerprint}
	d := c.Clone()
	d.Cluster.VirtualServices[0].TLS.Certificates[0] = "x"
	if c.Cluster.VirtualServices[0].TLS.Certificates[0] != aFingerprint {
		t.Error("a clone shares its list")
	}
}

func TestThePlanOfACertificateIsReadable(t *testing.T) {
	a := webService()
	b := a.Clone()
	s := &b.Cluster.VirtualServices[0]
	s.TLS.Certificates, s.TLS.Ciphers, s.TLS.HSTS = []string{aFingerprint}, TLSCiphers()[:2], Duration(time.Hour)
	p := Diff(a, b)
	want := "WEB: certificates none → 9f86d081884c…, ciphers of TLS 1.2 none → TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WIT…, HSTS 0s → 1h"
	if p.Summary() != want || p.Changes[0].Effect != Keeps {
		t.Errorf("%s (%s)", p.Summary(), p.Changes[0].Effect)
	}
}

func TestAKeyPairHidesItsKey(t *testing.T) {
	k := KeyPair{Key: []byte("secret")}
	if text := fmt.Sprint(k, k.LogValue()); strings.Contains(text, "secret") || strings.Contains(text, "115") {
		t.Error(text)
	}
}
