package cli

import (
	"cmp"
	"net/url"
	"strconv"
	"time"

	"evenkeel/appliance"
)

func connectionCommands() []command {
	return []command{
		{
			Name: "connections", Summary: "who is connected", Flags: []option{
				{Name: "service", Value: "SERVICE", Help: "Only this service."},
				{Name: "server", Value: "SERVER", Help: "Only this real server of the service."},
				{Name: "client", Value: "ADDRESS", Help: "Only this client, or the clients of a network such as 10.0.0.0/8."},
				{Name: "text", Value: "TEXT", Help: "Only connections with this in the client's address, in the state or in a label."},
				{Name: "sort", Value: "COLUMN", Help: "age, client, service, server, bytes_in, bytes_out or state."},
				{Name: "reverse", Help: "The other way round."},
				{Name: "offset", Value: "N", Help: "Skip so many."},
				{Name: "limit", Value: "N", Help: "At most so many; 1000 when absent."},
			},
			Example: []string{"connections --service HL7", "connections --sort bytes_in --reverse --limit 20"}, do: listConnections,
		},
		{
			Name: "connections close", Args: []string{"ID"}, Summary: "end one connection politely", Flags: []option{whyOption()},
			Example: []string{"connections close 0-100000007"}, do: closeConnection,
		},
	}
}

func listConnections(s *session) error {
	query, err := s.chosen()
	if err != nil {
		return err
	}
	s.copied(query, "sort", "reverse", "offset", "limit")
	a, err := s.client.do(s.ctx, "GET", "/connections", query, nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var list []appliance.Connection
	if err := understand(a, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		s.printf("Nobody is connected.\n")
		return nil
	}
	labels, err := s.labels()
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, c := range list {
		protocol := string(c.Protocol)
		if c.TLS {
			protocol += "+tls"
		}
		rows[i] = []string{
			c.ID, c.Client.String(), cmp.Or(labels[c.ServiceID], c.ServiceID), cmp.Or(labels[c.ServerID], c.ServerID), protocol, c.State, c.Age.Round(time.Second).String(),
			strconv.FormatUint(c.BytesIn, 10), strconv.FormatUint(c.BytesOut, 10),
		}
	}
	s.table([]string{"ID", "CLIENT", "SERVICE", "REAL SERVER", "PROTOCOL", "STATE", "AGE", "IN", "OUT"}, rows)
	s.rest(a, len(list))
	return nil
}

func closeConnection(s *session) error {
	return s.plainly("DELETE", "/connections/"+url.PathEscape(s.args[0]), nil, "The connection ends, behind the answer that is being given if there is one.")
}
