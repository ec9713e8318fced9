package monitor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bytes of MySQL's protocol, which MariaDB and Percona speak too.
const (
	maxMySQL      = 16 << 10 // of one packet
	maxMySQLSteps = 4        // of a sign-in

	mysqlOK       = 0x00
	mysqlMore     = 0x01
	mysqlSwitch   = 0xfe
	mysqlError    = 0xff
	mysqlProtocol = 10

	mysqlLongPassword = 0x1
	mysqlProtocol41   = 0x200
	mysqlSecure       = 0x8000
	mysqlPlugin       = 0x80000
	mysqlUTF8         = 33
)

// errNotMySQL says that what came is no packet of MySQL.
var errNotMySQL = errors.New("not a packet of MySQL")

// mysqlGreeting is what a server says of itself.
type mysqlGreeting struct {
	version, plugin string
	plugins         bool // the server knows plugins
}

// mysqlRefusal is an ERR packet.
type mysqlRefusal struct {
	code int
	text string
}

func (r mysqlRefusal) String() string { return fmt.Sprintf("%s (error %d)", quoted(r.text), r.code) }

// aboutAccount tells whether the error concerns the account that the check tried, and not the server: denied, unknown to the plugin, locked, expired, or in clear.
func (r mysqlRefusal) aboutAccount() bool {
	return slices.Contains([]int{1044, 1045, 1251, 1698, 1820, 1862, 2059, 3118, 3159, 3955, 4151}, r.code)
}

// mysql is the MySQL check: it waits for the greeting, signs in without a password and quits. A connection that ended at the greeting would count as an aborted
// handshake, and after some of those the server blocks this appliance; a sign-in that is refused does not. Without a user given, a refusal is a sign of life.
func (a *attempt) mysql(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	in := bufio.NewReader(io.LimitReader(a.peer, 8*maxMySQL))
	_, packet, err := readMySQL(in)
	if err != nil {
		return a.unMySQL(err, in, "the greeting of MySQL")
	}
	if refusal, ok := parseMySQLError(packet); ok {
		return bad("MySQL refuses connections: %s", refusal)
	}
	greeting, ok := parseMySQLGreeting(packet)
	if !ok {
		return bad("The answer on port %d is not MySQL: %s", a.port, quoted(string(packet)))
	}
	user := a.database.User
	if user == "" {
		user = standardAccount
	}
	if _, err := a.peer.Write(mysqlPacket(1, mysqlSignIn(user, greeting))); err != nil {
		return a.unanswered(err, "an answer to the sign-in")
	}
	return a.signIn(in, greeting)
}

// signIn follows the sign-in to its end. Each further question of the server is answered with an empty password.
func (a *attempt) signIn(in *bufio.Reader, greeting mysqlGreeting) outcome {
	for range maxMySQLSteps {
		number, packet, err := readMySQL(in)
		if err != nil {
			return a.unMySQL(err, in, "an answer to the sign-in")
		}
		if refusal, ok := parseMySQLError(packet); ok {
			return a.refusedMySQL(refusal, greeting)
		}
		switch packet[0] {
		case mysqlOK:
			a.farewell = func() { _, _ = a.peer.Write(mysqlPacket(0, []byte{1})) } // COM_QUIT
			return good("MySQL %s let the check sign in, in %s", quoted(greeting.version), brief(a.took()))
		case mysqlSwitch, mysqlMore:
			if len(packet) == 2 && packet[0] == mysqlMore && packet[1] == 3 { // the password was right; OK follows
				continue
			}
			if _, err := a.peer.Write(mysqlPacket(number+1, nil)); err != nil {
				return a.unanswered(err, "an answer to the sign-in")
			}
		default:
			return bad("The answer to the sign-in is not MySQL: %s", quoted(string(packet)))
		}
	}
	return bad("MySQL %s asks without end during the sign-in", quoted(greeting.version))
}

