package monitor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Tags of BER as LDAP uses them (RFC 4511, 5.1 and appendix B).
const (
	berInteger    = 0x02
	berOctets     = 0x04
	berEnumerated = 0x0a
	berSequence   = 0x30

	ldapBind         = 0x60
	ldapBound        = 0x61
	ldapUnbind       = 0x42
	ldapNotice       = 0x78 // an extended response; unasked it says that the server ends the session
	ldapSimple       = 0x80
	ldapBindID       = 1
	ldapUnbindID     = 2
	maxLDAP          = 64 << 10
	maxLengthOctets  = 4
	berLongLength    = 0x80
	berHighTagNumber = 0x1f
)

// errNotLDAP says that what came is no LDAP message.
var errNotLDAP = errors.New("not a message of LDAP")

// bound is the answer to a bind.
type bound struct {
	id         int
	op         byte
	code       int
	diagnostic string
}

// bind is the LDAP check: an anonymous bind and an unbind. A refusal of the anonymous bind as such is a sign of life.
func (a *attempt) bind(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	if _, err := a.peer.Write(bindRequest()); err != nil {
		return a.unanswered(err, "an answer to the bind")
	}
	in := bufio.NewReader(io.LimitReader(a.peer, 2*maxLDAP))
	said, err := readBound(in)
	switch {
	case errors.Is(err, errNotLDAP):
		rest, _ := in.Peek(min(in.Buffered(), 2*maxQuoted))
		return bad("The answer on port %d is not LDAP: %s", a.port, quoted(said.diagnostic+string(rest)))
	case err != nil:
		return a.unanswered(err, "an answer to the bind")
	}
	a.farewell = func() { _, _ = a.peer.Write(ldapMessage(ldapUnbindID, ber(ldapUnbind, nil))) }
	return a.judgeBind(said)
}

func (a *attempt) judgeBind(said bound) outcome {
	reason := ldapCode(said.code)
	if text := strings.TrimRight(said.diagnostic, "\x00"); text != "" {
		reason += ", " + quoted(text)
	}
	switch {
	case said.op == ldapNotice:
		return bad("The LDAP server ended the session: %s", reason)
	case said.id != ldapBindID:
		return bad("The LDAP server answers another request than the bind")
	case said.code == 0:
		return good("Anonymous bind answered in %s", brief(a.took()))
	case refusesAnonymous(said.code):
		return outcome{
			good: true, what: fmt.Sprintf("The server answers in %s", brief(a.took())),
			more: "It refuses the anonymous bind (" + reason + ").",
		}
	}
	return bad("The anonymous bind failed: %s", reason)
}

// refusesAnonymous tells whether a result code is about the client being nobody, and not about the server.
func refusesAnonymous(code int) bool {
	return code == 8 || code == 13 || code == 48 || code == 49 || code == 50
}

// ldapCode names the result codes that a bind may bring (RFC 4511, appendix A).
func ldapCode(code int) string {
	name, known := map[int]string{
		1: "operations error", 2: "protocol error", 7: "authentication method not supported", 8: "stronger authentication required", 10: "referral",
		13: "confidentiality required", 14: "SASL bind in progress", 32: "no such object", 34: "invalid DN syntax", 48: "inappropriate authentication",
		49: "invalid credentials", 50: "insufficient access rights", 51: "busy", 52: "unavailable", 53: "unwilling to perform", 80: "other",
	}[code]
	if !known {
		return fmt.Sprintf("result %d", code)
	}
	return name
}

// bindRequest is a simple bind with neither a name nor a password.
func bindRequest() []byte {
	body := ber(berInteger, []byte{3})
	body = append(body, ber(berOctets, nil)...)
	body = append(body, ber(ldapSimple, nil)...)
	return ldapMessage(ldapBindID, ber(ldapBind, body))
}

func ldapMessage(id byte, op []byte) []byte {
	return ber(berSequence, append(ber(berInteger, []byte{id}), op...))
}

// ber returns an element; content is shorter than 64 KiB.
func ber(tag byte, content []byte) []byte {
	out := []byte{tag, byte(len(content))}
	if len(content) >= berLongLength {
		out = []byte{tag, berLongLength | 2, byte(len(content) >> 8), byte(len(content))}
	}
	return append(out, content...)
}

// readBound reads one message, which must be the answer to a bind or the notice of the session's end. With errNotLDAP the diagnostic is what was read.
func readBound(in io.Reader) (bound, error) {
	var raw bytes.Buffer
	content, err := readElement(io.TeeReader(in, &raw))
	if err == nil {
		if b, ok := parseBound(content); ok {
			return b, nil
		}
		err = errNotLDAP
	}
	return bound{diagnostic: raw.String()}, err
}

// readElement reads one SEQUENCE from a stream and returns its content.
func readElement(in io.Reader) ([]byte, error) {
	head := make([]byte, 2, 2+maxLengthOctets)
	if _, err := io.ReadFull(in, head[:1]); err != nil {
		return nil, err
	}
	if head[0] != berSequence {
		return nil, errNotLDAP
	}
	if _, err := io.ReadFull(in, head[1:]); err != nil {
		return nil, err
	}
	n, more := int(head[1]), int(head[1])-berLongLength
	if more == 0 || more > maxLengthOctets {
		return nil, errNotLDAP
	}
	if more > 0 {
		length := make([]byte, maxLengthOctets)
		if _, err := io.ReadFull(in, length[maxLengthOctets-more:]); err != nil {
			return nil, err
		}
		n = int(min(binary.BigEndian.Uint32(length), maxLDAP+1))
	}
	if n > maxLDAP {
		return nil, errNotLDAP
	}
	content := make([]byte, n)
	_, err := io.ReadFull(in, content)
	return content, err
}

// parseBound reads the content of a message: an id, and an operation that holds a result.
func parseBound(content []byte) (bound, bool) {
	var b bound
	id, rest, ok := element(content, berInteger)
	if !ok || len(rest) == 0 {
		return b, false
	}
	b.op = rest[0]
	if b.op != ldapBound && b.op != ldapNotice {
		return b, false
	}
	op, _, ok := element(rest, b.op)
	code, op, good := element(op, berEnumerated)
	_, op, named := element(op, berOctets)
	text, _, said := element(op, berOctets)
	b.id, b.code, b.diagnostic = number(id), number(code), string(text)
	return b, ok && good && named && said && b.id >= 0 && b.code >= 0
}

// element takes the first element, which must have that tag, off b.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag || tag&berHighTagNumber == berHighTagNumber {
		return nil, nil, false
	}
	n, b := int(b[1]), b[2:]
	if more := n - berLongLength; more >= 0 {
		if more == 0 || more > maxLengthOctets || more > len(b) {
			return nil, nil, false
		}
		n = 0
		for _, octet := range b[:more] {
			n = n<<8 | int(octet)
		}
		b = b[more:]
	}
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// number reads an INTEGER or ENUMERATED that is not negative; -1 is none.
func number(content []byte) int {
	if len(content) == 0 || len(content) > 4 || content[0] >= 0x80 {
		return -1
	}
	n := 0
	for _, octet := range content {
		n = n<<8 | int(octet)
	}
	return n
}
