package api

import (
	"fmt"
	"net/http"
	"strconv"

	"evenkeel/appliance"
)

// Content is a revision with the configuration that it holds.
type Content struct {
	appliance.Revision
	Cluster appliance.Cluster `json:"cluster"`
}

// maxImport is room for the largest configuration: 5000 services.
const maxImport = 64 << 20

func (a *API) historyRoutes() []route {
	const one = "/revisions/{n}"
	return []route{
		{Method: "GET", Path: "/revisions", Role: appliance.Viewer, Summary: "The history of the configuration, newest first.", Query: paging(), Gives: []appliance.Revision{}, Status: 200, do: listRevisions},
		{Method: "GET", Path: one, Role: appliance.Viewer, Summary: "One revision with its content.", Gives: Content{}, Status: 200, do: showRevision},
		{
			Method: "GET", Path: one + "/diff", Role: appliance.Viewer, Summary: "What the revision changed.",
			Query: []parameter{{"against", "integer", "Compare with this revision; the one before when absent."}}, Gives: Planned{}, Status: 200, do: showDifference,
		},
		{Method: "POST", Path: one + "/rollback", Role: appliance.Administrator, Summary: "Saves the content of that revision as a new one.", Query: committing(), Gives: Planned{}, Status: 200, do: rollback},
		{Method: "GET", Path: "/forks", Role: appliance.Viewer, Summary: "What was set aside on this node, because the other one of the pair had gone on without it; newest first.", Gives: []appliance.Fork{}, Status: 200, do: listForks},
		{Method: "GET", Path: oneFork, Role: appliance.Viewer, Summary: "What was set aside at once, and what would change if the newest of it ran instead of what runs.", Gives: SetAside{}, Status: 200, do: showFork},
		{Method: "POST", Path: oneFork + "/keep", Role: appliance.Administrator, Summary: "Ends the alarm; what was set aside stays.", Query: []parameter{why()}, Gives: appliance.Fork{}, Status: 200, do: keepFork},
		{Method: "DELETE", Path: oneFork, Role: appliance.Administrator, Summary: "Removes what was set aside from this node for good.", Query: []parameter{why()}, Status: 204, do: discardFork},
		{Method: "GET", Path: "/configuration", Role: appliance.Viewer, Summary: "The whole configuration as saved.", Gives: Configuration{}, Status: 200, do: export},
		{
			Method: "PUT", Path: "/configuration", Role: appliance.Administrator, Summary: "Replaces the whole configuration, in one revision.",
			Query: committing(), Takes: Configuration{}, Gives: Configuration{}, Status: 200, Guarded: true, Limit: maxImport, do: replaceAll,
		},
		{Method: "GET", Path: "/audit", Role: appliance.Viewer, Summary: "Who did what, newest first.", Query: paging(), Gives: []appliance.AuditEntry{}, Status: 200, do: listAudit},
	}
}

// page reads the paging parameters.
func (c *call) page() (before int64, limit int, err error) {
	if before, err = c.number("before", 0, 1, 1<<62); err != nil {
		return 0, 0, err
	}
	n, err := c.number("limit", 50, 1, 500)
	return before, int(n), err
}

// next names the following page when this one is full.
func (c *call) next(count, limit int, last int64) {
	if count == limit && last > 1 {
		c.Response().Header().Set("Link", fmt.Sprintf(`<%s?before=%d&limit=%d>; rel="next"`, c.Request().URL.Path, last, limit))
	}
}

func listRevisions(c *call) error {
	before, limit, err := c.page()
	if err != nil {
		return err
	}
	list, err := c.api.Control.Revisions(c.Request().Context(), before, limit)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return c.give(http.StatusOK, []appliance.Revision{})
	}
	c.next(len(list), limit, list[len(list)-1].Number)
	return c.give(http.StatusOK, list)
}

func listAudit(c *call) error {
	before, limit, err := c.page()
	if err != nil {
		return err
	}
	list, err := c.api.Store.AuditEntries(c.Request().Context(), before, limit)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return c.give(http.StatusOK, []appliance.AuditEntry{})
	}
	c.next(len(list), limit, list[len(list)-1].ID)
	return c.give(http.StatusOK, list)
}

