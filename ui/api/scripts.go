package api

import (
	"net/http"
	"slices"
	"strings"

	"evenkeel/appliance"
)

func (a *API) scriptRoutes() []route {
	const list, one = "/scripts", "/scripts/{id}"
	s := appliance.Script{}
	return []route{
		{Method: "GET", Path: list, Role: appliance.Viewer, Summary: "All health check scripts as saved.", Gives: []appliance.Script{}, Status: 200, do: listScripts},
		{Method: "POST", Path: list, Role: appliance.Administrator, Summary: "Adds a health check script.", Query: committing(), Takes: s, Gives: s, Status: 201, do: createScript},
		{Method: "GET", Path: one, Role: appliance.Viewer, Summary: "One health check script as saved.", Gives: s, Status: 200, do: showScript},
		{Method: "PUT", Path: one, Role: appliance.Administrator, Summary: "Replaces a health check script.", Query: committing(), Takes: s, Gives: s, Status: 200, Guarded: true, do: replaceScript},
		{
			Method: "PATCH", Path: one, Role: appliance.Administrator, Summary: "Changes the fields that are sent (RFC 7396).",
			Query: committing(), Takes: s, Patch: true, Gives: s, Status: 200, Guarded: true, do: replaceScript,
		},
		{Method: "DELETE", Path: one, Role: appliance.Administrator, Summary: "Removes a health check script that no service uses.", Query: committing(), Status: 204, Guarded: true, do: deleteScript},
		{Method: "GET", Path: "/settings", Role: appliance.Viewer, Summary: "The settings of the whole pair as saved.", Gives: appliance.Settings{}, Status: 200, do: showSettings},
		{
			Method: "PUT", Path: "/settings", Role: appliance.Administrator, Summary: "Replaces the settings.",
			Query: committing(), Takes: appliance.Settings{}, Gives: appliance.Settings{}, Status: 200, Guarded: true, do: replaceSettings,
		},
	}
}

func listScripts(c *call) error {
	list := c.api.Control.Saved().Config.Cluster.Scripts
	if list == nil {
		list = []appliance.Script{}
	}
	return c.object(http.StatusOK, list)
}

func (c *call) savedScript() (appliance.Script, error) {
	cfg := c.api.Control.Saved().Config
	if s := cfg.Cluster.Script(c.Param("id")); s != nil {
		return *s, nil
	}
	return appliance.Script{}, notFound("health check script", c.Param("id"))
}

func showScript(c *call) error {
	s, err := c.savedScript()
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, s)
}

func scriptPrefix(label string) string { return "scripts[" + label + "]." }

func createScript(c *call) error {
	var s appliance.Script
	if err := c.decode(&s); err != nil {
		return err
	}
	if err := noID(s.ID); err != nil {
		return err
	}
	s.Label = strings.TrimSpace(s.Label)
	return c.commit(change{
		edit: func(cfg *appliance.Config) error {
			cfg.Cluster.Scripts = append(cfg.Cluster.Scripts, s)
			return nil
		},
		within: func() []string { return []string{scriptPrefix(s.Label)} },
		answer: func(done appliance.Committed) error {
			for _, made := range done.Config.Cluster.Scripts {
				if made.Label == s.Label {
					return c.created("/scripts/"+made.ID, made)
				}
			}
			return &appliance.Error{Kind: appliance.Internal, Op: "find created script"}
		},
	})
}

func replaceScript(c *call) error {
	old, err := c.savedScript()
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
		bases: []appliance.Base{{Object: "script", ID: old.ID, Hash: hash}},
		edit: func(cfg *appliance.Config) error {
			at := cfg.Cluster.Script(old.ID)
			if at == nil {
				return notFound("health check script", old.ID)
			}
			var fresh appliance.Script
			if err := c.read(text, *at, &fresh); err != nil {
				return err
			}
			fresh.Label = strings.TrimSpace(fresh.Label)
			label = fresh.Label
			if err := sameID(&fresh.ID, old.ID); err != nil {
				return err
			}
			*at = fresh
			return nil
		},
		within: func() []string { return []string{scriptPrefix(label)} },
		answer: func(done appliance.Committed) error {
			s := done.Config.Cluster.Script(old.ID)
			if s == nil {
				return notFound("health check script", old.ID)
			}
			return c.object(http.StatusOK, *s)
		},
	})
}

func deleteScript(c *call) error {
	old, err := c.savedScript()
	if err != nil {
		return err
	}
	hash, err := c.ifMatch(appliance.Hash(old))
	if err != nil {
		return err
	}
	return c.commit(change{
		bases: []appliance.Base{{Object: "script", ID: old.ID, Hash: hash}},
		edit: func(cfg *appliance.Config) error {
			for _, s := range cfg.Cluster.VirtualServices {
				if s.Monitor.Kind == appliance.MonitorScript && s.Monitor.Script == old.ID {
					return &appliance.Error{
						Kind: appliance.Conflict, Subject: old.ID, Message: "The service " + s.Label + " is checked with this script.",
						Hint: "Give the service another check first.",
					}
				}
			}
			cfg.Cluster.Scripts = slices.DeleteFunc(cfg.Cluster.Scripts, func(s appliance.Script) bool { return s.ID == old.ID })
			return nil
		},
		answer: c.gone,
	})
}

func showSettings(c *call) error {
	return c.object(http.StatusOK, c.api.Control.Saved().Config.Cluster.Settings)
}

func replaceSettings(c *call) error {
	hash, err := c.ifMatch(appliance.Hash(c.api.Control.Saved().Config.Cluster.Settings))
	if err != nil {
		return err
	}
	var s appliance.Settings
	if err := c.decode(&s); err != nil {
		return err
	}
	return c.commit(change{
		bases: []appliance.Base{{Object: "settings", ID: "settings", Hash: hash}},
		edit: func(cfg *appliance.Config) error {
			cfg.Cluster.Settings = s
			return nil
		},
		answer: func(done appliance.Committed) error { return c.object(http.StatusOK, done.Config.Cluster.Settings) },
	})
}
