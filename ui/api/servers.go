package api

import (
	"fmt"
	"net/http"
	"slices"

	"evenkeel/appliance"
)

// StateChange is what an operator wants of a real server, at once.
type StateChange struct {
	State  appliance.State `json:"state,omitempty"`  // absent: unchanged
	Weight *int            `json:"weight,omitempty"` // absent: unchanged
	// Limit goes with drain: after it the server is halted; absent: it drains until told otherwise.
	Limit appliance.Duration `json:"limit,omitempty"`
}

// ServerState is what is wanted of a real server, as saved, and what is seen of it, when it runs.
type ServerState struct {
	State   appliance.State         `json:"state"`
	Weight  int                     `json:"weight"`
	Running *appliance.ServerStatus `json:"running,omitempty"`
	// Warnings follow a change: what it means for the clients.
	Warnings []string `json:"warnings,omitempty"`
}

// Trial is the answer of a real server to one check.
type Trial struct {
	appliance.Probe
	Transcript []string `json:"transcript"` // line by line
}

func (a *API) serverRoutes() []route {
	const list, one = "/virtual-services/{id}/real-servers", "/virtual-services/{id}/real-servers/{rid}"
	r := appliance.RealServer{}
	return []route{
		{Method: "GET", Path: list, Role: appliance.Viewer, Summary: "The real servers of a service as saved, in the operator's order.", Gives: []appliance.RealServer{}, Status: 200, do: listServers},
		{Method: "POST", Path: list, Role: appliance.Administrator, Summary: "Adds a real server at the end.", Query: committing(), Takes: r, Gives: r, Status: 201, do: createServer},
		{Method: "GET", Path: one, Role: appliance.Viewer, Summary: "One real server as saved.", Gives: r, Status: 200, do: showServer},
		{Method: "PUT", Path: one, Role: appliance.Administrator, Summary: "Replaces a real server.", Query: committing(), Takes: r, Gives: r, Status: 200, Guarded: true, do: replaceServer},
		{
			Method: "PATCH", Path: one, Role: appliance.Administrator, Summary: "Changes the fields that are sent (RFC 7396): null restores a default.",
			Query: committing(), Takes: r, Patch: true, Gives: r, Status: 200, Guarded: true, do: replaceServer,
		},
		{
			Method: "DELETE", Path: one, Role: appliance.Administrator, Summary: "Removes a real server. Applied, it gets no new clients and its open connections finish.",
			Query: committing(), Status: 204, Guarded: true, do: deleteServer,
		},
		{Method: "GET", Path: one + "/state", Role: appliance.Viewer, Summary: "What is wanted of the server, and what is seen of it.", Gives: ServerState{}, Status: 200, do: showState},
		{
			Method: "PUT", Path: one + "/state", Role: appliance.OperatorRole, Summary: "Drains, halts, brings online, or weighs the server at once. What is saved and not applied stays so.",
			Query: []parameter{why()}, Takes: StateChange{}, Gives: ServerState{}, Status: 200, do: act,
		},
		{Method: "POST", Path: one + "/test", Role: appliance.OperatorRole, Summary: "Tries the check once, as saved, and answers what was seen, step by step. No health changes.", Gives: Trial{}, Status: 200, do: testServer},
	}
}

func listServers(c *call) error {
	s, err := c.savedService()
	if err != nil {
		return err
	}
	if s.RealServers == nil {
		s.RealServers = []appliance.RealServer{}
	}
	return c.object(http.StatusOK, s.RealServers)
}

// savedServer returns the service and the server that the path names.
func (c *call) savedServer() (appliance.VirtualService, appliance.RealServer, error) {
	s, err := c.savedService()
	if err != nil {
		return s, appliance.RealServer{}, err
	}
	if r := s.Server(c.Param("rid")); r != nil {
		return s, *r, nil
	}
	return s, appliance.RealServer{}, notFound("real server", c.Param("rid"))
}

func showServer(c *call) error {
	_, r, err := c.savedServer()
	if err != nil {
		return err
	}
	return c.object(http.StatusOK, r)
}

func createServer(c *call) error {
	s, err := c.savedService()
	if err != nil {
		return err
	}
	var r appliance.RealServer
	if err := c.decode(&r); err != nil {
		return err
	}
	if err := noID(r.ID); err != nil {
		return err
	}
	place := 0
	return c.commit(change{
		edit: func(cfg *appliance.Config) error {
			at := cfg.Cluster.Service(s.ID)
			if at == nil {
				return notFound("virtual service", s.ID)
			}
			place = len(at.RealServers)
			at.RealServers = append(at.RealServers, r)
			return nil
		},
		within: func() []string { return serverPrefixes(s.Label, place) },
		answer: func(done appliance.Committed) error {
			if at := done.Config.Cluster.Service(s.ID); at != nil && len(at.RealServers) > place {
				made := at.RealServers[place]
				return c.created("/virtual-services/"+s.ID+"/real-servers/"+made.ID, made)
			}
			return &appliance.Error{Kind: appliance.Internal, Op: "find created real server"}
		},
	})
}

