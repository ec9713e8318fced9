package form

import (
	"slices"
	"strings"

	"evenkeel/appliance"
)

// fitting returns f with what its options need.
func fitting(f Field, fits func(option string, p appliance.Protocol) bool) Field {
	f.fits = fits
	return f
}

// Misfits returns the modes in which an option of a choice says nothing, separated by spaces; empty: it can be chosen in all.
func (f Field) Misfits(option string) string {
	if f.fits == nil {
		return ""
	}
	return misfits(func(p appliance.Protocol) bool { return f.fits(option, p) })
}

func misfits(fits func(appliance.Protocol) bool) string {
	var out []string
	for _, p := range []appliance.Protocol{appliance.TCP, appliance.HTTP, appliance.UDP} {
		if !fits(p) {
			out = append(out, string(p))
		}
	}
	return strings.Join(out, " ")
}

// SubjectMisfits returns the modes in which a rule cannot look at a subject, and DeedMisfits those in which it cannot do something, as Misfits does.
func SubjectMisfits(subject string) string { return misfits(appliance.Subject(subject).In) }

// DeedMisfits is for what a rule does what SubjectMisfits is for what it looks at.
func DeedMisfits(deed string) string { return misfits(appliance.RuleActionKind(deed).In) }

// schedulerFits tells whether a service knows by what the scheduler chooses.
func schedulerFits(scheduler string, p appliance.Protocol) bool {
	return p == appliance.HTTP || !appliance.Scheduler(scheduler).ReadsRequest()
}

// fallbackFits tells whether clients of a service could read what the fallback says.
func fallbackFits(kind string, p appliance.Protocol) bool {
	return p == appliance.HTTP || appliance.FallbackKind(kind) != appliance.FallbackPage
}

// checkFits tells whether a kind of check says something about a service: nothing that speaks TCP does about one in UDP Mode.
func checkFits(kind string, p appliance.Protocol) bool {
	return p != appliance.UDP || slices.Contains(appliance.DatagramMonitors(), appliance.MonitorKind(kind))
}

// persistenceFits tells whether clients of a service can be recognised in that way.
func persistenceFits(kind string, p appliance.Protocol) bool {
	k := appliance.PersistenceKind(kind)
	switch {
	case k.NeedsHTTP():
		return p == appliance.HTTP
	case k.NeedsTCP():
		return p == appliance.TCP
	}
	return k != appliance.PersistLastSuccessful || p != appliance.UDP
}

// fit returns what counts when somebody left the choice that was preset for another mode.
func (f Service) fit(field Field, typed string, fresh *appliance.VirtualService) string {
	if field.Path == "check.kind" && fresh.Protocol == appliance.UDP && typed == string(appliance.MonitorConnect) && strings.TrimSpace(f.Values["check.port"]) == "" {
		return field.get(fresh)
	}
	return typed
}

// Class names the modes in which the section counts, for the style sheet.
func (s Section) Class() string {
	switch {
	case len(s.Only) == 1:
		return "only-" + string(s.Only[0])
	case len(s.Only) > 1:
		return "only-streams"
	}
	return ""
}

// streams are the modes with connections.
func streams() []appliance.Protocol { return []appliance.Protocol{appliance.TCP, appliance.HTTP} }
