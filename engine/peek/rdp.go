package peek

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Request is what the connection request of an RDP client shows.
type Request struct {
	User  []byte         // of "Cookie: mstshash=", as sent; nil: none. Clients cut it after some characters
	Route netip.AddrPort // of "Cookie: msts=": the server to which a session broker sends the client; the zero value: none
}

const (
	tpktVersion       = 3
	tpktHead          = 4
	connectionRequest = 0xe0
	requestHead       = tpktHead + 7 // length, code, two references, class
	maxRequest        = 512          // of the whole; what is longer is no connection request
	maxUser           = 128
)

// RDP reads the connection request that an RDP client begins with: X.224 (ISO 8073) within TPKT (RFC 1006).
func RDP(b []byte) (Request, Verdict) {
	for i, want := range []byte{tpktVersion, 0} {
		if len(b) > i && b[i] != want {
			return Request{}, None
		}
	}
	if len(b) < tpktHead {
		return Request{}, More
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case size < requestHead || size > maxRequest || len(b) > tpktHead+1 && b[tpktHead+1]&0xf0 != connectionRequest:
		return Request{}, None
	case len(b) < size:
		return Request{}, More
	case int(b[tpktHead]) != size-tpktHead-1:
		return Request{}, None
	}
	return cookieOf(b[requestHead:size]), Found
}

func cookieOf(b []byte) (r Request) {
	line, _, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole {
		return r
	}
	if user, ok := bytes.CutPrefix(line, []byte("Cookie: mstshash=")); ok && len(user) > 0 && len(user) <= maxUser {
		r.User = user
	}
	if token, ok := bytes.CutPrefix(line, []byte("Cookie: msts=")); ok {
		r.Route = route(token)
	}
	return r
}

// route reads address.port.reserved: decimal numbers whose bytes stand in the order of the network, read as if the lowest came first.
func route(token []byte) netip.AddrPort {
	ip, rest, ok := bytes.Cut(token, []byte("."))
	port, reserved, more := bytes.Cut(rest, []byte("."))
	if !ok || !more || string(reserved) != "0000" {
		return netip.AddrPort{}
	}
	address, err := strconv.ParseUint(string(ip), 10, 32)
	if err != nil {
		return netip.AddrPort{}
	}
	number, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	var four [4]byte
	binary.LittleEndian.PutUint32(four[:], uint32(address))
	return netip.AddrPortFrom(netip.AddrFrom4(four), uint16(number)>>8|uint16(number)<<8)
}