// revision reads the revision that the path names.
func (c *call) revision() (appliance.Snapshot, error) {
	n, err := strconv.ParseInt(c.Param("n"), 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != c.Param("n") {
		return appliance.Snapshot{}, &appliance.Error{Kind: appliance.NotFound, Message: fmt.Sprintf("There is no revision %.40q.", c.Param("n"))}
	}
	return c.api.Control.Revision(c.Request().Context(), n)
}

func showRevision(c *call) error {
	s, err := c.revision()
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, Content{s.Revision, s.Config.Cluster})
}

func showDifference(c *call) error {
	s, err := c.revision()
	if err != nil {
		return err
	}
	n := s.Revision.Number
	against, err := c.number("against", n-1, 1, 1<<62)
	if err != nil {
		return err
	}
	if against == 0 { // the first one: against an empty configuration
		return c.give(http.StatusOK, planned(0, n, appliance.Diff(appliance.Config{Local: s.Config.Local}, s.Config)))
	}
	plan, err := c.api.Control.Compare(c.Request().Context(), against, n)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, planned(against, n, plan))
}

func rollback(c *call) error {
	s, err := c.revision()
	if err != nil {
		return err
	}
	before := c.api.Control.Saved().Revision.Number
	if c.dry {
		return c.commit(change{edit: func(cfg *appliance.Config) error {
			cfg.Cluster = s.Config.Cluster.Clone()
			return nil
		}})
	}
	ctx, cancel := c.lasting()
	defer cancel()
	done, err := c.api.Control.Rollback(ctx, c.origin, s.Revision.Number)
	if err != nil {
		return err
	}
	if err := c.settle(done); err != nil {
		return err
	}
	return c.give(http.StatusOK, planned(before, done.Revision.Number, done.Plan))
}

// configurationFormat is the number that begins an exported configuration.
const configurationFormat = 1

// Configuration is the whole configuration as it is exported: the same bytes that the command line writes for a folder at rest.
type Configuration struct {
	Format  int               `json:"evenkeel"`
	Cluster appliance.Cluster `json:"cluster"`
	Local   appliance.Local   `json:"local"`
}

func exported(cfg appliance.Config) Configuration {
	return Configuration{configurationFormat, cfg.Cluster, cfg.Local}
}

func export(c *call) error {
	return c.object(http.StatusOK, exported(c.api.Control.Saved().Config))
}

// replaceAll is the import: one revision of each line that differs, or none.
func replaceAll(c *call) error {
	saved := c.api.Control.Saved().Config
	now := appliance.Hash(exported(saved))
	hash, err := c.ifMatch(now)
	if err != nil {
		return err
	}
	var bases []appliance.Base
	if hash == now {
		bases = []appliance.Base{{Object: "cluster", Hash: appliance.Hash(saved.Cluster)}, {Object: "local", Hash: appliance.Hash(saved.Local)}}
	} else if hash != "" {
		return &appliance.Error{
			Kind: appliance.Stale, Message: "The configuration was changed since you read it.",
			Hint: "Export it again, or send If-Match: * to overwrite whatever is there.",
		}
	}
	var fresh Configuration
	if err := c.decode(&fresh); err != nil {
		return err
	}
	if fresh.Format != configurationFormat {
		return &appliance.Error{
			Kind: appliance.Unsupported, Field: "evenkeel", Message: fmt.Sprintf("The configuration has format %d; this version reads format %d.", fresh.Format, configurationFormat),
			Hint: `An exported configuration begins with {"evenkeel": 1, "cluster": …}.`,
		}
	}
	return c.commit(change{
		bases: bases,
		edit: func(cfg *appliance.Config) error {
			*cfg = appliance.Config{Cluster: fresh.Cluster, Local: fresh.Local}.Clone()
			return nil
		},
		answer: func(done appliance.Committed) error { return c.object(http.StatusOK, exported(done.Config)) },
	})
}
