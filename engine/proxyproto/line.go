package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// parseLine reads version 1: PROXY TCP4|TCP6 source destination port port, or PROXY UNKNOWN and anything.
func parseLine(b []byte) (Header, int, error) {
	end := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	if end < 0 {
		if len(b) >= maxLine {
			return Header{}, 0, malformed("the line is longer than 107 bytes")
		}
		return Header{}, 0, nil
	}
	if b[end-1] != '\r' {
		return Header{}, 0, malformed("the line does not end with CR LF")
	}
	line := string(b[:end-1])
	if strings.IndexByte(line, '\r') >= 0 {
		return Header{}, 0, malformed("a CR stands within the line")
	}
	if line == "PROXY UNKNOWN" || strings.HasPrefix(line, "PROXY UNKNOWN ") {
		return Header{Version: 1, Local: true}, end + 1, nil
	}
	words := strings.Split(line, " ")
	if len(words) != 6 || words[0] != "PROXY" {
		return Header{}, 0, malformed("the line has not six words with one space between them")
	}
	family := words[1]
	if family != "TCP4" && family != "TCP6" {
		return Header{}, 0, malformed("the family is neither TCP4, TCP6 nor UNKNOWN")
	}
	h := Header{Version: 1}
	var ok [2]bool
	h.Source, ok[0] = endpoint(words[2], words[4], family)
	h.Destination, ok[1] = endpoint(words[3], words[5], family)
	if !ok[0] || !ok[1] {
		return Header{}, 0, malformed("an address or a port is none of its family")
	}
	return h, end + 1, nil
}

// endpoint reads one end of a connection.
func endpoint(address, port, family string) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" || a.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// AppendLine writes h in version 1.
func (h *Header) AppendLine(b []byte) []byte {
	if h.Local || !h.Source.IsValid() || !h.Destination.IsValid() {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	source, destination, six := h.ends()
	if six {
		b = append(b, "PROXY TCP6 "...)
	} else {
		b = append(b, "PROXY TCP4 "...)
	}
	b = append(source.AppendTo(b), ' ')
	b = append(destination.AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(h.Source.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(h.Destination.Port()), 10)
	return append(b, "\r\n"...)
}

// ends returns both addresses in one family: IPv4 unless one of them is not.
func (h *Header) ends() (source, destination netip.Addr, six bool) {
	source, destination = h.Source.Addr().Unmap().WithZone(""), h.Destination.Addr().Unmap().WithZone("")
	if source.Is4() && destination.Is4() {
		return source, destination, false
	}
	return netip.AddrFrom16(source.As16()), netip.AddrFrom16(destination.As16()), true
}
