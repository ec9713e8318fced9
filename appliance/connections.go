package appliance

import (
	"net/netip"
	"time"
)

// Connection is one open connection of a client.
type Connection struct {
	ID        string         `json:"id"`
	Client    netip.AddrPort `json:"client"`
	Local     netip.AddrPort `json:"local"` // where the client came to
	ServiceID string         `json:"virtual_service"`
	ServerID  string         `json:"real_server"` // empty: none is in use now; "fallback": the fallback
	Protocol  Protocol       `json:"protocol"`
	TLS       bool           `json:"tls"`
	State     string         `json:"state"`     // what it does now, in a few words
	Age       time.Duration  `json:"age_ns"`    // to a tenth of a second
	BytesIn   uint64         `json:"bytes_in"`  // from the client, as they went over the line
	BytesOut  uint64         `json:"bytes_out"` // to the client
}

// ConnectionSort is a column by which connections can be ordered.
type ConnectionSort string

// The orders of connections.
const (
	ConnectionsByAge     ConnectionSort = "age"
	ConnectionsByClient  ConnectionSort = "client"
	ConnectionsByService ConnectionSort = "service"
	ConnectionsByServer  ConnectionSort = "server"
	ConnectionsByIn      ConnectionSort = "bytes_in"
	ConnectionsByOut     ConnectionSort = "bytes_out"
	ConnectionsByState   ConnectionSort = "state"
)

// Valid tells whether s is one of the orders.
func (s ConnectionSort) Valid() bool {
	switch s {
	case ConnectionsByAge, ConnectionsByClient, ConnectionsByService, ConnectionsByServer, ConnectionsByIn, ConnectionsByOut, ConnectionsByState:
		return true
	}
	return false
}

// ConnectionQuery chooses open connections; what is zero chooses everything.
type ConnectionQuery struct {
	Service string         // id
	Server  string         // id
	Client  netip.Prefix   // clients in this network
	Text    string         // is a part of the client's address, of the state or of a label
	Sort    ConnectionSort // empty: the oldest stands first
	Reverse bool
	Offset  int
	Limit   int // 0: 1000
}

// ConnectionList is a part of the connections that were asked for.
type ConnectionList struct {
	Connections []Connection
	Total       int // how many there are
}
