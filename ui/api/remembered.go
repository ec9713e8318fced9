package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

// Cleared says how many entries are gone.
type Cleared struct {
	Cleared int `json:"cleared"`
}

// mostSkipped is how far a list can be paged through; a query that chooses less goes further.
const mostSkipped = 1_000_000

func (a *API) rememberedRoutes() []route {
	chosen := []parameter{
		{"service", "string", "Only the virtual service with this id."},
		{"server", "string", "Only the real server with this id."},
		{"client", "string", "Only clients in this network, or with this address."},
		{"key", "string", "Only the entry of that key."},
		{"text", "string", "Only entries with this in the key or in a label, or of a client that showed exactly this."},
	}
	return []route{
		{
			Method: "GET", Path: "/connections", Role: appliance.Viewer, Summary: "Who is connected. The header Total-Count says how many connections match.",
			Query: append(chosen[:3:3],
				parameter{"text", "string", "Only connections with this in the client's address, in the state or in a label."},
				parameter{"sort", "string", "age, client, service, server, bytes_in, bytes_out or state; the oldest stands first when absent."},
				parameter{"reverse", "boolean", "true: the other way round."},
				parameter{"offset", "integer", "So many are skipped; 0 when absent."},
				parameter{"limit", "integer", "At most so many, 1 to 100000; 1000 when absent."}),
			Gives: []appliance.Connection{}, Status: 200, do: listConnections,
		},
		{
			Method: "DELETE", Path: "/connections/{id}", Role: appliance.OperatorRole, Summary: "Ends one connection politely: at once, or behind the answer that is being given.",
			Query: []parameter{why()}, Status: 204, do: closeConnection,
		},
		{
			Method: "GET", Path: "/persistence", Role: appliance.Viewer, Summary: "Which client would come back to which server. The header Total-Count says how many entries match.",
			Query: append(chosen[:len(chosen):len(chosen)],
				parameter{"sort", "string", "key, service, server, age or expires; what is forgotten last stands first when absent."},
				parameter{"reverse", "boolean", "true: the other way round."},
				parameter{"offset", "integer", "So many are skipped; 0 when absent."},
				parameter{"limit", "integer", "At most so many, 1 to 100000; 1000 when absent."}),
			Gives: []appliance.PersistenceEntry{}, Status: 200, do: listPersistence,
		},
		{
			Method: "DELETE", Path: "/persistence", Role: appliance.OperatorRole, Summary: "Forgets which client belongs to which server. Open connections stay.",
			Query: append([]parameter{why()}, append(chosen[:len(chosen):len(chosen)], parameter{"all", "boolean", "true: of every service; needed when nothing else is named."})...),
			Gives: Cleared{}, Status: 200, do: clearPersistence,
		},
	}
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

// chosen reads which entries are meant.
func (c *call) chosen() (appliance.PersistenceQuery, error) {
	client, err := c.clients()
	return appliance.PersistenceQuery{Service: c.query.Get("service"), Server: c.query.Get("server"), Key: c.query.Get("key"), Text: c.query.Get("text"), Client: client}, err
}

// part reads which part of a list is meant, and in which order.
func (c *call) part() (offset, limit int, reverse bool, err error) {
	from, err := c.number("offset", 0, 0, mostSkipped)
	if err != nil {
		return 0, 0, false, err
	}
	most, err := c.number("limit", 1000, 1, 100_000)
	if err != nil {
		return 0, 0, false, err
	}
	reverse, err = c.truth("reverse")
	return int(from), int(most), reverse, err
}

func listPersistence(c *call) error {
	q, err := c.chosen()
	if err != nil {
		return err
	}
	if q.Offset, q.Limit, q.Reverse, err = c.part(); err != nil {
		return err
	}
	if q.Sort = appliance.PersistenceSort(c.query.Get("sort")); q.Sort != "" && !q.Sort.Valid() {
		return appliance.Refuse("sort", "Entries are ordered by key, service, server, age or expires.")
	}
	found := c.api.Engine.Persistence(q)
	c.Response().Header().Set("Total-Count", strconv.Itoa(found.Total))
	if found.Entries == nil {
		found.Entries = []appliance.PersistenceEntry{}
	}
	return c.give(http.StatusOK, found.Entries)
}

func clearPersistence(c *call) error {
	q, err := c.chosen()
	if err != nil {
		return err
	}
	all, err := c.truth("all")
	if err != nil {
		return err
	}
	if named := q != (appliance.PersistenceQuery{}); named == all {
		return appliance.Refuse("all", "Name a service, a server, a key or clients; or say all=true to clear every entry.")
	}
	if err := c.api.Control.Writable(); err != nil { // the active node would give it back
		return err
	}
	n := c.api.Engine.ClearPersistence(q)
	c.audit("persistence_clear", strings.TrimSpace(q.Service+" "+q.Server+" "+c.query.Get("client")+q.Key+q.Text), fmt.Sprintf("entries: %d", n))
	return c.give(http.StatusOK, Cleared{n})
}

// audit records what is no commit. A record that cannot be written is logged: the deed is done.
func (c *call) audit(action, subject, detail string) {
	ctx, cancel := c.lasting()
	defer cancel()
	err := c.api.Store.Audit(ctx, appliance.AuditEntry{Origin: c.origin, Action: action, Subject: subject, Outcome: "done", Detail: detail})
	if err != nil {
		c.api.Log.Error("audit entry lost", "action", action, "operator", c.operator.Name, "error", err)
	}
}
