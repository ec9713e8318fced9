package monitor

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bytes of PostgreSQL's protocol 3.0.
const (
	maxPostgreSQL      = 16 << 10 // of one message
	maxPostgreSQLSteps = 64       // messages before the one that decides

	pgProtocol     = 3 << 16
	pgAsksPassword = 'R'
	pgError        = 'E'
	pgNotice       = 'N'
	pgNegotiate    = 'v'
	pgParameter    = 'S'
	pgKey          = 'K'
	pgReady        = 'Z'
	pgTerminate    = 'X'
)

// standardAccount is who a check of a database signs in as when nobody is named.
const standardAccount = "evenkeel"

// errNotPostgreSQL says that what came is no message of PostgreSQL.
var errNotPostgreSQL = errors.New("not a message of PostgreSQL")

// pgRefusal is an ErrorResponse.
type pgRefusal struct{ code, text string }

func (r pgRefusal) String() string { return fmt.Sprintf("%s (%s)", quoted(r.text), inert(r.code)) }

// unable tells whether the error says that the server cannot serve anybody now: it starts, ends or recovers, lacks something, or is broken (classes 53, 57, 58 and XX).
func (r pgRefusal) unable() bool {
	for _, class := range []string{"53", "57", "58", "F0", "XX"} {
		if strings.HasPrefix(r.code, class) {
			return true
		}
	}
	return r.code == ""
}

// postgreSQL is the PostgreSQL check: it begins a session as a user, and whatever the server then asks for is a sign of life, as is a refusal of that user. No
// password is sent; clients that leave when they are asked for one are usual and not logged.
func (a *attempt) postgreSQL(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	if _, err := a.peer.Write(pgStartup(a.database.User)); err != nil {
		return a.unanswered(err, "an answer of PostgreSQL")
	}
	in := bufio.NewReader(io.LimitReader(a.peer, maxPostgreSQLSteps*maxPostgreSQL))
	for range maxPostgreSQLSteps {
		kind, content, err := readPostgreSQL(in)
		switch {
		case errors.Is(err, errNotPostgreSQL):
			start, _ := in.Peek(min(in.Buffered(), 2*maxQuoted))
			return bad("The answer on port %d is not PostgreSQL: %s", a.port, quoted(string(start)))
		case err != nil:
			return a.unanswered(err, "an answer of PostgreSQL")
		case kind == pgError:
			return a.refusedPostgreSQL(parsePostgreSQLError(content))
		case kind == pgAsksPassword && len(content) < 4:
			return bad("The answer of PostgreSQL is cut off: %s", quoted(string(content)))
		case kind == pgAsksPassword && binary.BigEndian.Uint32(content) != 0:
			return good("PostgreSQL answers in %s and asks for a password", brief(a.took()))
		case kind == pgReady: // only now: that no password is needed is said before the account and the free places are looked at
			a.farewell = func() { _, _ = a.peer.Write([]byte{pgTerminate, 0, 0, 0, 4}) }
			return good("PostgreSQL let the check sign in, in %s", brief(a.took()))
		}
	}
	return bad("PostgreSQL sends messages without end")
}

func (a *attempt) refusedPostgreSQL(r pgRefusal) outcome {
	if r.unable() {
		return bad("PostgreSQL refuses to serve: %s", r)
	}
	return outcome{good: true, what: fmt.Sprintf("PostgreSQL answers in %s", brief(a.took())), more: "It refuses the account of the check: " + r.String() + "."}
}

func pgStartup(user string) []byte {
	if user == "" {
		user = standardAccount
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 4), pgProtocol)
	for _, text := range []string{"user", user, "database", "postgres", "application_name", "evenkeel health check"} {
		out = append(append(out, text...), 0)
	}
	out = append(out, 0)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// readPostgreSQL reads one message of a kind that may come until a session has begun. On errNotPostgreSQL nothing was taken from in.
func readPostgreSQL(in *bufio.Reader) (kind byte, content []byte, err error) {
	first, err := in.Peek(1)
	if err != nil {
		return 0, nil, err
	}
	switch kind = first[0]; kind {
	case pgAsksPassword, pgError, pgNotice, pgNegotiate, pgParameter, pgKey, pgReady:
	default:
		return kind, nil, errNotPostgreSQL
	}
	head, err := in.Peek(5)
	if err != nil {
		return kind, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > maxPostgreSQL {
		return kind, nil, errNotPostgreSQL
	}
	_, _ = in.Discard(5)
	content = make([]byte, n-4)
	_, err = io.ReadFull(in, content)
	return kind, content, err
}

// parsePostgreSQLError reads the fields of an ErrorResponse: a letter and a text each.
func parsePostgreSQLError(content []byte) pgRefusal {
	var r pgRefusal
	for field := range strings.SplitSeq(string(content), "\x00") {
		switch {
		case field == "":
		case field[0] == 'C':
			r.code = field[1:]
		case field[0] == 'M':
			r.text = field[1:]
		}
	}
	return r
}
