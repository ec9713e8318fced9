package monitor

import (
	"io"
	"net"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// pgSays is a message of PostgreSQL.
func pgSays(kind byte, content string) string {
	n := len(content) + 4
	return string([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + content
}

func pgErr(code, text string) string {
	return pgSays(pgError, "SFATAL\x00VFATAL\x00C"+code+"\x00M"+text+"\x00Fpostmaster.c\x00\x00")
}

// session answers the first message, and tells all that it was told.
func session(told chan<- string, says string) func(net.Conn) {
	return func(c net.Conn) {
		first := make([]byte, 1024)
		n, _ := c.Read(first)
		_, _ = io.WriteString(c, says)
		rest, _ := io.ReadAll(c)
		told <- string(first[:n]) + string(rest)
	}
}

func TestPostgreSQL(t *testing.T) {
	startup := func(length byte, user string) string {
		return "\x00\x00\x00" + string(rune(length)) + "\x00\x03\x00\x00user\x00" + user + "\x00database\x00postgres\x00application_name\x00evenkeel health check\x00\x00"
	}
	nobody := startup(0x50, "evenkeel")
	for name, c := range map[string]struct {
		user string
		says string
		good bool
		want string
		told string
	}{
		"asks for a password":    {"lb", pgSays('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"), true, "PostgreSQL answers in # ms and asks for a password.", startup(0x4a, "lb")},
		"lets in":                {"", pgSays('R', "\x00\x00\x00\x00") + pgSays('S', "server_version\x0015\x00") + pgSays('K', "12345678") + pgSays('Z', "I"), true, "PostgreSQL let the check sign in, in # ms.", nobody + "X\x00\x00\x00\x04"},
		"trusts an unknown role": {"", pgSays('R', "\x00\x00\x00\x00") + pgErr("28000", "no role"), true, `PostgreSQL answers in # ms. It refuses the account of the check: "no role" (28000).`, nobody},
		"full afterwards":        {"", pgSays('R', "\x00\x00\x00\x00") + pgErr("53300", "slots are reserved"), false, `PostgreSQL refuses to serve: "slots are reserved" (53300).`, nobody},
		"never ready":            {"", pgSays('R', "\x00\x00\x00\x00"), false, "Port # opened, but an answer of PostgreSQL did not come within 1s.", nobody},
		"after a notice":         {"", pgSays('N', "Mhello\x00\x00") + pgSays('v', "\x00\x00\x00\x00\x00\x00\x00\x00") + pgSays('R', "\x00\x00\x00\x03"), true, "PostgreSQL answers in # ms and asks for a password.", nobody},
		"unknown role":           {"", pgErr("28000", `role "evenkeel" does not exist`), true, `PostgreSQL answers in # ms. It refuses the account of the check: "role \"evenkeel\" does not exist" (28000).`, nobody},
		"starting":               {"", pgErr("57P03", "the database system is starting up"), false, `PostgreSQL refuses to serve: "the database system is starting up" (57P03).`, nobody},
		"full":                   {"", pgErr("53300", "sorry, too many <clients> already"), false, `PostgreSQL refuses to serve: "sorry, too many <clients> already" (53300).`, nobody},
		"no code":                {"", pgSays('E', "Mbroken\x00\x00"), false, `PostgreSQL refuses to serve: "broken" ().`, nobody},
		"empty request":          {"", pgSays('R', ""), false, `The answer of PostgreSQL is cut off: "".`, nobody},
		"garbled":                {"", "HTTP/1.1 400 Bad Request\r\n\r\n", false, `The answer on port # is not PostgreSQL: "HTTP/1.1 400 Bad Request\r\n\r\n".`, nobody},
		"too long":               {"", "E\x7f\xff\xff\xff" + strings.Repeat("x", 1<<18), false, `The answer on port # is not PostgreSQL: "*…".`, nobody},
		"too short":              {"", "R\x00\x00\x00\x03", false, `The answer on port # is not PostgreSQL: "R\x00\x00\x00\x03".`, nobody},
		"endless":                {"", strings.Repeat(pgSays('N', "Mhello\x00\x00"), 1<<14), false, "PostgreSQL sends messages without end.", nobody},
		"silent":                 {"", "", false, "Port # opened, but an answer of PostgreSQL did not come within 1s.", nobody},
		"half":                   {"", pgErr("28000", "x")[:9], false, "Port # opened, but an answer of PostgreSQL did not come within 1s.", nobody},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 1)
			to := peer(t, listen(t, "127.0.0.1:0"), session(told, c.says))
			m := check(appliance.MonitorPostgreSQL)
			m.Timeout, m.PostgreSQL.User = within(c.want), c.user
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
			if got := <-told; got != c.told {
				t.Errorf("the server was told %q, want %q", got, c.told)
			}
		})
	}
	to := peer(t, listen(t, "127.0.0.1:0"), answers(""))
	p, _ := try(t, to, check(appliance.MonitorPostgreSQL))
	expect(t, p, false, "The server closed the connection before an answer of PostgreSQL came.")
}

func FuzzPostgreSQLAnswer(f *testing.F) {
	for _, s := range []string{pgSays('R', "\x00\x00\x00\x00"), pgErr("57P03", "starting"), pgSays('N', "M") + pgErr("28000", "x"), "Ecould not fork\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := overBytes(t, appliance.NewMonitor(appliance.MonitorPostgreSQL), body)
		if o.good && !strings.ContainsAny(string(body), "REZ") {
			t.Errorf("%q: %s", body, o.sentence())
		}
	})
}
