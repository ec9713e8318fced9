package appliance

import (
	"net/netip"
	"time"
)

// PersistenceEntry is one row of a service's persistence table.
type PersistenceEntry struct {
	ServiceID string        `json:"virtual_service"`
	ServerID  string        `json:"real_server"`
	Kind      string        `json:"kind"` // "address", "cookie", "tls" or "rdp": by what the client is known
	Key       string        `json:"key"`  // names the entry: the address or network, or the kind with a digest of what the client showed
	Client    netip.Prefix  `json:"client,omitzero"`
	Age       time.Duration `json:"age_ns"`       // since it leads to that server
	Remaining time.Duration `json:"remaining_ns"` // until it is forgotten unless used again
}

// PersistenceSort is a column by which entries can be ordered.
type PersistenceSort string

// The orders of entries.
const (
	SortByKey     PersistenceSort = "key"
	SortByService PersistenceSort = "service"
	SortByServer  PersistenceSort = "server"
	SortByAge     PersistenceSort = "age"
	SortByExpiry  PersistenceSort = "expires"
)

// Valid tells whether s is one of the orders.
func (s PersistenceSort) Valid() bool {
	return s == SortByKey || s == SortByService || s == SortByServer || s == SortByAge || s == SortByExpiry
}

// PersistenceQuery chooses entries of the running services; what is zero chooses everything.
type PersistenceQuery struct {
	Service string          // id
	Server  string          // id
	Key     string          // of one entry
	Client  netip.Prefix    // entries of clients in this network
	Text    string          // is a part of the key or of a label, or what the client showed
	Sort    PersistenceSort // empty: what is forgotten last stands first
	Reverse bool
	Offset  int
	Limit   int // 0: 1000
}

// PersistenceList is a part of the entries that were asked for.
type PersistenceList struct {
	Entries []PersistenceEntry
	Total   int // how many there are
}