func serverPrefixes(service string, place int) []string {
	outer := servicePrefix(service)
	return []string{fmt.Sprintf("%sreal_servers[%d].", outer, place), outer}
}

// editServer commits an edit of one server of its service.
func (c *call) editServer(edit func(s *appliance.VirtualService, place int) error, answer func(appliance.Committed) error) error {
	s, old, err := c.savedServer()
	if err != nil {
		return err
	}
	hash, err := c.ifMatch(appliance.Hash(old))
	if err != nil {
		return err
	}
	place := 0
	return c.commit(change{
		bases: []appliance.Base{{Object: "real_server", ID: old.ID, Hash: hash}},
		edit: func(cfg *appliance.Config) error {
			at := cfg.Cluster.Service(s.ID)
			if at == nil {
				return notFound("virtual service", s.ID)
			}
			if place = slices.IndexFunc(at.RealServers, func(r appliance.RealServer) bool { return r.ID == old.ID }); place < 0 {
				return notFound("real server", old.ID)
			}
			return edit(at, place)
		},
		within: func() []string { return serverPrefixes(s.Label, place) },
		answer: answer,
	})
}

func replaceServer(c *call) error {
	text, err := c.body()
	if err != nil {
		return err
	}
	return c.editServer(func(s *appliance.VirtualService, place int) error {
		now := s.RealServers[place]
		var fresh appliance.RealServer
		if err := c.read(text, now, &fresh); err != nil {
			return err
		}
		if err := sameID(&fresh.ID, now.ID); err != nil {
			return err
		}
		s.RealServers[place] = fresh
		return nil
	}, func(done appliance.Committed) error {
		if s := done.Config.Cluster.Service(c.Param("id")); s != nil {
			if r := s.Server(c.Param("rid")); r != nil {
				return c.object(http.StatusOK, *r)
			}
		}
		return notFound("real server", c.Param("rid"))
	})
}

func deleteServer(c *call) error {
	return c.editServer(func(s *appliance.VirtualService, place int) error {
		s.RealServers = slices.Delete(s.RealServers, place, place+1)
		return nil
	}, c.gone)
}

func showState(c *call) error {
	s, r, err := c.savedServer()
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, c.stateOf(s.ID, r))
}

func (c *call) stateOf(service string, r appliance.RealServer) ServerState {
	out := ServerState{State: r.State, Weight: r.Weight}
	seen := c.api.Control.Status()
	if s, runs := seen.Service(service); runs {
		if status, runs := s.Server(r.ID); runs {
			out.Running = &status
		}
	}
	return out
}

func act(c *call) error {
	s, r, err := c.savedServer()
	if err != nil {
		return err
	}
	var want StateChange
	if err := c.decode(&want); err != nil {
		return err
	}
	var errs appliance.Errors
	if want.State == "" && want.Weight == nil {
		errs = append(errs, appliance.Refuse("state", "Say what is wanted: a state, a weight, or both."))
	}
	if want.State != "" && !want.State.Valid() {
		errs = append(errs, appliance.Refuse("state", "%.40q is not a state; choose online, drain or halt.", string(want.State)))
	}
	if w := want.Weight; w != nil && (*w < 0 || *w > appliance.MaxWeight) {
		errs = append(errs, appliance.Refuse("weight", "The weight is 0 to %d.", appliance.MaxWeight))
	}
	if len(errs) > 0 {
		return errs
	}
	ctx, cancel := c.lasting()
	defer cancel()
	done, err := c.api.Control.Act(ctx, c.origin, []appliance.Act{{Service: s.ID, Server: r.ID, State: want.State, Weight: want.Weight, Limit: want.Limit.D()}})
	if err != nil {
		return err
	}
	if err := c.settle(done); err != nil {
		return err
	}
	_, r, err = c.savedServer()
	if err != nil {
		return err
	}
	now := c.stateOf(s.ID, r)
	now.Warnings = done.Warnings
	return c.give(http.StatusOK, now)
}

func testServer(c *call) error {
	s, r, err := c.savedServer()
	if err != nil {
		return err
	}
	probe, transcript, err := c.api.Engine.Test(c.Request().Context(), c.api.Control.Saved().Config, s.ID, r.ID)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, Trial{probe, append([]string{}, transcript...)})
}
