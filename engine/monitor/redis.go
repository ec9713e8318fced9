package monitor

import (
	"context"
	"errors"
	"io"
	"strings"
)

// pingCommand is PING as a list of one string.
const pingCommand = "*1\r\n$4\r\nPING\r\n"

// ping is the Redis check: PING, which must bring PONG. A refusal for want of a password or of a right is a sign of life. No key is touched.
func (a *attempt) ping(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	_, err := io.WriteString(a.peer, pingCommand)
	said := ""
	if err == nil {
		said, err = readLine(lineReader(a.peer))
	}
	if err != nil && !errors.Is(err, errLine) {
		return a.unanswered(err, "an answer to PING")
	}
	return a.judgePing(said)
}

func (a *attempt) judgePing(said string) outcome {
	text, refused := strings.CutPrefix(said, "-")
	code, _, _ := strings.Cut(text, " ")
	switch {
	case said == "+PONG":
		return good("PONG in %s", brief(a.took()))
	case refused && code == "NOAUTH":
		return good("Redis answers and asks for a password, in %s", brief(a.took()))
	case refused && code == "NOPERM":
		return good("Redis answers and does not allow PING, in %s", brief(a.took()))
	case refused:
		return bad("Redis answers PING with %s", quoted(text))
	}
	return bad("The answer on port %d is not Redis: %s", a.port, quoted(said))
}
