package view

import (
	"slices"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// Certificates is the page of certificates, signing requests and authorities.
type Certificates struct {
	Certificates []appliance.Certificate
	Requests     []appliance.SigningRequest
	Authorities  []appliance.ClientAuthority
	Now          time.Time
	Edit         bool
}

// Certificate is the page of one certificate.
type Certificate struct {
	appliance.Certificate
	Base      string // its hash as it was read
	Others    []form.Option
	Services  []Link
	Edit      bool
	Label     string // as typed
	Errors    form.Errors
	Now       time.Time
	Successor string // as chosen
	// Predecessors are the certificates in use whose place this one may take; none while it is used itself.
	Predecessors []form.Option
}

// Link is a name that leads somewhere.
type Link struct{ Name, Path string }

// CertificateForm is any form around certificates: of files, of texts or of a wish.
type CertificateForm struct {
	Title, Lead, Path, Button string
	Files                     bool // it sends files
	Fields                    []SimpleField
	Errors                    form.Errors
	Crumb                     Link
	Base                      string
	Edit                      bool
	Text                      string // shown above the form, to be copied
	Download                  string // where Text comes as a file
	Delete                    string // path of the page that asks
	Facts                     []Link // name and value
	Warnings                  []string
}

// ends is the tag of a time at which a certificate ends: "" while it is far.
func ends(at, now time.Time) string {
	switch left := at.Sub(now); {
	case left <= 10*24*time.Hour:
		return "bad"
	case left <= 30*24*time.Hour:
		return "wait"
	}
	return ""
}

func leftWords(at, now time.Time) string {
	if left := at.Sub(now); left > 0 {
		return "in " + Plural(int(left/(24*time.Hour)), "day")
	}
	return "expired"
}

func encoding(files bool) string {
	if files {
		return "multipart/form-data"
	}
	return "application/x-www-form-urlencoded"
}

// tick is one option of a field of ticks.
type tick struct {
	form.Option
	On, First bool
}

// ticksOf lists the options of a field, those that are chosen first and in their order; what is chosen and not offered stays.
func ticksOf(field form.Field, value string) []tick {
	var out []tick
	chosen := form.Ticked(value)
	for i, id := range chosen {
		at := slices.IndexFunc(field.Options, func(o form.Option) bool { return o.Value == id })
		option := form.Option{Value: id, Name: "unknown: " + id}
		if at >= 0 {
			option = field.Options[at]
		}
		out = append(out, tick{option, true, i == 0})
	}
	for _, o := range field.Options {
		if !slices.Contains(chosen, o.Value) {
			out = append(out, tick{o, false, false})
		}
	}
	return out
}
