package certificates

import (
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestStagedCertificatesAreFoundAndReloadForgetsThem(t *testing.T) {
	giver, taker := newRig(t), newRig(t)
	made, err := giver.SelfSign(t.Context(), appliance.Origin{}, appliance.CertificateWish{Label: "web", Names: []string{"web.example"}})
	if err != nil {
		t.Fatal(err)
	}
	own, err := taker.SelfSign(t.Context(), appliance.Origin{}, appliance.CertificateWish{Label: "web", Names: []string{"web.example"}})
	if err != nil {
		t.Fatal(err)
	}
	records, err := giver.store.Certificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good := appliance.Belongings{Certificates: records}
	if err := taker.Stage(good); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{made.ID, own.ID} {
		if _, err := taker.KeyPair(id); err != nil {
			t.Errorf("%.8s: %v", id, err)
		}
	}
	if err := taker.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := taker.KeyPair(made.ID); appliance.KindOf(err) != appliance.NotFound {
		t.Error("what was only staged is still there", err)
	}
	others, err := taker.store.Certificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*appliance.CertificateRecord){
		"another key":   func(r *appliance.CertificateRecord) { r.Key = others[0].Key },
		"another name":  func(r *appliance.CertificateRecord) { r.ID = own.ID },
		"no key":        func(r *appliance.CertificateRecord) { r.Key = nil },
		"no chain":      func(r *appliance.CertificateRecord) { r.Chain = []byte("nothing") },
		"endless chain": func(r *appliance.CertificateRecord) { r.Chain = make([]byte, maxText+1) },
		"odd label":     func(r *appliance.CertificateRecord) { r.Label = "../x" },
	} {
		r := records[0]
		change(&r)
		if err := taker.Stage(appliance.Belongings{Certificates: []appliance.CertificateRecord{r}}); appliance.KindOf(err) != appliance.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]appliance.Belongings{
		"authority without certificates": {Authorities: []appliance.AuthorityRecord{{ID: made.ID, Label: "ca", Bundle: []byte("x"), Created: time.Now()}}},
		"authority without a name":       {Authorities: []appliance.AuthorityRecord{{ID: "x", Label: "ca", Bundle: records[0].Chain}}},
		"request without a key":          {Requests: []appliance.SigningRecord{{ID: made.ID, Label: "soon", Request: []byte("x")}}},
	} {
		if err := taker.Stage(b); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := taker.KeyPair(own.ID); err != nil {
		t.Error("what is kept was lost", err)
	}
}
