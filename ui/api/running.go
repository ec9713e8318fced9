package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"evenkeel/appliance"
)

// Release names what answers.
type Release struct {
	Product  string `json:"product"`
	Version  string `json:"version"`
	Revision int64  `json:"revision"` // newest, of the cluster line
}

// Cleared says how many entries are gone.
type Cleared struct {
	Cleared int `json:"cleared"`
}

func (a *API) runningRoutes() []route {
	service := parameter{"service", "string", "Only the virtual service with this id."}
	chosen := []parameter{service, {"server", "string", "Only the real server with this id."}, {"client", "string", "Only clients in this network, or with this address."}}
	return []route{
		{
			Method: "GET", Path: "/status", Role: appliance.Viewer, Summary: "What is seen of the running services and servers, now.",
			Query: []parameter{service}, Gives: appliance.Status{}, Status: 200, do: showStatus,
		},
		{Method: "GET", Path: "/alerts", Role: appliance.Viewer, Summary: "Standing messages; each disappears with its cause.", Gives: []appliance.Alert{}, Status: 200, do: listAlerts},
		{Method: "GET", Path: "/pending", Role: appliance.Viewer, Summary: "What is saved and not yet running.", Gives: Planned{}, Status: 200, do: showPending},
		{
			Method: "POST", Path: "/apply", Role: appliance.Administrator, Summary: "Makes the saved configuration run. Connections that it does not concern stay open.",
			Query: []parameter{why()}, Gives: appliance.Revision{}, Status: 200, do: apply,
		},
		{
			Method: "POST", Path: "/discard", Role: appliance.Administrator, Summary: "Gives up what is saved and not running: a new revision with the running content.",
			Query: []parameter{why()}, Gives: Planned{}, Status: 200, do: discard,
		},
		{
			Method: "GET", Path: "/persistence", Role: appliance.Viewer, Summary: "Which client would come back to which server.",
			Query: append(chosen[:3:3], parameter{"limit", "integer", "At most so many, 1 to 100000; 1000 when absent."}),
			Gives: []appliance.PersistenceEntry{}, Status: 200, do: listPersistence,
		},
		{
			Method: "DELETE", Path: "/persistence", Role: appliance.OperatorRole, Summary: "Forgets which client belongs to which server. Open connections stay.",
			Query: append([]parameter{why()}, append(chosen[:3:3], parameter{"all", "boolean", "true: of every service; needed when nothing else is named."})...),
			Gives: Cleared{}, Status: 200, do: clearPersistence,
		},
		{Method: "GET", Path: "/version", Role: appliance.Viewer, Summary: "Product, version and newest revision.", Gives: Release{}, Status: 200, do: showVersion},
		{Method: "GET", Path: "/openapi.json", Role: appliance.Viewer, Summary: "This description, as OpenAPI 3.1.", Status: 200, do: showDescription},
	}
}

func showStatus(c *call) error {
	seen := c.api.Control.Status()
	if c.query.Has("service") {
		s, runs := seen.Service(c.query.Get("service"))
		if !runs {
			return notFound("running virtual service", c.query.Get("service"))
		}
		seen.Services = []appliance.ServiceStatus{s}
	}
	if seen.Services == nil {
		seen.Services = []appliance.ServiceStatus{}
	}
	return c.give(http.StatusOK, seen)
}

func listAlerts(c *call) error {
	list := c.api.Control.Alerts()
	if list == nil {
		list = []appliance.Alert{}
	}
	return c.give(http.StatusOK, list)
}

func showPending(c *call) error {
	running, saved := c.api.Control.Running().Revision.Number, c.api.Control.Saved().Revision.Number
	return c.give(http.StatusOK, planned(running, saved, c.api.Control.Pending()))
}

func apply(c *call) error {
	ctx, cancel := c.lasting()
	defer cancel()
	r, err := c.api.Control.Apply(ctx, c.origin)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, r)
}

func discard(c *call) error {
	ctx, cancel := c.lasting()
	defer cancel()
	before := c.api.Control.Saved().Revision.Number
	done, err := c.api.Control.Discard(ctx, c.origin)
	if err != nil {
		return err
	}
	return c.give(http.StatusOK, planned(before, done.Revision.Number, done.Plan))
}

// clients reads the query's client: an address or a network; the zero prefix means all.
func (c *call) clients() (netip.Prefix, error) {
	text := c.query.Get("client")
	if text == "" {
		return netip.Prefix{}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, appliance.Refuse("client", "%.60q is neither an address nor a network.", text)
	}
	return p.Masked(), nil
}

// remembered is what the query's service, server and client choose among the entries of the running services.
func (c *call) remembered(client netip.Prefix) []appliance.PersistenceEntry {
	service, server := c.query.Get("service"), c.query.Get("server")
	out := []appliance.PersistenceEntry{}
	for _, s := range c.api.Control.Running().Config.Cluster.VirtualServices {
		if service != "" && s.ID != service {
			continue
		}
		for _, e := range c.api.Engine.Persistence(s.ID) {
			if (server == "" || e.ServerID == server) && (!client.IsValid() || client.Overlaps(e.Client)) {
				out = append(out, e)
			}
		}
	}
	return out
}

func listPersistence(c *call) error {
	client, err := c.clients()
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 1000, 1, 100_000)
	if err != nil {
		return err
	}
	out := c.remembered(client)
	slices.SortFunc(out, func(a, b appliance.PersistenceEntry) int {
		return cmp.Or(cmp.Compare(a.ServiceID, b.ServiceID), a.Client.Addr().Compare(b.Client.Addr()), cmp.Compare(a.ServerID, b.ServerID))
	})
	return c.give(http.StatusOK, out[:min(len(out), int(limit))])
}

func clearPersistence(c *call) error {
	client, err := c.clients()
	if err != nil {
		return err
	}
	all, err := c.truth("all")
	if err != nil {
		return err
	}
	service, server := c.query.Get("service"), c.query.Get("server")
	if named := service != "" || server != "" || client.IsValid(); named == all {
		return appliance.Refuse("all", "Name a service, a server or clients; or say all=true to clear every entry.")
	}
	n := 0
	if client.IsValid() {
		for _, e := range c.remembered(client) {
			n += c.api.Engine.ClearPersistence(e.ServiceID, "", e.Client)
		}
	} else {
		for _, s := range c.api.Control.Running().Config.Cluster.VirtualServices {
			if service == "" || s.ID == service {
				n += c.api.Engine.ClearPersistence(s.ID, server, netip.Prefix{})
			}
		}
	}
	c.audit("persistence_clear", service+" "+server+" "+c.query.Get("client"), n)
	return c.give(http.StatusOK, Cleared{n})
}

// audit records what is no commit. A record that cannot be written is logged: the deed is done.
func (c *call) audit(action, subject string, entries int) {
	ctx, cancel := c.lasting()
	defer cancel()
	err := c.api.Store.Audit(ctx, appliance.AuditEntry{
		Origin: c.origin, Action: action, Subject: strings.TrimSpace(subject), Outcome: "done", Detail: fmt.Sprintf("entries: %d", entries),
	})
	if err != nil {
		c.api.Log.Error("audit entry lost", "action", action, "operator", c.operator.Name, "error", err)
	}
}

func showVersion(c *call) error {
	return c.give(http.StatusOK, Release{"Evenkeel", c.api.Version, c.api.Control.Saved().Revision.Number})
}

func showDescription(c *call) error {
	return c.Blob(http.StatusOK, "application/json", c.api.description)
}