func (a *attempt) refusedMySQL(r mysqlRefusal, greeting mysqlGreeting) outcome {
	switch {
	case r.aboutAccount() && a.database.User == "":
		return good("MySQL %s answers in %s", quoted(greeting.version), brief(a.took()))
	case r.aboutAccount():
		return bad("MySQL does not let %s sign in without a password: %s", quoted(a.database.User), r)
	}
	return bad("MySQL refuses to serve: %s", r)
}

// unMySQL says why no packet came.
func (a *attempt) unMySQL(err error, in *bufio.Reader, awaited string) outcome {
	if errors.Is(err, errNotMySQL) {
		start, _ := in.Peek(min(in.Buffered(), 2*maxQuoted))
		return bad("The answer on port %d is not MySQL: %s", a.port, quoted(string(start)))
	}
	return a.unanswered(err, awaited)
}

// readMySQL reads one packet, which is not empty. On errNotMySQL nothing was taken from in.
func readMySQL(in *bufio.Reader) (number byte, packet []byte, err error) {
	head, err := in.Peek(4)
	if err != nil {
		if len(head) > 0 && ended(err) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if number = head[3]; n == 0 || n > maxMySQL {
		return number, nil, errNotMySQL
	}
	_, _ = in.Discard(4)
	packet = make([]byte, n)
	_, err = io.ReadFull(in, packet)
	return number, packet, err
}

func mysqlPacket(number byte, content []byte) []byte {
	return append([]byte{byte(len(content)), byte(len(content) >> 8), 0, number}, content...)
}

// parseMySQLError reads an ERR packet; before the sign-in it has no SQL state.
func parseMySQLError(packet []byte) (mysqlRefusal, bool) {
	if len(packet) < 3 || packet[0] != mysqlError {
		return mysqlRefusal{}, false
	}
	r := mysqlRefusal{code: int(binary.LittleEndian.Uint16(packet[1:]))}
	text := packet[3:]
	if len(text) >= 6 && text[0] == '#' {
		text = text[6:]
	}
	r.text = string(text)
	return r, true
}

// parseMySQLGreeting reads a greeting of protocol 10.
func parseMySQLGreeting(packet []byte) (mysqlGreeting, bool) {
	var g mysqlGreeting
	if packet[0] != mysqlProtocol {
		return g, false
	}
	version, rest, ok := bytes.Cut(packet[1:], []byte{0})
	const fixed = 4 + 8 + 1 + 2 // thread, nonce, filler, capabilities
	if !ok || len(version) == 0 || len(rest) < fixed {
		return g, false
	}
	g.version = strings.TrimPrefix(string(version), "5.5.5-") // MariaDB's disguise
	capabilities := uint32(binary.LittleEndian.Uint16(rest[fixed-2:]))
	if rest = rest[fixed:]; len(rest) < 1+2+2+1+10 { // charset, status, capabilities, nonce's length, reserved
		return g, capabilities&mysqlProtocol41 != 0
	}
	capabilities |= uint32(binary.LittleEndian.Uint16(rest[3:])) << 16
	nonce := max(13, int(rest[5])-8)
	if rest = rest[16:]; len(rest) >= nonce {
		plugin, _, _ := bytes.Cut(rest[nonce:], []byte{0})
		g.plugin = string(plugin)
	}
	g.plugins = capabilities&mysqlPlugin != 0
	return g, capabilities&mysqlProtocol41 != 0
}

// mysqlSignIn is the answer to a greeting, with no password.
func mysqlSignIn(user string, g mysqlGreeting) []byte {
	flags := uint32(mysqlLongPassword | mysqlProtocol41 | mysqlSecure)
	if g.plugins {
		flags |= mysqlPlugin
	}
	out := binary.LittleEndian.AppendUint32(nil, flags)
	out = binary.LittleEndian.AppendUint32(out, maxMySQL)
	out = append(out, mysqlUTF8)
	out = append(out, make([]byte, 23)...)
	out = append(out, user...)
	out = append(out, 0, 0) // the user's end; a password of no bytes
	if g.plugins {
		out = append(out, g.plugin[:min(len(g.plugin), 64)]...)
		out = append(out, 0)
	}
	return out
}
