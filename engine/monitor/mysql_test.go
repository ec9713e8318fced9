package monitor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// greets is a greeting as MySQL 8 sends it.
func greets(version string) []byte {
	content := "\x0a" + version + "\x00\x07\x00\x00\x00" + "12345678" + "\x00" + "\xff\xff" + "\xff" + "\x02\x00" + "\xff\xdf" + "\x15" + strings.Repeat("\x00", 10) +
		"123456789012\x00" + "caching_sha2_password\x00"
	return mysqlPacket(0, []byte(content))
}

func mysqlErr(number byte, code uint16, text string) string {
	return string(mysqlPacket(number, append([]byte{mysqlError, byte(code), byte(code >> 8)}, text...)))
}

// database greets, answers packet after packet, and tells what it was told, each with its number.
func database(told chan<- string, greeting []byte, says ...string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Write(greeting)
		in, all := bufio.NewReader(c), ""
		for {
			head := make([]byte, 4)
			if _, err := io.ReadFull(in, head); err != nil {
				told <- all
				return
			}
			packet := make([]byte, int(head[0])|int(head[1])<<8)
			_, _ = io.ReadFull(in, packet)
			all += fmt.Sprintf("%d:%s|", head[3], packet)
			if len(says) > 0 {
				_, _ = io.WriteString(c, says[0])
				says = says[1:]
			}
		}
	}
}

func TestMySQL(t *testing.T) {
	const ok = "\x03\x00\x00\x02\x00\x00\x00"
	signIn := func(user string) string {
		return "1:\x01\x82\x08\x00\x00\x40\x00\x00\x21" + strings.Repeat("\x00", 23) + user + "\x00\x00caching_sha2_password\x00|"
	}
	for name, c := range map[string]struct {
		user     string
		greeting []byte
		says     []string
		good     bool
		want     string
		told     string
	}{
		"signs in":          {"haproxy", greets("8.0.36"), []string{ok}, true, `MySQL "8.0.36" let the check sign in, in # ms.`, signIn("haproxy") + "0:\x01|"},
		"another plugin":    {"", greets("8.0.36"), []string{"\x16\x00\x00\x02\xfemysql_native_password", "\x03\x00\x00\x04\x00\x00\x00"}, true, `MySQL "8.0.36" let the check sign in, in # ms.`, signIn("evenkeel") + "3:|0:\x01|"},
		"fast":              {"", greets("8.0.36"), []string{"\x02\x00\x00\x02\x01\x03\x03\x00\x00\x03\x00\x00\x00"}, true, `MySQL "8.0.36" let the check sign in, in # ms.`, signIn("evenkeel") + "0:\x01|"},
		"denied to nobody":  {"", greets("8.0.36"), []string{mysqlErr(2, 1045, "#28000Access denied")}, true, `MySQL "8.0.36" answers in # ms.`, signIn("evenkeel")},
		"denied to a user":  {"lb", greets("8.0.36"), []string{mysqlErr(2, 1045, "#28000Access <denied>")}, false, `MySQL does not let "lb" sign in without a password: "Access <denied>" (error 1045).`, signIn("lb")},
		"full":              {"", []byte(mysqlErr(0, 1040, "Too many connections")), nil, false, `MySQL refuses connections: "Too many connections" (error 1040).`, ""},
		"host not allowed":  {"", []byte(mysqlErr(0, 1130, "Host '10.0.0.1' is not allowed")), nil, false, `MySQL refuses connections: "Host '10.0.0.1' is not allowed" (error 1130).`, ""},
		"stops":             {"", greets("8.0.36"), []string{mysqlErr(2, 1053, "#08S01Server shutdown in progress")}, false, `MySQL refuses to serve: "Server shutdown in progress" (error 1053).`, signIn("evenkeel")},
		"MariaDB":           {"", greets("5.5.5-10.11.6-MariaDB"), []string{ok}, true, `MySQL "10.11.6-MariaDB" let the check sign in, in # ms.`, signIn("evenkeel") + "0:\x01|"},
		"without plugins":   {"", mysqlPacket(0, []byte("\x0a5.1\x00\x07\x00\x00\x0012345678\x00\x00\x82")), []string{ok}, true, `MySQL "5.1" let the check sign in, in # ms.`, "1:\x01\x82\x00\x00\x00\x40\x00\x00\x21" + strings.Repeat("\x00", 23) + "evenkeel\x00\x00|0:\x01|"},
		"asks without end":  {"", greets("8"), []string{"\x02\x00\x00\x02\x01\x04", "\x02\x00\x00\x04\x01\x04", "\x02\x00\x00\x06\x01\x04", "\x02\x00\x00\x08\x01\x04", ok}, false, `MySQL "8" asks without end during the sign-in.`, signIn("evenkeel") + "3:|5:|7:|9:|"},
		"garbled answer":    {"", greets("8"), []string{"\x02\x00\x00\x02\x42\x42"}, false, `The answer to the sign-in is not MySQL: "BB".`, signIn("evenkeel")},
		"garbled greeting":  {"", mysqlPacket(0, []byte("\x0aonly")), nil, false, `The answer on port # is not MySQL: "\nonly".`, ""},
		"another protocol":  {"", mysqlPacket(0, []byte("\x094.0\x00")), nil, false, `The answer on port # is not MySQL: "\t4.0\x00".`, ""},
		"HTTP":              {"", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, false, `The answer on port # is not MySQL: "HTTP/1.1 400 Bad Request\r\n\r\n".`, ""},
		"endless":           {"", append([]byte{0xff, 0xff, 0xff, 0}, strings.Repeat("x", 1<<18)...), nil, false, `The answer on port # is not MySQL: "*…".`, ""},
		"empty packets":     {"", []byte(strings.Repeat("\x00", 1<<16)), nil, false, `The answer on port # is not MySQL: "*…".`, ""},
		"silent":            {"", nil, nil, false, "Port # opened, but the greeting of MySQL did not come within 1s.", ""},
		"silent afterwards": {"", greets("8"), nil, false, "Port # opened, but an answer to the sign-in did not come within 1s.", signIn("evenkeel")},
		"half a greeting":   {"", greets("8")[:20], nil, false, "Port # opened, but the greeting of MySQL did not come within 1s.", ""},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 1)
			to := peer(t, listen(t, "127.0.0.1:0"), database(told, c.greeting, c.says...))
			m := check(appliance.MonitorMySQL)
			m.Timeout, m.MySQL.User = within(c.want), c.user
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
			if got := <-told; got != c.told {
				t.Errorf("the server was told %q, want %q", got, c.told)
			}
		})
	}
	to := peer(t, listen(t, "127.0.0.1:0"), func(net.Conn) {})
	p, _ := try(t, to, check(appliance.MonitorMySQL))
	expect(t, p, false, "The server closed the connection before the greeting of MySQL came.")
}

func FuzzMySQLAnswer(f *testing.F) {
	f.Add(greets("8.0.36"))
	f.Add(append(greets("8"), "\x03\x00\x00\x02\x00\x00\x00"...))
	f.Add(append(greets("8"), mysqlErr(2, 1045, "#28000Access denied")...))
	f.Add([]byte(mysqlErr(0, 1040, "Too many")))
	f.Fuzz(func(t *testing.T, body []byte) {
		o := overBytes(t, appliance.NewMonitor(appliance.MonitorMySQL), body)
		if o.good && (len(body) < 5 || body[4] != mysqlProtocol) {
			t.Errorf("%q: %s", body, o.sentence())
		}
	})
}
