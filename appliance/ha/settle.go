package ha

import (
	"time"

	"evenkeel/appliance"
)

// settleTime is how long nodes that hear each other may take, after a change of their roles, until settings and tables are compared again: the new active node connects
// to the other one and asks.
const settleTime = 3 * time.Second

// Settle says of what is not known to be the same that the nodes are only just connecting anew, while that is so. What is pending for longer is a difference.
func (n *Node) Settle(s appliance.SyncStatus) appliance.SyncStatus {
	seen := n.seen.Load()
	return settled(s, seen.running && seen.contact, bootTime()-seen.turned)
}

// settled is Settle at a time since the roles changed, of nodes that hear each other or do not.
func settled(s appliance.SyncStatus, contact bool, since time.Duration) appliance.SyncStatus {
	switch {
	case !s.Pending:
	case contact && since < settleTime:
		s.Sentence = "The nodes are reconnecting: their roles changed a moment ago."
	default:
		s.Pending = false
	}
	return s
}
