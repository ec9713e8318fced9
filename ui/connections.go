package ui

import (
	"net/http"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

const connectionsPath = "/lbadmin/reports/connections"

func connectionColumns() []column {
	return []column{
		{"CLIENT", "", string(appliance.ConnectionsByClient), false},
		{"VIRTUAL SERVICE", "", string(appliance.ConnectionsByService), false},
		{"REAL SERVER", "", string(appliance.ConnectionsByServer), false},
		{"STATE", "", string(appliance.ConnectionsByState), false},
		{"AGE", "num", string(appliance.ConnectionsByAge), true},
		{"IN", "num", string(appliance.ConnectionsByIn), true},
		{"OUT", "num", string(appliance.ConnectionsByOut), true},
		{"", "acts", "", false},
	}
}

// connectionsOf is what a report asks of the engine.
func (r report) connectionsOf(limit int) appliance.ConnectionQuery {
	return appliance.ConnectionQuery{Service: r.service, Server: r.server, Text: r.query, Sort: appliance.ConnectionSort(r.sort), Reverse: r.descending, Offset: r.from, Limit: limit}
}

func connections(p *page) error {
	r := readReport(connectionsPath, p.QueryParams(), connectionColumns())
	if p.exporting() {
		return p.exportConnections(r)
	}
	open, err := p.ui.Engine.Connections(p.ctx(), r.connectionsOf(rowsOnPage))
	if err != nil {
		return err
	}
	v := view.Connections{
		Bar: p.bar(r, "Client, server or state", func(*appliance.VirtualService) bool { return true }), Heads: r.heads(connectionColumns()),
		Pager: r.pager(len(open.Connections), open.Total), Act: p.holds(appliance.OperatorRole), Back: r.address(),
	}
	names := p.labels()
	for _, c := range open.Connections {
		row := view.ConnectionRow{
			ID: c.ID, Client: c.Client.String(), Service: of(names.services, c.ServiceID), Server: of(names.servers, c.ServerID), Protocol: protocolOf(c),
			State: c.State, Age: c.Age, In: c.BytesIn, Out: c.BytesOut, Explain: explainOf(c.ServiceID, c.Client.Addr()),
		}
		if names.servers[c.ServerID] != "" {
			row.ServerPath = serverPath(c.ServiceID, c.ServerID)
		}
		v.Rows = append(v.Rows, row)
	}
	return p.show(http.StatusOK, view.ConnectionsPage(p.frame("Current connections", connectionsPath), v))
}

func protocolOf(c appliance.Connection) string {
	if c.TLS {
		return c.Protocol.String() + ", TLS"
	}
	return c.Protocol.String()
}

func (p *page) exportConnections(r report) error {
	r.from = 0
	open, err := p.ui.Engine.Connections(p.ctx(), r.connectionsOf(mostExported))
	if err != nil {
		return err
	}
	out := list{name: "connections", columns: []string{"id", "client", "came_to", "virtual_service", "real_server", "protocol", "tls", "state", "age_in_seconds", "bytes_in", "bytes_out"}}
	names := p.labels()
	for _, c := range open.Connections {
		out.add(c.ID, c.Client.String(), c.Local.String(), of(names.services, c.ServiceID), of(names.servers, c.ServerID), string(c.Protocol), c.TLS, c.State, int(c.Age.Seconds()), c.BytesIn, c.BytesOut)
	}
	return p.export(out)
}

// closeConnection ends one connection politely.
func closeConnection(p *page) error {
	id := p.FormValue("id")
	if err := p.ui.Engine.CloseConnection(p.ctx(), id); err != nil {
		return err
	}
	client := p.FormValue("client")
	if len(client) > 60 {
		client = client[:60]
	}
	p.noteDone("connection_close", id, client)
	return p.done(back(p.FormValue("back")), "The connection ends, behind the answer that is being given if there is one.")
}
