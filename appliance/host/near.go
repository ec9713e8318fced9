package host

import (
	"net/netip"
	"strconv"
	"strings"
)

// Near guesses which address of these networks was meant by typed: one of another network with the same end (192.168.7.188 in 192.168.0.0/24 is 192.168.0.188), a
// comma for a dot, leading zeros, a prefix length behind it, or the last part alone. It is pure. False: nothing can be guessed, or typed is good as it is.
func Near(typed string, networks []Network) (netip.Addr, bool) {
	clean := tidy(typed)
	if a, err := netip.ParseAddr(clean); err == nil {
		a = a.Unmap().WithZone("")
		if _, inside := narrowest(networks, a); inside {
			return a, clean != strings.TrimSpace(typed) && usable(a, networks)
		}
		return transplant(a, networks)
	}
	last, err := strconv.ParseUint(strings.Trim(clean, "."), 10, 8)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, n := range networks {
		if !n.Prefix.Addr().Is4() || n.Prefix.Bits() < 24 {
			continue
		}
		b := n.Prefix.Addr().As4()
		b[3] = byte(last)
		if a := netip.AddrFrom4(b); n.Prefix.Contains(a) && usable(a, networks) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// tidy undoes slips of the keyboard.
func tidy(typed string) string {
	clean, _, _ := strings.Cut(strings.TrimSpace(typed), "/")
	clean = strings.ReplaceAll(clean, ",", ".")
	if strings.Contains(clean, ":") {
		return clean
	}
	parts := strings.Split(clean, ".")
	for i, p := range parts {
		if trimmed := strings.TrimLeft(p, "0"); trimmed != p {
			parts[i] = trimmed
			if trimmed == "" {
				parts[i] = "0"
			}
		}
	}
	return strings.Join(parts, ".")
}

// transplant keeps a's end and takes the beginning from the network that agrees with a the longest.
func transplant(a netip.Addr, networks []Network) (netip.Addr, bool) {
	var best netip.Addr
	agreed := -1
	for _, n := range networks {
		if n.Prefix.Addr().BitLen() != a.BitLen() {
			continue
		}
		candidate := splice(n.Prefix, a)
		if k := common(n.Prefix.Addr(), a); k > agreed && usable(candidate, networks) {
			best, agreed = candidate, k
		}
	}
	return best, agreed >= 0
}

// splice returns the network bits of p and the others of a.
func splice(p netip.Prefix, a netip.Addr) netip.Addr {
	from, to := p.Addr().AsSlice(), a.AsSlice()
	for i := range p.Bits() {
		bit := byte(0x80) >> (i % 8)
		to[i/8] = to[i/8]&^bit | from[i/8]&bit
	}
	out, _ := netip.AddrFromSlice(to)
	return out
}

// common returns how many leading bits two addresses of one family share.
func common(a, b netip.Addr) int {
	for n := a.BitLen(); n > 0; n-- {
		if p, err := a.Prefix(n); err == nil && p.Contains(b) {
			return n
		}
	}
	return 0
}

// usable tells whether a could be a service's: no interface's own and not reserved in its network.
func usable(a netip.Addr, networks []Network) bool {
	n, ok := narrowest(networks, a)
	if !ok || reserved(n.Prefix, a) != "" {
		return false
	}
	for _, n := range networks {
		if n.Prefix.Addr() == a {
			return false
		}
	}
	return true
}
