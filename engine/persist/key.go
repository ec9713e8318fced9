package persist

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
)

// Kind says what a key was made of.
type Kind uint8

// The kinds of key.
const (
	Address    Kind = iota // the client's address, masked
	Cookie                 // the value of a server's own cookie
	TLSSession             // a TLS session id
	RDPUser                // the name in an RDP cookie
	kinds
)

// String names a kind as in a key's text.
func (k Kind) String() string {
	switch k {
	case Address:
		return "address"
	case Cookie:
		return "cookie"
	case TLSSession:
		return "tls"
	case RDPUser:
		return "rdp"
	}
	return "unknown"
}

// Key names a client in a table. What a client showed is kept as a digest: it may be as long as it likes, and nobody who sees the table can use it.
type Key struct {
	value [16]byte // an address, IPv4 in its mapped form; or a digest
	bits  uint8    // of an address, counted from there (96 to 128 for IPv4); 0 for a digest
	kind  Kind
}

// DigestKey returns the key of what a client showed; kind is not Address.
func DigestKey(kind Kind, shown []byte) Key {
	sum := sha256.Sum256(shown)
	return Key{value: [16]byte(sum[:16]), kind: kind}
}

// PrefixKey returns the key of a client's network, or of a whole address.
func PrefixKey(p netip.Prefix) Key {
	a := p.Masked().Addr()
	bits := max(p.Bits(), 0)
	if a.Is4() {
		bits += 96
	}
	return Key{value: a.As16(), bits: uint8(bits)}
}

func addressKey(client netip.Addr, s *Settings) Key {
	client = client.Unmap().WithZone("")
	bits := s.MaskIPv6
	if client.Is4() {
		bits = s.MaskIPv4
	}
	p, err := client.Prefix(bits)
	if err != nil { // a mask out of range, or no address: the whole counts
		p = netip.PrefixFrom(client, client.BitLen())
	}
	return PrefixKey(p)
}

// Kind returns what the key was made of.
func (k Key) Kind() Kind { return k.kind }

// Prefix returns the network of an address key; invalid for another.
func (k Key) Prefix() netip.Prefix {
	if k.kind != Address {
		return netip.Prefix{}
	}
	a := netip.AddrFrom16(k.value)
	if k.bits >= 96 && a.Is4In6() {
		return netip.PrefixFrom(a.Unmap(), int(k.bits)-96)
	}
	return netip.PrefixFrom(a, int(k.bits))
}

// String writes a key for people and for ParseKey: 192.0.2.7, 192.0.2.0/24, or cookie:, tls:, rdp: with the digest.
func (k Key) String() string { return string(k.AppendTo(make([]byte, 0, 64))) }

// AppendTo appends what String returns.
func (k Key) AppendTo(b []byte) []byte {
	if k.kind != Address {
		b = append(append(b, k.kind.String()...), ':')
		return hex.AppendEncode(b, k.value[:])
	}
	p := k.Prefix()
	if p.IsSingleIP() {
		return p.Addr().AppendTo(b)
	}
	return p.AppendTo(b)
}

// Compare orders keys by kind, then addresses by number.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.kind, o.kind), k.family()-o.family(), bytes.Compare(k.value[:], o.value[:]), cmp.Compare(k.bits, o.bits))
}

// family is 1 for an address of IPv6, and 0 otherwise.
func (k Key) family() int {
	if k.kind == Address && !(k.bits >= 96 && netip.AddrFrom16(k.value).Is4In6()) {
		return 1
	}
	return 0
}

// ParseKey reads what String wrote.
func ParseKey(text string) (Key, bool) {
	for kind := Cookie; kind < kinds; kind++ {
		if digest, found := strings.CutPrefix(text, kind.String()+":"); found {
			k := Key{kind: kind}
			n, err := hex.Decode(k.value[:], []byte(digest[:min(len(digest), 2*len(k.value))]))
			return k, err == nil && n == len(k.value) && len(digest) == 2*n
		}
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return PrefixKey(netip.PrefixFrom(a, a.BitLen())), true
	}
	p, err := netip.ParsePrefix(text)
	return PrefixKey(p), err == nil
}

// valid tells whether a key of unknown origin is one that the table makes.
func (k Key) valid() bool {
	if k.kind == Address {
		return k.bits <= 128 && PrefixKey(k.Prefix()) == k
	}
	return k.kind < kinds && k.bits == 0
}

func (k Key) shard() int {
	h := binary.LittleEndian.Uint64(k.value[:]) ^ binary.LittleEndian.Uint64(k.value[8:])*0x9e3779b97f4a7c15
	return int(h * 0xbf58476d1ce4e5b9 >> 60)
}
