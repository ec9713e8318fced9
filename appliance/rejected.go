package appliance

import "strings"

// RejectedWords says in words why datagrams on the heartbeat's port were thrown away; a reason that is not known is given back as it is.
func RejectedWords(reason string) string {
	switch reason {
	case "length":
		return "too short or too long"
	case "magic":
		return "no heartbeat of this product"
	case "version":
		return "of a version that this one does not speak"
	case "purpose":
		return "of a kind that is not awaited here"
	case "cluster":
		return "of another pair"
	case "reflected":
		return "this node's own, thrown back"
	case "source":
		return "from an address that is not the sender's"
	case "stranger":
		return "from a node that is not the peer"
	case "key":
		return "sealed with a key that this node does not hold"
	case "replayed":
		return "came twice or too late: held back on a path that stalled, or played back"
	case "forged":
		return "forged: the code of authenticity is wrong"
	case "clone":
		return "authentic, from a second machine with the identity of a node"
	case "malformed":
		return "authentic, and not understood"
	}
	return strings.ReplaceAll(reason, "_", " ")
}
