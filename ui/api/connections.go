package api

import (
	"net/http"
	"strconv"

	"evenkeel/appliance"
)

func listConnections(c *call) error {
	q := appliance.ConnectionQuery{Service: c.query.Get("service"), Server: c.query.Get("server"), Text: c.query.Get("text"), Sort: appliance.ConnectionSort(c.query.Get("sort"))}
	if q.Sort != "" && !q.Sort.Valid() {
		return appliance.Refuse("sort", "Connections are ordered by age, client, service, server, bytes_in, bytes_out or state.")
	}
	var err error
	if q.Client, err = c.clients(); err != nil {
		return err
	}
	if q.Offset, q.Limit, q.Reverse, err = c.part(); err != nil {
		return err
	}
	open, err := c.api.Engine.Connections(c.Request().Context(), q)
	if err != nil {
		return err
	}
	if open.Connections == nil {
		open.Connections = []appliance.Connection{}
	}
	c.Response().Header().Set("Total-Count", strconv.Itoa(open.Total))
	return c.give(http.StatusOK, open.Connections)
}

func closeConnection(c *call) error {
	id := c.Param("id")
	if err := c.api.Engine.CloseConnection(c.Request().Context(), id); err != nil {
		return err
	}
	c.audit("connection_close", id, "")
	return c.NoContent(http.StatusNoContent)
}
