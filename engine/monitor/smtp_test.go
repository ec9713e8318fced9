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

// mailServer answers each command with the next text, and tells all it was told.
func mailServer(told chan<- string, greeting string, says map[string]string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		in, all := bufio.NewReader(c), ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				told <- all
				return
			}
			all += line
			_, _ = io.WriteString(c, says[line[:4]])
		}
	}
}

func TestSMTP(t *testing.T) {
	const ready = "220 mail.example ESMTP\r\n"
	for name, c := range map[string]struct {
		greeting string
		says     map[string]string
		good     bool
		want     string
		told     string
	}{
		"answers":       {ready, map[string]string{"EHLO": "250-mail.example\r\n250-SIZE 1000\r\n250 HELP\r\n"}, true, "The mail server greets and answers in # ms.", "EHLO lb.example\r\nQUIT\r\n"},
		"long greeting": {"220-wait\r\n220-more\r\n220\r\n", map[string]string{"EHLO": "250 hello\r\n"}, true, "The mail server greets and answers in # ms.", "EHLO lb.example\r\nQUIT\r\n"},
		"bare newlines": {"220 x\n", map[string]string{"EHLO": "250 hello\n"}, true, "The mail server greets and answers in # ms.", "EHLO lb.example\r\nQUIT\r\n"},
		"HELO only":     {ready, map[string]string{"EHLO": "500 what?\r\n", "HELO": "250 hello\r\n"}, true, "The mail server greets and answers in # ms.", "EHLO lb.example\r\nHELO lb.example\r\nQUIT\r\n"},
		"no service":    {"554 no <b>service</b>\r\n", nil, false, `The mail server greets with "554 no <b>service</b>".`, "QUIT\r\n"},
		"busy":          {"421 too busy\r\n", nil, false, `The mail server greets with "421 too busy".`, "QUIT\r\n"},
		"refuses": {
			ready,
			map[string]string{"EHLO": "550 go away\r\n", "HELO": "550-go\r\n550 away\r\n"},
			false, `The mail server refuses EHLO and HELO with "550 away".`, "EHLO lb.example\r\nHELO lb.example\r\nQUIT\r\n",
		},
		"garbled answer": {ready, map[string]string{"EHLO": "hello\r\n"}, false, `The answer on port # is not SMTP: "hello".`, "EHLO lb.example\r\nQUIT\r\n"},
		"two codes":      {ready, map[string]string{"EHLO": "250-a\r\n251 b\r\n"}, false, `The answer on port # is not SMTP: "251 b".`, "EHLO lb.example\r\nQUIT\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 1)
			to := peer(t, listen(t, "127.0.0.1:0"), mailServer(told, c.greeting, c.says))
			m := check(appliance.MonitorSMTP)
			m.SMTP.Name = "lb.example"
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
			if got := <-told; got != c.told {
				t.Errorf("the server was told %q, want %q", got, c.told)
			}
		})
	}
}

func TestSMTPNamesItself(t *testing.T) {
	told := make(chan string, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), mailServer(told, "220 x\r\n", map[string]string{"EHLO": "250 x\r\n"}))
	_, transcript := try(t, to, check(appliance.MonitorSMTP))
	if got := <-told; got != "EHLO evenkeel\r\nQUIT\r\n" {
		t.Errorf("%q", got)
	}
	for _, want := range []string{`received 7 bytes: "220 x\r\n"`, `send 15 bytes: "EHLO evenkeel\r\n"`} {
		if !strings.Contains(transcript, want) {
			t.Errorf("the transcript lacks %s:\n%s", want, transcript)
		}
	}
}

func TestSMTPAgainstOtherServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closes":         {func(net.Conn) {}, "The server closed the connection before the greeting of a mail server came."},
		"silent":         {untilEOF, "Port # opened, but the greeting of a mail server did not come within 1s."},
		"silent later":   {answersUnasked("220 x\r\n"), "Port # opened, but an answer to EHLO did not come within 1s."},
		"half a line":    {answersUnasked("220 x"), "Port # opened, but the greeting of a mail server did not come within 1s."},
		"garbled":        {answersUnasked("SSH-2.0-OpenSSH\x1b[31m\r\n"), `The answer on port # is not SMTP: "SSH-2.0-OpenSSH\x1b[31m".`},
		"empty":          {answersUnasked("\r\n"), "The answer on port # is not SMTP: an empty line."},
		"endless line":   {answersUnasked("220 " + strings.Repeat("x", 1<<20)), `The answer on port # is not SMTP: "220 ` + strings.Repeat("x", maxQuoted-4) + `…".`},
		"endless answer": {answersUnasked(strings.Repeat("220-x\r\n", 1<<16)), `The answer on port # is not SMTP: "more than 100 lines".`},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			m := check(appliance.MonitorSMTP)
			m.Timeout = within(c.want)
			p, _ := try(t, to, m)
			expect(t, p, false, c.want)
		})
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"220 x\r\n", "250-a\r\n250 b\r\n", "220", "999 x\n", "-20 x\r\n", "2 0 x\r\n", "220-\r\n220\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := lineReader(strings.NewReader(string(body)))
		r, err := readReply(in)
		if err == nil && (r.code < 200 || r.code > 599 || !strings.Contains(string(body), fmt.Sprint(r.code)) || strings.ContainsRune(r.text, '\n')) {
			t.Errorf("%q was read as %v", body, r)
		}
	})
}
