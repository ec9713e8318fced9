package story

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
)

// hl7Exchange sends one message with that control id and reads an acknowledgement, which must carry it (HL7 v2, 2.9.2; MLLP release 1).
func hl7Exchange(c net.Conn, id string) error {
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	message := "MSH|^~\\&|STORY|HERE|EVENKEEL|THERE|20260101120000||ADT^A01|" + id + "|P|2.5\rPID|1||42^^^A||Doe^Jane\r"
	if _, err := c.Write([]byte("\x0b" + message + "\x1c\x0d")); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	frame, err := r.ReadBytes(0x1c)
	if err != nil {
		return err
	}
	for _, segment := range bytes.Split(frame, []byte{'\r'}) {
		if f := strings.Split(string(segment), "|"); f[0] == "MSA" && len(f) >= 3 {
			if f[1] != "AA" || f[2] != id {
				return fmt.Errorf("message %s was answered with %s", id, segment)
			}
			if end, err := r.ReadByte(); err != nil || end != 0x0d {
				return fmt.Errorf("the frame ends with %x, %v", end, err)
			}
			return nil
		}
	}
	return fmt.Errorf("no MSA in %q", frame)
}

// sample runs a sample server as a process of its own.
func sample(t *testing.T, kind, address, keep string) *process {
	t.Helper()
	args := []string{"sample", kind, "--listen", address}
	if keep != "" {
		args = append(args, "--keep", keep)
	}
	p := start(t, args...)
	eventually(t, 20*time.Second, "the sample listens", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("the sample ended: %s", p.stderr)
		default:
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

// pointAt replaces the servers of a demo's service by processes at these addresses and quickens its check.
func pointAt(t *testing.T, c *client, label string, addresses ...string) appliance.VirtualService {
	t.Helper()
	s := c.services(t)[label]
	servers := make([]string, len(addresses))
	for i, a := range addresses {
		host, number, _ := net.SplitHostPort(a)
		servers[i] = fmt.Sprintf(`{"label":"Own%d","address":%q,"port":%s}`, i+1, host, number)
	}
	c.must(t, 200, "PATCH", "virtual-services/"+s.ID, `{"check":{"interval":"200ms","timeout":"2s","rise":1,"fall":2},"real_servers":[`+strings.Join(servers, ",")+`]}`, "If-Match", "*")
	c.must(t, 200, "POST", "apply", "")
	c.allUp(t)
	return c.services(t)[label]
}

func TestTenThousandMessagesWhileEachServerDiesOnce(t *testing.T) {
	_, d := demo(t)
	c := d.client()
	addresses := []string{freeAddress(t), freeAddress(t)}
	keeps := []string{t.TempDir(), t.TempDir()}
	servers := []*process{sample(t, "hl7", addresses[0], keeps[0]), sample(t, "hl7", addresses[1], keeps[1])}
	pointAt(t, c, "HL7", addresses...)
	const clients, each = 20, 500
	var sent atomic.Int64
	var work sync.WaitGroup
	acknowledged := make([][]string, clients)
	for i := range clients {
		work.Go(func() { acknowledged[i] = sendMessages(t, d.address(t, "HL7"), i, each, &sent) })
	}
	for i := range servers {
		eventually(t, 2*time.Minute, "messages flow", func() bool { return sent.Load() >= int64(2000+4000*i) || t.Failed() })
		servers[i].kill()
		eventually(t, 30*time.Second, "the overview says that the server is down", func() bool {
			s := c.status(t, "HL7")
			return s.Servers[i].Check.Health == appliance.Down && s.Servers[i].Check.Sentence != ""
		})
		servers[i] = sample(t, "hl7", addresses[i], keeps[i])
		c.allUp(t)
	}
	work.Wait()
	kept := map[string]bool{}
	for _, dir := range keeps {
		for _, id := range keptMessages(t, dir) {
			kept[id] = true
		}
	}
	total := 0
	for _, list := range acknowledged {
		total += len(list)
		for _, id := range list {
			if !kept[id] {
				t.Errorf("message %s was acknowledged and is not with any server", id)
			}
		}
	}
	if total != clients*each {
		t.Errorf("%d messages were acknowledged, want %d", total, clients*each)
	}
}

// sendMessages sends each messages one after the other from an address of its own; after a broken connection it connects again and repeats the one that
// was not acknowledged, as HL7 senders do.
func sendMessages(t *testing.T, address string, client, each int, sent *atomic.Int64) []string {
	dialer := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+client))}}
	var acknowledged []string
	var c net.Conn
	failures := 0
	for n := 0; n < each; {
		id := fmt.Sprintf("C%dM%d", client, n)
		var err error
		if c == nil {
			c, err = dialer.Dial("tcp", address)
		}
		if err == nil {
			err = hl7Exchange(c, id)
		}
		if err != nil {
			if strings.Contains(err.Error(), "was answered with") {
				t.Error(err)
				return acknowledged
			}
			if c != nil {
				c.Close()
				c = nil
			}
			if failures++; failures > 200 {
				t.Errorf("client %d gives up after %d failures: %v", client, failures, err)
				return acknowledged
			}
			continue
		}
		acknowledged = append(acknowledged, id)
		sent.Add(1)
		n++
	}
	c.Close()
	return acknowledged
}

// keptMessages returns the control ids in what an HL7 sample kept.
func keptMessages(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing kept in %s: %v", dir, err)
	}
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, segment := range bytes.FieldsFunc(b, func(r rune) bool { return r == '\r' || r == '\n' || r == 0x0b || r == 0x1c }) {
			if f := bytes.Split(segment, []byte{'|'}); string(f[0]) == "MSH" && len(f) > 9 {
				out = append(out, string(f[9]))
			}
		}
	}
	return out
}
