package api

import (
	"fmt"
	"net/http"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/schema"
)

func (a *API) serviceRoutes() []route {
	const list, one = "/virtual-services", "/virtual-services/{id}"
	s := appliance.VirtualService{}
	return []route{
		{Method: "GET", Path: list, Role: appliance.Viewer, Summary: "All virtual services as saved, sorted by label.", Gives: []appliance.VirtualService{}, Status: 200, do: listServices},
		{
			Method: "POST", Path: list, Role: appliance.Administrator, Summary: "Adds a virtual service with its real servers. Fields that are left out get their defaults.",
			Query: committing(), Takes: s, Gives: s, Status: 201, do: createService,
		},
		{Method: "GET", Path: one, Role: appliance.Viewer, Summary: "One virtual service as saved.", Gives: s, Status: 200, do: showService},
		{
			Method: "PUT", Path: one, Role: appliance.Administrator, Summary: "Replaces a virtual service. Real servers are known by id, or by label when no id is given.",
			Query: committing(), Takes: s, Gives: s, Status: 200, Guarded: true, do: replaceService,
		},
		{
			Method: "PATCH", Path: one, Role: appliance.Administrator, Summary: "Changes the fields that are sent (RFC 7396): null restores a default, lists are replaced whole.",
			Query: committing(), Takes: s, Patch: true, Gives: s, Status: 200, Guarded: true, do: replaceService,
		},
		{
			Method: "DELETE", Path: one, Role: appliance.Administrator, Summary: "Removes a virtual service. Applied, this ends its connections.",
			Query: committing(), Status: 204, Guarded: true, do: deleteService,
		},
	}
}

func listServices(c *call) error {
	list := c.api.Control.Saved().Config.Cluster.VirtualServices
	if list == nil {
		list = []appliance.VirtualService{}
	}
	return c.object(http.StatusOK, list)
}

// savedService returns a copy of the service that the path names.
func (c *call) savedService() (appliance.VirtualService, error) {
	cfg := c.api.Control.Saved().Config
	if s := cfg.Cluster.Service(c.Param("id")); s != nil {
		return s.Clone(), nil
	}
	return appliance.VirtualService{}, notFound("virtual service", c.Param("id"))
}

func showService(c *call) error {
	s, err := c.savedService()
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, s)
}

func servicePrefix(label string) string {
	return "virtual_services[" + strings.TrimSpace(label) + "]."
}

func createService(c *call) error {
	var s appliance.VirtualService
	if err := c.decode(&s); err != nil {
		return err
	}
	if err := noID(s.ID); err != nil {
		return err
	}
	if err := adopt(&s, nil, nil); err != nil {
		return err
	}
	return c.commit(change{
		edit: func(cfg *appliance.Config) error {
			cfg.Cluster.VirtualServices = append(cfg.Cluster.VirtualServices, s.Clone())
			return nil
		},
		within: func() []string { return []string{servicePrefix(s.Label)} },
		answer: func(done appliance.Committed) error {
			for _, made := range done.Config.Cluster.VirtualServices {
				if made.Label == strings.TrimSpace(s.Label) {
					return c.created("/virtual-services/"+made.ID, made)
				}
			}
			return &appliance.Error{Kind: appliance.Internal, Op: "find created service"}
		},
	})
}

// created answers with a new object and its place.
func (c *call) created(path string, v any) error {
	c.Response().Header().Set("Location", Prefix+path)
	return c.object(http.StatusCreated, v)
}

// adopt gives the real servers of a service their ids: a server without one is the old server of the same label, or new.
func adopt(s *appliance.VirtualService, old []appliance.RealServer, rules []appliance.Rule) error {
	var errs appliance.Errors
	byID, byLabel := map[string]bool{}, map[string]string{}
	for _, r := range old {
		byID[r.ID], byLabel[r.Label] = true, r.ID
	}
	taken := map[string]bool{}
	for _, r := range s.RealServers {
		taken[r.ID] = true
	}
	for i := range s.RealServers {
		r := &s.RealServers[i]
		if r.ID == "" {
			if id := byLabel[strings.TrimSpace(r.Label)]; !taken[id] {
				r.ID, taken[id] = id, id != ""
			}
			continue
		}
		if !byID[r.ID] {
			e := appliance.Refuse(fmt.Sprintf("real_servers[%d].id", i), "This service has no real server with the id %.40q.", r.ID)
			e.Hint = "Leave the id out to add a real server."
			errs = append(errs, e)
		}
	}
	if errs = append(errs, adoptRules(s, rules)...); len(errs) > 0 {
		return errs
	}
	return nil
}

// replaceService is PUT and PATCH.
func replaceService(c *call) error {
	old, err := c.savedService()
	if err != nil {
		return err
	}
	hash, err := c.ifMatch(appliance.Hash(old))
	if err != nil {
		return err
	}
	text, err := c.body()
	if err != nil {
		return err
	}
	label := old.Label
	return c.commit(change{
		bases: []appliance.Base{{Object: "virtual_service", ID: old.ID, Hash: hash}},
		edit: func(cfg *appliance.Config) error {
			at := cfg.Cluster.Service(old.ID)
			if at == nil {
				return notFound("virtual service", old.ID)
			}
			fresh, err := c.edited(text, *at)
			label = fresh.Label
			*at = fresh
			return err
		},
		within: func() []string { return []string{servicePrefix(label)} },
		answer: func(done appliance.Committed) error {
			s := done.Config.Cluster.Service(old.ID)
			if s == nil {
				return notFound("virtual service", old.ID)
			}
			return c.object(http.StatusOK, *s)
		},
	})
}

// edited is the service that a PUT or PATCH body makes of the present one.
func (c *call) edited(text []byte, now appliance.VirtualService) (appliance.VirtualService, error) {
	var fresh appliance.VirtualService
	if err := c.read(text, now, &fresh); err != nil {
		return now, err
	}
	if err := sameID(&fresh.ID, now.ID); err != nil {
		return now, err
	}
	return fresh, adopt(&fresh, now.RealServers, now.Rules)
}

// read reads a body of PUT whole, and one of PATCH as a change of the present value.
func (c *call) read(text []byte, now, into any) error {
	if c.route.Patch {
		return schema.Merge(now, text, into)
	}
	return schema.Decode(text, into)
}

func deleteService(c *call) error {
	old, err := c.savedService()
	if err != nil {
		return err
	}
	hash, err := c.ifMatch(appliance.Hash(old))
	if err != nil {
		return err
	}
	return c.commit(change{
		bases: []appliance.Base{{Object: "virtual_service", ID: old.ID, Hash: hash}},
		edit: func(cfg *appliance.Config) error {
			kept := cfg.Cluster.VirtualServices[:0]
			for _, s := range cfg.Cluster.VirtualServices {
				if s.ID != old.ID {
					kept = append(kept, s)
				}
			}
			cfg.Cluster.VirtualServices = kept
			return nil
		},
		answer: c.gone,
	})
}

// gone answers to a removal.
func (c *call) gone(appliance.Committed) error { return c.NoContent(http.StatusNoContent) }
