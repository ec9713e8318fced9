package monitor

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/mllp"
)

const hello = "MSH|^~\\&|EVENKEEL|LB|HIS|HOSPITAL|20260101||NMQ^N01|check-1|P|2.5\n"

func acknowledges(ack func(message string) string) func(net.Conn) {
	return func(c net.Conn) {
		message, err := mllp.NewReader(c, mllp.ReaderOptions{}).Next()
		if err != nil {
			return
		}
		_ = mllp.Write(c, []byte(ack(string(message))))
		untilEOF(c)
	}
}

func TestHL7WithMessage(t *testing.T) {
	ack := func(code, id, text string) func(string) string {
		return func(string) string {
			return "MSH|^~\\&|HIS|HOSPITAL|EVENKEEL|LB|20260101||ACK|1|P|2.5\rMSA|" + code + "|" + id + "|" + text + "\r"
		}
	}
	for name, c := range map[string]struct {
		ack    func(string) string
		expect string
		good   bool
		want   string
	}{
		"accepted":      {ack("AA", "check-1", ""), "", true, "Message acknowledged with AA in # ms."},
		"as expected":   {ack("AR", "check-1", "unknown"), "AR", true, "Message acknowledged with AR in # ms."},
		"rejected":      {ack("AE", "check-1", ""), "", false, `Acknowledged with "AE" where AA was expected.`},
		"with a reason": {ack("AR", "check-1", "Event not supported"), "", false, `Acknowledged with "AR" where AA was expected: "Event not supported".`},
		"another's":     {ack("AA", "77", ""), "", false, `The acknowledgement is for message "77", not for "check-1".`},
		"no MSA":        {func(m string) string { return m }, "", false, `The answer is not an acknowledgement: *`},
		"segments by CR": {func(m string) string {
			if m != strings.ReplaceAll(hello, "\n", "\r") {
				return "garbled"
			}
			return ack("AA", "check-1", "")(m)
		}, "", true, "Message acknowledged with AA in # ms."},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), acknowledges(c.ack))
			m := check(appliance.MonitorHL7)
			m.HL7 = appliance.HL7Probe{Message: hello, Expect: c.expect}
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
		})
	}
}

func TestHL7ServerThatHangsUp(t *testing.T) {
	to := peer(t, listen(t, "127.0.0.1:0"), answers(""))
	m := check(appliance.MonitorHL7)
	m.HL7.Message = hello
	p, _ := try(t, to, m)
	expect(t, p, false, "The server closed the connection before it acknowledged.")
}

func TestHL7WithoutMessageSendsNothing(t *testing.T) {
	received := make(chan int64, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		n, _ := io.Copy(io.Discard, c)
		received <- n
	})
	p, _ := try(t, to, check(appliance.MonitorHL7))
	expect(t, p, true, fmt.Sprintf("Port %d opened in # ms and stayed open; no message is sent.", to.Port()))
	if n := <-received; n != 0 {
		t.Errorf("%d bytes were sent", n)
	}
}

func TestHL7WithoutMessageLooksAtTheFraming(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closed":  {func(net.Conn) {}, "Port # opened, but the server closed the connection at once."},
		"garbled": {answersUnasked("SSH-2.0-x\r\n"), `The server does not speak MLLP: a message must begin with 0x0B, not with "SSH-2.0-x\\r\\n".`},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			p, _ := try(t, to, check(appliance.MonitorHL7))
			expect(t, p, false, c.want)
		})
	}
	to := peer(t, listen(t, "127.0.0.1:0"), answersUnasked("\x0bMSH|^~\\&|A\r\x1c\r"))
	p, _ := try(t, to, check(appliance.MonitorHL7))
	expect(t, p, true, "Port # opened in # ms and stayed open; no message is sent.")
}
