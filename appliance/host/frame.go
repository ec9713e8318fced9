package host

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
)

// The numbers of Ethernet, ARP (RFC 826) and neighbour discovery (RFC 4861) that are used.
const (
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	arpRequest = 1
	arpReply   = 2

	icmpv6        = 58
	solicitation  = 135
	advertisement = 136

	headerEthernet = 14
	lengthARP      = 28
	headerIPv6     = 40
	lengthNDP      = 24 // without options
)

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func ethernet(to, from net.HardwareAddr, kind uint16, payload []byte) []byte {
	b := make([]byte, 0, headerEthernet+len(payload))
	b = append(append(b, to...), from...)
	return append(binary.BigEndian.AppendUint16(b, kind), payload...)
}

// arp returns a request frame; sender is unspecified in a probe and the address itself in an announcement (RFC 5227).
func arp(from net.HardwareAddr, sender, wanted netip.Addr) []byte {
	return ethernet(broadcast, from, etherARP, arpBody(arpRequest, from, sender, make([]byte, 6), wanted))
}

// arpTo is a request to one machine alone.
func arpTo(to, from net.HardwareAddr, sender, wanted netip.Addr) []byte {
	return ethernet(to, from, etherARP, arpBody(arpRequest, from, sender, make([]byte, 6), wanted))
}

// arpAnnouncement is the other form of an announcement, an answer that nobody asked for: some machines learn from this one only.
func arpAnnouncement(from net.HardwareAddr, own netip.Addr) []byte {
	return ethernet(broadcast, from, etherARP, arpBody(arpReply, from, own, from, own))
}

func arpBody(operation byte, from net.HardwareAddr, sender netip.Addr, to net.HardwareAddr, wanted netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, operation}
	b = append(append(b, from...), sender.AsSlice()...)
	return append(append(b, to...), wanted.AsSlice()...)
}

// arpOwner returns which address a frame claims and for whom: the sender of any ARP packet, and who probes for the same address at the same time.
func arpOwner(frame []byte) (netip.Addr, net.HardwareAddr) {
	if len(frame) < headerEthernet+lengthARP || binary.BigEndian.Uint16(frame[12:]) != etherARP {
		return netip.Addr{}, nil
	}
	b := frame[headerEthernet:]
	if !bytes.Equal(b[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return netip.Addr{}, nil
	}
	owner := net.HardwareAddr(bytes.Clone(b[8:14]))
	sender := netip.AddrFrom4([4]byte(b[14:18]))
	if sender.IsUnspecified() && binary.BigEndian.Uint16(b[6:]) == arpRequest {
		return netip.AddrFrom4([4]byte(b[24:28])), owner
	}
	return sender, owner
}

// solicit returns a frame that asks for wanted from the unspecified address, as in duplicate address detection (RFC 4862, 5.4.2).
func solicit(from net.HardwareAddr, wanted netip.Addr) []byte {
	return discovery(from, netip.IPv6Unspecified(), solicitedNode(wanted), solicitation, 0, wanted, nil)
}

// solicitFrom asks for wanted from an address that the answer is sent to.
func solicitFrom(from net.HardwareAddr, own, wanted netip.Addr) []byte {
	return discovery(from, own, solicitedNode(wanted), solicitation, 0, wanted, append([]byte{1, 1}, from...))
}

// solicitedNode is the group in which the owner of an address hears questions (RFC 4291, 2.7.1).
func solicitedNode(wanted netip.Addr) netip.Addr {
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	low := wanted.As16()
	copy(group[13:], low[13:])
	return netip.AddrFrom16(group)
}

// advertise returns an unsolicited advertisement of own to all nodes, which replaces what they know (RFC 4861, 7.2.6).
func advertise(from net.HardwareAddr, own netip.Addr) []byte {
	const override = 0x20
	return discovery(from, own, netip.IPv6LinkLocalAllNodes(), advertisement, override, own, append([]byte{2, 1}, from...))
}

func discovery(from net.HardwareAddr, source, group netip.Addr, kind, flags byte, wanted netip.Addr, options []byte) []byte {
	message := append([]byte{kind, 0, 0, 0, flags, 0, 0, 0}, wanted.AsSlice()...)
	message = append(message, options...)
	sum := checksum(source, group, message)
	binary.BigEndian.PutUint16(message[2:], sum)
	packet := []byte{0x60, 0, 0, 0, 0, 0, icmpv6, 255}
	binary.BigEndian.PutUint16(packet[4:], uint16(len(message)))
	packet = append(append(packet, source.AsSlice()...), group.AsSlice()...)
	g := group.As16()
	to := net.HardwareAddr{0x33, 0x33, g[12], g[13], g[14], g[15]}
	return ethernet(to, from, etherIPv6, append(packet, message...))
}

// checksum is that of RFC 4443, 2.3.
func checksum(source, destination netip.Addr, message []byte) uint16 {
	b := append(source.AsSlice(), destination.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	b = append(b, 0, 0, 0, icmpv6)
	b = append(b, message...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// discoveryOwner returns which address a frame advertises and for whom.
func discoveryOwner(frame []byte) (netip.Addr, net.HardwareAddr) {
	const start = headerEthernet + headerIPv6
	if len(frame) < start+lengthNDP || binary.BigEndian.Uint16(frame[12:]) != etherIPv6 {
		return netip.Addr{}, nil
	}
	packet, message := frame[headerEthernet:start], frame[start:]
	if packet[6] != icmpv6 || packet[7] != 255 || message[0] != advertisement {
		return netip.Addr{}, nil
	}
	owner := net.HardwareAddr(bytes.Clone(frame[6:12]))
	return netip.AddrFrom16([16]byte(message[8:24])), owner
}
