package view

import (
	"strconv"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// History lists revisions, newest first.
type History struct {
	Revisions      []appliance.Revision
	Running, Saved int64
	Newest         bool   // the list begins with the newest
	Older          string // where the list goes on
	Forks          []appliance.Fork
}

// ForkView is what was set aside at once.
type ForkView struct {
	appliance.Fork
	Changes []Change // if the newest of it ran instead of what runs
	May     bool
}

func forkLink(f appliance.Fork) string { return "/lbadmin/history/aside/" + f.ID }

// RevisionView is one revision.
type RevisionView struct {
	Revision       appliance.Revision
	Running, Saved int64
	Services       int
	Changes        []Change // against the one before
	Back           []Change // what going back to it changes
	May            bool
}

// Compare is the difference between two revisions.
type Compare struct {
	From, To int64
	Changes  []Change
}

// Configuration is the running or saved configuration as text.
type Configuration struct {
	Which    string
	Revision int64
	JSON     string
	Same     bool // nothing is pending
}

// Wizard is the Setup Wizard's page for one template.
type Wizard struct {
	Fields []SimpleField
	Errors form.Errors
	Review []WizardService // nil: the addresses are still to be typed
}

// WizardService is a service that will be created.
type WizardService struct {
	Label, Address, Ports, Check, Persistence string
	Servers                                   []WizardServer
}

// WizardServer is one of its servers and its answer.
type WizardServer struct {
	Label, Address string
	Answer         *appliance.Probe
	Note           string
}

func revisionPath(n int64) string { return "/lbadmin/history/" + strconv.FormatInt(n, 10) }

func outcomeTag(r appliance.Revision, running int64) (class, word string) {
	switch {
	case r.Number == running:
		return "good", "running"
	case r.Outcome == appliance.Failed:
		return "bad", "refused"
	case r.Outcome == appliance.Pending:
		return "wait", "not applied"
	}
	return "", "was running"
}

func outcomeClass(r appliance.Revision, running int64) string {
	class, _ := outcomeTag(r, running)
	return class
}

func outcomeWord(r appliance.Revision, running int64) string {
	_, word := outcomeTag(r, running)
	return word
}

func (w Wizard) bad() int {
	n := 0
	for _, s := range w.Review {
		for _, r := range s.Servers {
			if r.Answer == nil || !r.Answer.Good {
				n++
			}
		}
	}
	return n
}
