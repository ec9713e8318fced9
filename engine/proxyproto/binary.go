package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// Types of the options of version 2 (section 2.2).
const (
	typeALPN      = 0x01
	typeAuthority = 0x02
	typeChecksum  = 0x03
	typeUniqueID  = 0x05
	typeTLS       = 0x20
	typeVersion   = 0x21 // within typeTLS, as what follows
	typeName      = 0x22
	typeCipher    = 0x23
)

const (
	fixed       = 16 // signature, version and command, family, length
	maxUniqueID = 128
	maxName     = 255 // of an authority or an ALPN
	clientTLS   = 0x01
	clientCert  = 0x02 // shown on this connection
)

// parseBinary reads version 2.
func parseBinary(b []byte) (Header, int, error) {
	if len(b) < fixed {
		return Header{}, 0, nil
	}
	if b[12]>>4 != 2 {
		return Header{}, 0, malformed("the version behind the signature is not 2")
	}
	command := b[12] & 15
	if command > 1 {
		return Header{}, 0, malformed("the command is neither LOCAL nor PROXY")
	}
	n := fixed + int(binary.BigEndian.Uint16(b[14:]))
	if n > MaxHeader {
		return Header{}, 0, malformed("it is longer than 4096 bytes")
	}
	if len(b) < n {
		return Header{}, 0, nil
	}
	h, body := Header{Version: 2, Local: command == 0}, b[fixed:n]
	rest, err := h.addresses(b[13], body)
	if err != nil {
		return Header{}, 0, err
	}
	if h.Local { // what it says of addresses and options does not count
		return Header{Version: 2, Local: true}, n, nil
	}
	if err := h.Options.parse(rest, b[:n]); err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// addresses reads both ends and returns what is behind them.
func (h *Header) addresses(family byte, body []byte) ([]byte, error) {
	size := 0
	switch family {
	case 0x00: // AF_UNSPEC
		h.Local = true
		return nil, nil
	case 0x11, 0x12: // over IPv4
		size = 4
	case 0x21, 0x22: // over IPv6
		size = 16
	case 0x31, 0x32: // AF_UNIX: no addresses that mean anything here
		h.Local = true
		return nil, nil
	default:
		return nil, malformed("the family is unknown")
	}
	if family&15 != 1 && !h.Local {
		return nil, malformed("the connection is not TCP")
	}
	if len(body) < 2*size+4 {
		if h.Local {
			return nil, nil
		}
		return nil, malformed("it is too short for its addresses")
	}
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:]))
	return ports[4:], nil
}

// next takes one option off b.
func next(b []byte) (kind byte, value, rest []byte, ok bool) {
	if len(b) < 3 {
		return 0, nil, nil, false
	}
	n := 3 + int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < n {
		return 0, nil, nil, false
	}
	return b[0], b[3:n], b[n:], true
}

func (o *Options) parse(b, whole []byte) error {
	for len(b) > 0 {
		kind, value, rest, ok := next(b)
		if !ok {
			return malformed("an option is longer than the header")
		}
		switch kind {
		case typeALPN:
			o.ALPN, ok = string(value), len(value) <= maxName
		case typeAuthority:
			o.Authority, ok = string(value), len(value) <= maxName
		case typeUniqueID:
			o.UniqueID, ok = append([]byte(nil), value...), len(value) <= maxUniqueID
		case typeChecksum:
			ok = len(value) == 4 && checksum(whole, len(whole)-len(b)+3) == binary.BigEndian.Uint32(value)
			o.Checksum = true
		case typeTLS:
			ok = o.TLS.parse(value)
		}
		if !ok {
			return malformed(reasons[kind])
		}
		b = rest
	}
	return nil
}

// reasons say what is wrong with an option that was refused.
var reasons = map[byte]string{
	typeALPN: "the ALPN is too long", typeAuthority: "the authority is too long", typeUniqueID: "the unique id is too long",
	typeChecksum: "the checksum is wrong", typeTLS: "what it says of TLS is broken off",
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of the whole header, the four bytes of the checksum at at being zero.
func checksum(whole []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, whole[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, whole[at+4:])
}

func (t *TLS) parse(b []byte) bool {
	if len(b) < 5 {
		return false
	}
	t.On = b[0]&clientTLS != 0
	t.Verified = t.On && b[0]&clientCert != 0 && binary.BigEndian.Uint32(b[1:]) == 0
	for b = b[5:]; len(b) > 0; {
		kind, value, rest, ok := next(b)
		if !ok || len(value) > maxName {
			return false
		}
		switch kind {
		case typeVersion:
			t.Version = string(value)
		case typeCipher:
			t.Cipher = string(value)
		case typeName:
			t.CommonName = string(value)
		}
		b = rest
	}
	return true
}

// AppendBinary writes h in version 2.
func (h *Header) AppendBinary(b []byte) []byte {
	start := len(b)
	b = append(b, signature...)
	if h.Local || !h.Source.IsValid() || !h.Destination.IsValid() {
		return append(b, 0x20, 0, 0, 0)
	}
	source, destination, six := h.ends()
	family := byte(0x11)
	if six {
		family = 0x21
	}
	b = append(b, 0x21, family, 0, 0)
	b = append(append(b, source.AsSlice()...), destination.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, h.Source.Port())
	b = binary.BigEndian.AppendUint16(b, h.Destination.Port())
	b = h.Options.append(b)
	at := len(b) + 3
	if h.Options.Checksum {
		b = option(b, typeChecksum, "\x00\x00\x00\x00")
	}
	binary.BigEndian.PutUint16(b[start+14:], uint16(len(b)-start-fixed))
	if h.Options.Checksum {
		binary.BigEndian.PutUint32(b[at:], checksum(b[start:], at-start))
	}
	return b
}

func (o *Options) append(b []byte) []byte {
	b = optionIf(b, typeALPN, o.ALPN)
	b = optionIf(b, typeAuthority, o.Authority)
	b = optionIf(b, typeUniqueID, string(o.UniqueID[:min(len(o.UniqueID), maxUniqueID)]))
	if !o.TLS.On {
		return b
	}
	flags, verdict := byte(clientTLS), uint32(1)
	if o.TLS.Verified {
		flags, verdict = clientTLS|clientCert, 0
	}
	value := binary.BigEndian.AppendUint32([]byte{flags}, verdict)
	value = optionIf(value, typeVersion, o.TLS.Version)
	value = optionIf(value, typeCipher, o.TLS.Cipher)
	value = optionIf(value, typeName, o.TLS.CommonName)
	return option(b, typeTLS, string(value))
}

func option(b []byte, kind byte, value string) []byte {
	b = binary.BigEndian.AppendUint16(append(b, kind), uint16(len(value)))
	return append(b, value...)
}

// optionIf leaves out what is empty or too long to be read again.
func optionIf(b []byte, kind byte, value string) []byte {
	if value == "" || len(value) > maxName {
		return b
	}
	return option(b, kind, value)
}
