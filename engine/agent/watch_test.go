package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is an agent: what it does with a connection can be changed.
type program struct {
	mu    sync.Mutex
	serve func(net.Conn) // nil: connections are refused
	asked []string       // addresses
}

func (p *program) set(f func(net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = f
}

func (p *program) says(text string) {
	p.set(func(c net.Conn) { _, _ = io.WriteString(c, text); _ = c.Close() })
}

func (p *program) dial(_ context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	serve := p.serve
	p.asked = append(p.asked, address)
	p.mu.Unlock()
	if serve == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go serve(theirs)
	return ours, nil
}

// service has one server with an agent that is asked each second, has half a second, and is forgotten after three answers that are none.
func service() *appliance.VirtualService {
	s := appliance.NewService(appliance.TCP)
	s.ID, s.Monitor.Interval, s.Monitor.Timeout = "svc", appliance.Duration(time.Second), appliance.Duration(time.Second/2)
	s.Monitor.Agent.Enabled = true
	r := appliance.NewRealServer()
	r.ID, r.Address = "r1", "fd00::1"
	s.RealServers = []appliance.RealServer{r}
	return &s
}

func start(t *testing.T, o Options, s *appliance.VirtualService) *Watcher {
	w := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	w.Apply([]*appliance.VirtualService{s})
	return w
}

func round() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestWhatAnAgentSaysCountsUntilItSaysOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		changes := 0
		w := start(t, Options{Dial: p.dial, Changed: func(id string) { changes++ }}, service())
		synctest.Wait()
		if s, asked := w.State("r1"); !asked || s.Sentence() != "The agent on port 3333 has not been asked yet." || s.Share() != 100 {
			t.Errorf("%+v %s", s, s.Sentence())
		}
		for _, c := range []struct {
			says                 string
			share                int
			drains, closed, down bool
			sentence             string
			changed              bool
		}{
			{"75%\n", 75, false, false, false, "The agent says 75%.", true},
			{"drain#backup\r\n", 75, true, false, false, "The agent says 75% drain (backup).", true},
			{"up", 75, true, false, false, "The agent says 75% drain up.", false},
			{"maint\n100%\n", 75, false, true, false, "The agent says 75% maint up.", true},
			{"ready 0%\n", 0, true, false, false, "The agent says 0% ready up.", true},
			{"100% stopped\n", 100, false, false, true, "The agent says 100% ready stopped.", true},
			{"fail\n", 100, false, false, true, "The agent says 100% ready fail.", false},
			{"up\n", 100, false, false, false, "The agent says 100% ready up.", true},
		} {
			before := changes
			p.says(c.says)
			round()
			s, _ := w.State("r1")
			if s.Share() != c.share || s.Drains() != c.drains || s.Closed() != c.closed || s.IsDown() != c.down || s.Sentence() != c.sentence || (changes > before) != c.changed {
				t.Errorf("%q: %+v, %s, %d changes", c.says, s, s.Sentence(), changes-before)
			}
		}
		if p.asked[0] != "[fd00::1]:3333" {
			t.Errorf("asked at %s", p.asked[0])
		}
	})
}

func TestAnswersThatAreNoneChangeNothingUntilThereWereTooMany(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		why   string
	}{
		"refusal":   {nil, "the connection was refused"},
		"silence":   {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "it did not answer within 500ms"},
		"garbage":   {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n"); _ = c.Close() }, "none of the words of its answer is known"},
		"nothing":   {func(c net.Conn) { _ = c.Close() }, "its answer was empty"},
		"long line": {func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("up ", 1000)); _ = c.Close() }, "its answer was longer than 1024 bytes"},
		"drip": {func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "u"); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}, "it did not answer within 500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &program{}
				p.says("50% drain\n")
				w := start(t, Options{Dial: p.dial}, service())
				round()
				p.set(c.serve)
				for i := range 3 {
					s, _ := w.State("r1")
					for end := time.Now().Add(2 * time.Second); s.Missed <= i && time.Now().Before(end); s, _ = w.State("r1") {
						time.Sleep(time.Millisecond)
					}
					want := "The agent says 50% drain; that still counts although it was not heard since: " + c.why + "."
					if i == 2 {
						want = "The agent on port 3333 is not heard: " + c.why + ". Nothing that it may have said counts."
					}
					if got := s.Sentence(); got != want || s.Drains() != (i < 2) || (s.Share() == 50) != (i < 2) {
						t.Errorf("answer %d: %s %+v", i, got, s)
					}
				}
				p.says("up\n")
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if s, _ := w.State("r1"); s.Sentence() != "The agent says up." || s.Drains() || s.Share() != 100 {
					t.Errorf("%s", s.Sentence())
				}
			})
		})
	}
}

func TestTheConfiguredLineIsSentAndNamesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		got := make(chan string, 10)
		p.set(func(c net.Conn) {
			b := make([]byte, 100)
			n, _ := c.Read(b)
			got <- string(b[:n])
			_, _ = io.WriteString(c, "ready\n")
			_ = c.Close()
		})
		var gone atomic.Bool
		s := service()
		s.Monitor.Agent.Send, s.RealServers[0].Address = "state of svc", "pacs1.example"
		w := start(t, Options{Dial: p.dial, Resolve: func(_, name string) (netip.Addr, error) {
			if gone.Load() || name != "pacs1.example" {
				return netip.Addr{}, errors.New("no such name")
			}
			return netip.MustParseAddr("10.0.0.7"), nil
		}}, s)
		round()
		if line := <-got; line != "state of svc\n" || p.asked[0] != "10.0.0.7:3333" {
			t.Errorf("%q to %s", line, p.asked[0])
		}
		gone.Store(true)
		round()
		if s, _ := w.State("r1"); !strings.HasSuffix(s.Sentence(), "its server's name pacs1.example leads nowhere.") {
			t.Error(s.Sentence())
		}
	})
}

func TestAgentsComeAndGoWithTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &program{}
		p.says("drain\n")
		told := 0
		s := service()
		w := start(t, Options{Dial: p.dial, Changed: func(string) { told++ }}, s)
		round()
		more := s.Clone()
		more.Monitor.Interval = appliance.Duration(2 * time.Second) // is not another agent
		w.Apply([]*appliance.VirtualService{&more})
		synctest.Wait()
		if s, _ := w.State("r1"); !s.Drains() || told != 1 {
			t.Errorf("%+v, told %d", s, told)
		}
		moved := more.Clone()
		moved.Monitor.Agent.Port = 4444
		p.set(nil)
		w.Apply([]*appliance.VirtualService{&moved})
		synctest.Wait()
		if s, asked := w.State("r1"); s.Drains() || !asked || told != 2 {
			t.Errorf("%+v, told %d", s, told)
		}
		moved.Monitor.Agent.Enabled = false
		w.Apply([]*appliance.VirtualService{&moved})
		synctest.Wait()
		asked := len(p.asked)
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, known := w.State("r1"); known || len(p.asked) != asked || told != 3 {
			t.Errorf("still known: %v; %d connections, told %d", known, len(p.asked)-asked, told)
		}
	})
}
