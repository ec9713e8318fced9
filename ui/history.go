package ui

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

const (
	historyPath = "/lbadmin/history"
	mostListed  = 50
)

func history(p *page) error {
	before, _ := strconv.ParseInt(p.QueryParam("before"), 10, 64)
	if p.exporting() {
		l, err := p.historyList(max(before, 0))
		if err != nil {
			return err
		}
		return p.export(l)
	}
	list, err := p.ui.Control.Revisions(p.ctx(), max(before, 0), mostListed+1)
	if err != nil {
		return err
	}
	h := view.History{Running: p.ui.Control.Running().Revision.Number, Saved: p.ui.Control.Saved().Revision.Number, Newest: before <= 0}
	if len(list) > mostListed {
		list = list[:mostListed]
		h.Older = historyPath + "?before=" + strconv.FormatInt(list[len(list)-1].Number, 10)
	}
	h.Revisions = list
	if h.Newest {
		h.Forks = p.ui.Control.Forks()
	}
	return p.show(http.StatusOK, view.HistoryPage(p.frame("History", historyPath), h))
}

func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, &appliance.Error{Kind: appliance.NotFound, Message: "There is no such revision."}
	}
	return n, nil
}

// revision shows one revision: what it changed, and how to go back to it.
func revision(p *page) error {
	n, err := number(p.Param("number"))
	if err != nil {
		return err
	}
	snapshot, err := p.ui.Control.Revision(p.ctx(), n)
	if err != nil {
		return err
	}
	v := view.RevisionView{
		Revision: snapshot.Revision, Running: p.ui.Control.Running().Revision.Number, Saved: p.ui.Control.Saved().Revision.Number,
		Services: len(snapshot.Config.Cluster.VirtualServices), May: p.may(appliance.Administrator),
	}
	if n > 1 {
		plan, err := p.ui.Control.Compare(p.ctx(), n-1, n)
		if err != nil {
			return err
		}
		v.Changes = changesOf(plan)
	}
	if n != v.Saved {
		plan, err := p.ui.Control.Compare(p.ctx(), v.Saved, n)
		if err != nil {
			return err
		}
		v.Back = changesOf(plan)
	}
	return p.show(http.StatusOK, view.RevisionPage(p.frame("Revision "+p.Param("number"), historyPath), v))
}

func changesOf(plan appliance.Plan) []view.Change {
	out := make([]view.Change, 0, len(plan.Changes))
	for _, c := range plan.Changes {
		out = append(out, changeOf(c, nil))
	}
	return out
}

func compareRevisions(p *page) error {
	from, err := number(p.QueryParam("from"))
	if err != nil {
		return err
	}
	to, err := number(p.QueryParam("to"))
	if err != nil {
		return err
	}
	if from > to {
		from, to = to, from
	}
	plan, err := p.ui.Control.Compare(p.ctx(), from, to)
	if err != nil {
		return err
	}
	f := p.frame(sprintf("Revisions %d and %d", from, to), historyPath)
	return p.show(http.StatusOK, view.ComparePage(f, view.Compare{From: from, To: to, Changes: changesOf(plan)}))
}

func rollBack(p *page) error {
	n, err := number(p.Param("number"))
	if err != nil {
		return err
	}
	ctx, cancel := p.lasting()
	defer cancel()
	made, err := p.ui.Control.Rollback(ctx, p.origin, n)
	if err != nil {
		if kind := appliance.KindOf(err); kind == appliance.Internal || kind == appliance.NotFound {
			return err
		}
		for _, e := range appliance.ErrorsOf(err) {
			p.say("error", "Revision %d cannot come back: %s%s", n, e.Text(), hinted(e))
		}
		return p.see(historyPath)
	}
	if made.Unchanged {
		return p.done(historyPath, "What is saved is the same as revision %d.", n)
	}
	return p.done(historyPath, "Revision %d is saved again, as revision %d%s.", n, made.Revision.Number, p.ui.whetherRunning())
}

const configurationPath = "/lbadmin/configuration"

func (p *page) snapshot() (string, appliance.Snapshot) {
	if p.QueryParam("which") == "saved" {
		return "saved", p.ui.Control.Saved()
	}
	return "running", p.ui.Control.Running()
}

// configuration shows the running or the saved configuration as JSON.
func configuration(p *page) error {
	which, snapshot := p.snapshot()
	text, err := json.MarshalIndent(snapshot.Config, "", "  ")
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write configuration", Err: err}
	}
	v := view.Configuration{Which: which, Revision: snapshot.Revision.Number, JSON: string(text), Same: p.ui.Control.Pending().Empty()}
	return p.show(http.StatusOK, view.ConfigurationPage(p.frame("Running and saved configuration", configurationPath), v))
}

// downloadConfiguration gives the file that `config import` reads.
func downloadConfiguration(p *page) error {
	which, snapshot := p.snapshot()
	text, err := json.MarshalIndent(snapshot.Config, "", "  ")
	if err != nil {
		return &appliance.Error{Kind: appliance.Internal, Op: "write configuration", Err: err}
	}
	name := "evenkeel-" + which + "-" + strconv.FormatInt(snapshot.Revision.Number, 10) + "-" + p.ui.Now().UTC().Format(time.DateOnly) + ".json"
	p.Response().Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return p.Blob(http.StatusOK, "application/json", append(text, '\n'))
}
