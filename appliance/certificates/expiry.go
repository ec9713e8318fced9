package certificates

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"evenkeel/appliance"
)

// Early is how long before its end a certificate is warned of first.
const Early = 60 * 24 * time.Hour

const lookEvery = time.Hour

// The catalogue of this package's alerts.
const (
	codeExpired  = "certificate_expired"     // clients refuse it now
	codeTenDays  = "certificate_expires_10d" // within 10 days
	codeMonth    = "certificate_expires_30d"
	codeEarly    = "certificate_expires_60d"
	codeListsOld = "revocation_list_old" // a list of revoked certificates should have been replaced
)

// stage is a span before the end of a certificate, and how loudly it is told.
type stage struct {
	code     string
	within   time.Duration
	severity appliance.Severity
}

func stages() []stage {
	const daily = 24 * time.Hour
	return []stage{
		{codeExpired, 0, appliance.Critical},
		{codeTenDays, 10 * daily, appliance.Critical},
		{codeMonth, 30 * daily, appliance.Warning},
		{codeEarly, Early, appliance.Information},
	}
}

// Alerts takes standing messages.
type Alerts interface {
	Raise(appliance.Alert)
	Clear(code string)
	// Watch ticks when the configuration changed.
	Watch() (changed <-chan struct{}, stop func())
}

// Run warns of certificates in use that expire, until ctx ends.
func (v *Vault) Run(ctx context.Context, to Alerts) error {
	configured, stop := to.Watch()
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	standing := map[string]string{}
	for {
		v.warn(to, standing)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-v.changed:
		case <-configured:
		}
	}
}

// warn raises and clears what changed against standing, which it keeps: raising wakes everyone who watches, this loop too.
func (v *Vault) warn(to Alerts, standing map[string]string) {
	fresh := v.alerts()
	for _, code := range []string{codeExpired, codeTenDays, codeMonth, codeEarly, codeListsOld} {
		i := slices.IndexFunc(fresh, func(a appliance.Alert) bool { return a.Code == code })
		switch {
		case i < 0 && standing[code] != "":
			delete(standing, code)
			to.Clear(code)
		case i >= 0 && standing[code] != fresh[i].Sentence:
			standing[code] = fresh[i].Sentence
			to.Raise(fresh[i])
		}
	}
}

// alerts returns what is to be warned of now. A certificate that no service uses harms nobody.
func (v *Vault) alerts() []appliance.Alert {
	var out []appliance.Alert
	told := map[string]bool{}
	now, kept := v.now(), v.Certificates()
	for _, s := range stages() {
		var list []string
		for _, c := range kept {
			left := c.NotAfter.Sub(now)
			if len(c.UsedBy) == 0 || told[c.ID] || left > s.within {
				continue
			}
			told[c.ID] = true
			when := "in " + days(left)
			if left <= 0 {
				when = "on " + day(c.NotAfter)
			}
			list = append(list, fmt.Sprintf("%s (%s; used by %s)", c.Label, when, strings.Join(c.UsedBy, ", ")))
		}
		if len(list) > 0 {
			out = append(out, appliance.Alert{Code: s.code, Severity: s.severity, Sentence: expirySentence(s, list), Hint: "Upload its successor under Cluster Configuration, SSL Certificates; replacing it drops no connection."})
		}
	}
	var old []string
	for _, a := range v.Authorities() {
		if len(a.UsedBy) > 0 && !a.CRLUntil.IsZero() && now.After(a.CRLUntil) {
			old = append(old, a.Label)
		}
	}
	if len(old) > 0 {
		out = append(out, appliance.Alert{
			Code: codeListsOld, Severity: appliance.Warning, Sentence: "The list of revoked certificates of " + strings.Join(old, ", ") + " should have been replaced.",
			Hint: "Upload the authority's present list under Cluster Configuration, SSL Certificates.",
		})
	}
	return out
}

func expirySentence(s stage, list []string) string {
	subject, verb := "A certificate", " expires: "
	if len(list) > 1 {
		subject, verb = fmt.Sprintf("%d certificates", len(list)), " expire: "
	}
	if s.within == 0 {
		verb = strings.Replace(verb, "expires", "has expired", 1)
		verb = strings.Replace(verb, "expire:", "have expired:", 1)
	}
	return subject + verb + strings.Join(list, ", ") + "."
}
