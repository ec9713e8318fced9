package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/schema"
)

// Planned is the answer to a dry run and to a comparison.
type Planned struct {
	From      int64              `json:"from"`
	To        int64              `json:"to"`
	Unchanged bool               `json:"unchanged"`
	Summary   string             `json:"summary"`
	Changes   []appliance.Change `json:"changes"`
}

func planned(from, to int64, p appliance.Plan) Planned {
	out := Planned{From: from, To: to, Unchanged: p.Empty(), Summary: p.Summary(), Changes: p.Changes}
	if out.Changes == nil {
		out.Changes = []appliance.Change{}
	}
	return out
}

// change is one edit on its way into the configuration.
type change struct {
	bases  []appliance.Base
	edit   appliance.Edit
	within func() []string // prefixes of fields that mean the object that was sent; asked after the edit
	answer func(appliance.Committed) error
}

// commit saves the change, or only tries it, and answers. The revision's number goes into the header Revision.
func (c *call) commit(ch change) error {
	ctx, cancel := c.lasting()
	defer cancel()
	if c.dry {
		tried, err := c.api.Control.Try(ctx, ch.bases, ch.edit)
		if err != nil {
			return relative(err, ch.within)
		}
		saved := c.api.Control.Saved().Revision.Number
		return c.give(http.StatusOK, planned(saved, tried.Revision.Number, tried.Plan))
	}
	done, err := c.api.Control.Commit(ctx, c.origin, ch.bases, ch.edit)
	if err != nil {
		return relative(err, ch.within)
	}
	if err := c.settle(done); err != nil {
		return err
	}
	return ch.answer(done)
}

// settle names the revision and applies it when the client asked for that.
func (c *call) settle(done appliance.Committed) error {
	c.Response().Header().Set("Revision", strconv.FormatInt(done.Revision.Number, 10))
	if done.Revision.Outcome == appliance.Failed { // the settings say that a commit is applied at once
		return notApplied(done.Revision.Number, &appliance.Error{Kind: appliance.Unavailable, Message: done.Revision.Reason})
	}
	if !c.apply || c.api.Control.Pending().Empty() {
		return nil
	}
	ctx, cancel := c.lasting()
	defer cancel()
	if _, err := c.api.Control.Apply(ctx, c.origin); err != nil {
		return notApplied(done.Revision.Number, appliance.ErrorsOf(err)[0])
	}
	return nil
}

func notApplied(number int64, cause *appliance.Error) error {
	e := *cause
	e.Message = fmt.Sprintf("Saved as revision %d, but not applied: %s", number, e.Text())
	e.Hint = strings.TrimSpace("What ran before still serves. " + e.Hint) // a hint may end in a command
	return &e
}

// relative makes fields relative to the object that was sent. What concerns other objects keeps its whole path.
func relative(err error, within func() []string) error {
	var syntax *schema.SyntaxError
	if within == nil || errors.As(err, &syntax) {
		return err
	}
	switch appliance.KindOf(err) {
	case appliance.Invalid, appliance.Conflict, appliance.Unsupported, appliance.Unavailable:
	default:
		return err
	}
	var out appliance.Errors
	for _, e := range appliance.ErrorsOf(err) {
		moved := *e
		for _, prefix := range within() {
			if rest, found := strings.CutPrefix(e.Field, prefix); found {
				moved.Field = rest
				break
			}
		}
		out = append(out, &moved)
	}
	return out
}

// addDifference puts the object as it is now, and what changed, into the answer to a stale edit.
func addDifference(p *problem.Problem, err error) {
	var stale *appliance.StaleError
	if errors.As(err, &stale) {
		p.Current, p.Changed = stale.Theirs, stale.Changed.Changes
	}
}

func notFound(object, id string) error {
	return &appliance.Error{Kind: appliance.NotFound, Subject: id, Message: fmt.Sprintf("There is no %s with the id %.40q.", object, id)}
}

// sameID refuses a body that names another object than the path.
func sameID(id *string, want string) error {
	if *id != "" && *id != want {
		e := appliance.Refuse("id", "The id of an object never changes; this one is %s.", want)
		e.Hint = "Leave the id out, or send the one of the path."
		return e
	}
	*id = want
	return nil
}

func noID(id string) error {
	if id == "" {
		return nil
	}
	e := appliance.Refuse("id", "The appliance gives the id.")
	e.Hint = "Leave the id out."
	return e
}
