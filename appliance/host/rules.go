package host

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// line is what one rule consists of.
type line []expr.Any

// Where the addresses stand in the headers (RFC 791, 8200, 826, 4861).
var (
	source4, target4     = field{expr.PayloadBaseNetworkHeader, 12, 4}, field{expr.PayloadBaseNetworkHeader, 16, 4}
	source6, target6     = field{expr.PayloadBaseNetworkHeader, 8, 16}, field{expr.PayloadBaseNetworkHeader, 24, 16}
	senderARP, targetARP = field{expr.PayloadBaseNetworkHeader, 14, 4}, field{expr.PayloadBaseNetworkHeader, 24, 4}
	operationARP         = field{expr.PayloadBaseNetworkHeader, 6, 2}
	targetND             = field{expr.PayloadBaseTransportHeader, 8, 16}
	kindND               = field{expr.PayloadBaseTransportHeader, 0, 1}
)

type field struct {
	base           expr.PayloadBase
	offset, length uint32
}

func (f field) load() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: f.base, Offset: f.offset, Len: f.length}
}

// rules are those of one direction. What a candidate asks before it takes the addresses (RFC 5227: from nobody) may leave: it claims nothing.
func (s gateSets) rules(d direction) []line {
	out := []line{s.leased(0), s.leased(1)}
	if d.hook == nftables.ChainHookEgress {
		out = append(out, probing4(), probing6())
	}
	out = append(out, forbidden(etherIPv4, source4, s.v4), forbidden(etherIPv4, target4, s.v4))
	out = append(out, forbidden(etherIPv6, source6, s.v6), forbidden(etherIPv6, target6, s.v6))
	out = append(out, forbidden(etherARP, senderARP, s.v4), forbidden(etherARP, targetARP, s.v4))
	return append(out, s.discovery(solicitation), s.discovery(advertisement))
}

// leased lets everything pass while one set has the element.
func (s gateSets) leased(i int) line {
	return line{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: make([]byte, 4), Xor: make([]byte, 4)},
		contained(s.lease[i]),
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}

// forbidden drops packets of an ethertype that have one of the set's addresses in a field.
func forbidden(kind uint16, f field, set *nftables.Set) line {
	return append(ofKind(kind), f.load(), contained(set), &expr.Verdict{Kind: expr.VerdictDrop})
}

// discovery drops questions and answers about the set's addresses.
func (s gateSets) discovery(kind byte) line {
	return append(append(ofKind(etherIPv6), neighbourDiscovery(kind)...), targetND.load(), contained(s.v6), &expr.Verdict{Kind: expr.VerdictDrop})
}

func probing4() line {
	return append(ofKind(etherARP), operationARP.load(), equal([]byte{0, arpRequest}), senderARP.load(), equal(make([]byte, 4)), &expr.Verdict{Kind: expr.VerdictAccept})
}

func probing6() line {
	return append(append(ofKind(etherIPv6), neighbourDiscovery(solicitation)...), source6.load(), equal(make([]byte, 16)), &expr.Verdict{Kind: expr.VerdictAccept})
}

func neighbourDiscovery(kind byte) line {
	return line{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{icmpv6}), kindND.load(), equal([]byte{kind})}
}

func ofKind(kind uint16) line {
	return line{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, equal(binaryutil.BigEndian.PutUint16(kind))}
}

func equal(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}
}

func contained(set *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: 1, SetID: set.ID, SetName: set.Name}
}

func jump(to string) line {
	return line{&expr.Verdict{Kind: expr.VerdictJump, Chain: to}}
}

// etherIPv4 is its ethertype.
const etherIPv4 = unix.ETH_P_IP
