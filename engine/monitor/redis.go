package monitor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ping is the Redis check: AUTH when there is a password, then PING, which must bring PONG. No key is touched.
func (a *attempt) ping(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	in := lineReader(a.peer)
	if a.redis.Password != "" {
		a.trace.hush("send AUTH, with the password left out")
		said, o := a.command(in, "AUTH", string(a.redis.Password))
		if o != nil {
			return *o
		}
		if said != "+OK" {
			return a.unwelcome("AUTH", said)
		}
	}
	said, o := a.command(in, "PING")
	switch {
	case o != nil:
		return *o
	case said == "+PONG":
		return good("PONG in %s", brief(a.took()))
	}
	return a.unwelcome("PING", said)
}

// command sends one and returns the line that answers it; an outcome that is not nil says why none came.
func (a *attempt) command(in *bufio.Reader, words ...string) (string, *outcome) {
	_, err := io.WriteString(a.peer, redisCommand(words...))
	line := ""
	if err == nil {
		line, err = readLine(in)
	}
	if err != nil && !errors.Is(err, errLine) {
		o := a.unanswered(err, "an answer to "+words[0])
		return "", &o
	}
	return line, nil
}

// unwelcome judges an answer that is not the hoped one.
func (a *attempt) unwelcome(verb, said string) outcome {
	text, refused := strings.CutPrefix(said, "-")
	code, _, _ := strings.Cut(text, " ")
	switch {
	case refused && code == "NOAUTH":
		return outcome{what: "Redis asks for a password", more: "Give it to this check."}
	case refused:
		return bad("Redis answers %s with %s", verb, a.foreign(text, string(a.redis.Password)))
	}
	return bad("The answer on port %d is not Redis: %s", a.port, a.foreign(said, string(a.redis.Password)))
}

// redisCommand writes a command as a list of strings, so that no text can be taken for a command.
func redisCommand(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// foreign quotes what a peer said without the secret that it may have sent back.
func (a *attempt) foreign(text, secret string) string {
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return quoted(text)
}
