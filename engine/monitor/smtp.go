package monitor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// reply is an answer of a mail server (RFC 5321, 4.2): a code and the text of its last line.
type reply struct {
	code int
	text string
}

func (r reply) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.code, r.text))
}

// notReply is what came instead of a reply.
type notReply struct{ text string }

func (e *notReply) Error() string { return "not a reply of SMTP: " + e.text }

// mail is the SMTP check: the greeting, EHLO (HELO for a server that does not know it), QUIT. No mail is begun.
func (a *attempt) mail(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	in := lineReader(a.peer)
	greeting, err := readReply(in)
	if err != nil {
		return a.unmailed(err, "the greeting of a mail server")
	}
	a.farewell = func() { _, _ = io.WriteString(a.peer, "QUIT\r\n") }
	if greeting.code != 220 {
		return bad("The mail server greets with %s", quoted(greeting.String()))
	}
	answer, o := a.hello(in)
	if answer == nil {
		return o
	}
	if answer.code != 250 {
		return bad("The mail server refuses EHLO and HELO with %s", quoted(answer.String()))
	}
	return good("The mail server greets and answers in %s", brief(a.took()))
}

// hello says EHLO, and HELO when that is not known; a nil reply comes with the outcome.
func (a *attempt) hello(in *bufio.Reader) (*reply, outcome) {
	name := a.smtp.Name
	if name == "" {
		name = "evenkeel"
	}
	var answer reply
	for _, verb := range []string{"EHLO", "HELO"} {
		_, err := io.WriteString(a.peer, verb+" "+name+"\r\n")
		if err == nil {
			answer, err = readReply(in)
		}
		if err != nil {
			return nil, a.unmailed(err, "an answer to "+verb)
		}
		if answer.code/100 != 5 {
			break
		}
	}
	return &answer, outcome{}
}

// unmailed says why no reply came.
func (a *attempt) unmailed(err error, awaited string) outcome {
	var other *notReply
	switch {
	case errors.As(err, &other) && other.text == "":
		return bad("The answer on port %d is not SMTP: an empty line", a.port)
	case errors.As(err, &other):
		return bad("The answer on port %d is not SMTP: %s", a.port, quoted(other.text))
	}
	return a.unanswered(err, awaited)
}

// readReply reads one reply of any number of lines up to maxReplies. All lines must carry the same code.
func readReply(in *bufio.Reader) (reply, error) {
	var r reply
	for range maxReplies {
		line, err := readLine(in)
		code, text, more, ok := splitReply(line)
		long := errors.Is(err, errLine)
		if err != nil && !long && (ok || line == "") {
			return r, err
		}
		if long || !ok || r.code != 0 && code != r.code {
			return r, &notReply{line}
		}
		if r = (reply{code, text}); !more {
			return r, nil
		}
	}
	return r, &notReply{"more than " + strconv.Itoa(maxReplies) + " lines"}
}

// splitReply takes "250-text" and "250 text" apart; more tells that another line follows.
func splitReply(line string) (code int, text string, more, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, "", false, false
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil {
		return 0, "", false, false
	}
	if len(line) == 3 {
		return code, "", false, true
	}
	return code, line[4:], line[3] == '-', line[3] == '-' || line[3] == ' '
}
