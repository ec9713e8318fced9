package monitor

import (
	"io"
	"net"
	"strings"
	"testing"

	"evenkeel/appliance"
)

const redisPing = "*1\r\n$4\r\nPING\r\n"

// converses waits for each text of a pair and answers it with the other; what does not fit is answered with "unexpected" and its end.
func converses(pairs ...[2]string) func(net.Conn) {
	return func(c net.Conn) {
		for _, pair := range pairs {
			asked := make([]byte, len(pair[0]))
			if _, err := io.ReadFull(c, asked); err != nil || string(asked) != pair[0] {
				_, _ = io.WriteString(c, "unexpected\r\n")
				break
			}
			_, _ = io.WriteString(c, pair[1])
		}
		untilEOF(c)
	}
}

func TestRedis(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		good  bool
		want  string
	}{
		"answers":          {converses([2]string{redisPing, "+PONG\r\n"}), true, "PONG in # ms."},
		"asks a password":  {converses([2]string{redisPing, "-NOAUTH Authentication required.\r\n"}), true, "Redis answers and asks for a password, in # ms."},
		"no right to PING": {converses([2]string{redisPing, "-NOPERM User default has no permissions to run the 'ping' command\r\n"}), true, "Redis answers and does not allow PING, in # ms."},
		"NOAUTH alone":     {answers("NOAUTH Authentication required.\r\n"), false, `The answer on port # is not Redis: "NOAUTH Authentication required.".`},
		"loading":          {converses([2]string{redisPing, "-LOADING Redis is loading the dataset in memory\r\n"}), false, `Redis answers PING with "LOADING Redis is loading the dataset in memory".`},
		"garbled":          {answers("HTTP/1.1 400 Bad Request\r\n\r\n"), false, `The answer on port # is not Redis: "HTTP/1.1 400 Bad Request".`},
		"closes":           {answers(""), false, "The server closed the connection before an answer to PING came."},
		"half a line":      {answers("+PON"), false, "The server closed the connection before an answer to PING came."},
		"silent":           {untilEOF, false, "Port # opened, but an answer to PING did not come within 1s."},
		"endless":          {answersUnasked("+" + strings.Repeat("x", 1<<20)), false, `The answer on port # is not Redis: "+` + strings.Repeat("x", maxQuoted-1) + `…".`},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			m := check(appliance.MonitorRedis)
			m.Timeout = within(c.want)
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
		})
	}
}

// FuzzRedisAnswer holds that no answer hangs, harms or passes for a good one without being PONG or a refusal.
func FuzzRedisAnswer(f *testing.F) {
	for _, s := range []string{"+PONG\r\n", "-ERR x\r\n", "-NOAUTH\r\n", "-NOPERM x\n", "$4\r\nPONG\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := overBytes(t, appliance.NewMonitor(appliance.MonitorRedis), body)
		said := string(body)
		if o.good && !strings.HasPrefix(said, "+PONG") && !strings.HasPrefix(said, "-NOAUTH") && !strings.HasPrefix(said, "-NOPERM") {
			t.Errorf("%q is good: %s", said, o.sentence())
		}
	})
}

// overBytes runs the check against a peer that says body, whatever it is told, and finishes.
func overBytes(t *testing.T, m appliance.Monitor, body []byte) outcome {
	t.Helper()
	s, r := appliance.NewService(appliance.TCP), appliance.NewRealServer()
	s.Monitor, s.Monitor.Port, r.Address = m, 1, "192.0.2.1"
	a := New(Options{}).attempt(prepare(newJob(&s, &r, nil)))
	a.dial = recorded(body)
	_, o := a.probe(t.Context())
	a.end(t.Context())
	if sentence := o.sentence(); strings.ContainsFunc(sentence, func(r rune) bool { return r < ' ' }) || len(sentence) > 16*maxQuoted {
		t.Errorf("not inert: %q", sentence)
	}
	return o
}
