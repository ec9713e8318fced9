package appliance

import (
	"encoding/json"
	"net/netip"
)

// Networks is a list of networks. It reads addresses too, each as the network that holds it alone: 192.168.0.10 is 192.168.0.10/32.
type Networks []netip.Prefix

// UnmarshalJSON reads a list of texts.
func (n *Networks) UnmarshalJSON(b []byte) error {
	var words []string
	if err := json.Unmarshal(b, &words); err != nil {
		return Refuse("", `A list of addresses and networks belongs here, such as ["192.168.0.10", "10.1.0.0/16"].`)
	}
	out := make(Networks, 0, len(words))
	for _, word := range words {
		p, ok := ParseNetwork(word)
		if !ok {
			return Refuse("", "%.60q is neither an address nor a network.", word)
		}
		out = append(out, p)
	}
	*n = out
	return nil
}
