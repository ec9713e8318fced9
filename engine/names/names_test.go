package names

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a name server in memory. Its records may be changed at any time.
type zone struct {
	mu      sync.Mutex
	records []string       // as in a zone file, such as "a.example. 30 IN A 10.0.0.1"
	fails   map[uint16]int // code of the answers to questions of a type; -1: none comes
	asked   []string
}

func (z *zone) set(records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = records
}

func (z *zone) fail(kind uint16, code int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.fails == nil {
		z.fails = map[uint16]int{}
	}
	z.fails[kind] = code
}

func (z *zone) questions() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.asked)
}

func (z *zone) exchange(ctx context.Context, q *dns.Msg, _ netip.AddrPort) (*dns.Msg, error) {
	z.mu.Lock()
	question := q.Question[0]
	z.asked = append(z.asked, question.Name+" "+dns.TypeToString[question.Qtype])
	code := z.fails[question.Qtype]
	records := z.records
	z.mu.Unlock()
	if code < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return reply(q, records, code), nil
}

// reply answers as a resolver does: with aliases and what they lead to.
func reply(q *dns.Msg, records []string, code int) *dns.Msg {
	in := new(dns.Msg)
	in.SetRcode(q, code)
	if code != dns.RcodeSuccess {
		return in
	}
	name, known := strings.ToLower(q.Question[0].Name), false
	for range 4 {
		next := ""
		for _, text := range records {
			record, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			if strings.ToLower(record.Header().Name) != name {
				continue
			}
			known = true
			if alias, ok := record.(*dns.CNAME); ok {
				next = strings.ToLower(alias.Target)
				in.Answer = append(in.Answer, record)
			} else if record.Header().Rrtype == q.Question[0].Qtype {
				in.Answer = append(in.Answer, record)
			}
		}
		name = next
	}
	if !known {
		in.Rcode = dns.RcodeNameError
	}
	return in
}

// options returns those of a machine whose name server is z.
func options(t *testing.T, z *zone) Options {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hosts"), "127.0.0.1 localhost\n10.9.9.9 Archive archive.example # by hand\nfd00::9 archive\n")
	write(t, filepath.Join(dir, "resolv.conf"), "search hospital.example\nnameserver 192.0.2.53\n")
	return Options{Exchange: z.exchange, HostsFile: filepath.Join(dir, "hosts"), ResolvConf: filepath.Join(dir, "resolv.conf")}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// running starts a resolver, which ends with the test.
func running(t *testing.T, o Options) *Resolver {
	r := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func texts(a Answer) string {
	list := make([]string, len(a.Addresses))
	for i, x := range a.Addresses {
		list[i] = x.String()
	}
	return strings.Join(list, " ")
}

func TestANameIsLookedUpAgainByItsTimeToLive(t *testing.T) {
	for _, c := range []struct {
		ttl   string
		early time.Duration // no further question before
		late  time.Duration // but by then
	}{
		{"60", 59 * time.Second, 61 * time.Second}, {"1", 4 * time.Second, 6 * time.Second}, {"86400", 299 * time.Second, 301 * time.Second}, {"0", 4 * time.Second, 6 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			z := &zone{}
			z.set("pacs.example. " + c.ttl + " IN A 10.0.0.2")
			changes := make(chan string, 10)
			o := options(t, z)
			o.Changed = func(name string) { changes <- name }
			r := running(t, o)
			r.Watch([]string{"pacs.example"})
			synctest.Wait()
			if a := r.Answer("pacs.example"); texts(a) != "10.0.0.2" || a.Failure != "" || !a.Asked {
				t.Fatalf("%+v", a)
			}
			z.set("pacs.example. " + c.ttl + " IN A 10.0.0.3")
			time.Sleep(c.early)
			synctest.Wait()
			if a := r.Answer("pacs.example"); texts(a) != "10.0.0.2" || len(changes) != 1 {
				t.Errorf("time to live %s: asked again too early: %v, %d changes", c.ttl, a, len(changes))
			}
			time.Sleep(c.late - c.early)
			synctest.Wait()
			if a := r.Answer("pacs.example"); texts(a) != "10.0.0.3" || len(changes) != 2 {
				t.Errorf("time to live %s: not asked again in time: %v, %d changes", c.ttl, a, len(changes))
			}
		})
	}
}

func TestTheLastAnswerIsKeptWhileANameDoesNotResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("pacs.example. 10 IN A 10.0.0.2", "pacs.example. 10 IN AAAA fd00::2")
		r := running(t, options(t, z))
		r.Watch([]string{"pacs.example"})
		synctest.Wait()
		began := time.Now()
		z.set()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		a := r.Answer("pacs.example")
		if texts(a) != "10.0.0.2 fd00::2" || a.Failure != "there is no such name, says the name server 192.0.2.53" || a.Since.Sub(began) != 10*time.Second {
			t.Errorf("%+v", a)
		}
		z.set("pacs.example. 10 IN A 10.0.0.7")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if a = r.Answer("pacs.example"); texts(a) != "10.0.0.7" || a.Failure != "" {
			t.Errorf("%+v", a)
		}
	})
}

func TestFailuresAreRepeatedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		r := running(t, options(t, z))
		r.Watch([]string{"pacs.example."})
		synctest.Wait()
		var asked []int
		for range 10 {
			time.Sleep(time.Minute)
			synctest.Wait()
			asked = append(asked, z.questions()/2)
		}
		// At 0, 1, 3, 7, 15, 31 and 63 s, then each minute.
		if want := []int{6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; !slices.Equal(asked, want) {
			t.Errorf("lookups by the minute: %v, want %v", asked, want)
		}
	})
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		name    string
		records []string
		a, aaaa int // what the questions fail with
		want    string
		failure string
	}{
		"both families":    {"x.example", []string{"x.example. 9 IN AAAA fd00::1", "x.example. 9 IN A 10.0.0.2", "x.example. 9 IN A 10.0.0.1"}, 0, 0, "10.0.0.1 10.0.0.2 fd00::1", ""},
		"IPv6 alone":       {"x.example", []string{"x.example. 9 IN AAAA fd00::1"}, 0, 0, "fd00::1", ""},
		"mapped":           {"x.example", []string{"x.example. 9 IN AAAA ::ffff:127.0.0.1"}, 0, 0, "127.0.0.1", ""},
		"alias":            {"x.example", []string{"x.example. 9 IN CNAME y.example.", "Y.example. 9 IN CNAME z.example.", "z.example. 9 IN A 10.0.0.1"}, 0, 0, "10.0.0.1", ""},
		"alias of itself":  {"x.example", []string{"x.example. 9 IN CNAME x.example."}, 0, 0, "", "it has no address, says the name server 192.0.2.53"},
		"search domain":    {"x", []string{"x.hospital.example. 9 IN A 10.0.0.1"}, 0, 0, "10.0.0.1", ""},
		"without search":   {"x.", []string{"x.hospital.example. 9 IN A 10.0.0.1"}, 0, 0, "", "there is no such name, says the name server 192.0.2.53"},
		"upper case":       {"X.Example", []string{"x.example. 9 IN A 10.0.0.1"}, 0, 0, "10.0.0.1", ""},
		"no address":       {"x.example", []string{"x.example. 9 IN TXT hello"}, 0, 0, "", "it has no address, says the name server 192.0.2.53"},
		"another name":     {"x.example", []string{"y.example. 9 IN A 10.0.0.1"}, 0, 0, "", "there is no such name, says the name server 192.0.2.53"},
		"refused":          {"x.example", nil, dns.RcodeRefused, dns.RcodeRefused, "", "the name server 192.0.2.53 answered REFUSED"},
		"silence":          {"x.example", nil, -1, -1, "", "the name server 192.0.2.53 did not answer within 2s"},
		"silence for IPv6": {"x.example", []string{"x.example. 9 IN A 10.0.0.1"}, 0, -1, "10.0.0.1", ""},
		"silence for IPv4": {"x.example", []string{"x.example. 9 IN AAAA fd00::1"}, -1, 0, "fd00::1", ""},
		"hosts file":       {"archive.example", []string{"archive.example. 9 IN A 10.0.0.1"}, 0, 0, "10.9.9.9", ""},
		"hosts file, both": {"ARCHIVE", nil, 0, 0, "10.9.9.9 fd00::9", ""},
		"localhost":        {"localhost", nil, 0, 0, "127.0.0.1 ::1", ""},
		"below localhost":  {"pacs.localhost.", nil, 0, 0, "127.0.0.1 ::1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := &zone{}
				z.set(c.records...)
				z.fail(dns.TypeA, c.a)
				z.fail(dns.TypeAAAA, c.aaaa)
				a := New(options(t, z)).Lookup(t.Context(), c.name)
				if texts(a) != c.want || a.Failure != c.failure || !a.Asked {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

func TestWhatAFamilyBroughtStaysWhileItsQuestionIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("x.example. 10 IN A 10.0.0.1", "x.example. 10 IN AAAA fd00::1")
		r := running(t, options(t, z))
		r.Watch([]string{"x.example"})
		synctest.Wait()
		z.set("x.example. 10 IN A 10.0.0.2")
		z.fail(dns.TypeAAAA, dns.RcodeServerFailure)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if a := r.Answer("x.example"); texts(a) != "10.0.0.2 fd00::1" || a.Failure != "" {
			t.Errorf("%+v", a)
		}
	})
}

func TestTheFilesOfTheSystemAreReadAgainWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		o := options(t, z)
		r := New(o)
		if a := r.Lookup(t.Context(), "new"); a.Failure == "" {
			t.Fatalf("%+v", a)
		}
		write(t, o.HostsFile, "10.9.9.1 new and.some.more\n")
		if a := r.Lookup(t.Context(), "new"); texts(a) != "10.9.9.1" {
			t.Errorf("%+v", a)
		}
		write(t, o.ResolvConf, "# nothing\n")
		if a := r.Lookup(t.Context(), "other"); a.Failure != "it is not in the hosts file, and no name server is configured" {
			t.Errorf("%+v", a)
		}
	})
}

func TestAFamilyThatIsNotAnsweredDoesNotHoldTheOtherUp(t *testing.T) {
	for _, silent := range []uint16{dns.TypeA, dns.TypeAAAA} {
		synctest.Test(t, func(t *testing.T) {
			z := &zone{}
			z.set("x.example. 10 IN A 10.0.0.1", "x.example. 10 IN AAAA fd00::1")
			z.fail(silent, -1)
			began := time.Now()
			a := New(options(t, z)).Lookup(t.Context(), "x.example")
			if want := map[uint16]string{dns.TypeA: "fd00::1", dns.TypeAAAA: "10.0.0.1"}[silent]; texts(a) != want || a.Failure != "" || time.Since(began) != grace {
				t.Errorf("%+v within %s", a, time.Since(began))
			}
		})
	}
}

func TestWatchForgetsAndRecallRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("x.example. 10 IN A 10.0.0.1")
		first := running(t, options(t, z))
		first.Watch([]string{"x.example", "y.example"})
		synctest.Wait()
		known := first.Known()
		if len(known) != 1 || len(known["x.example"]) != 1 {
			t.Fatalf("%v", known)
		}
		first.Watch(nil)
		asked := z.questions()
		time.Sleep(time.Hour)
		synctest.Wait()
		if a := first.Answer("x.example"); a.Asked || z.questions() != asked {
			t.Errorf("%+v, and %d questions", a, z.questions()-asked)
		}
		next := New(options(t, z))
		next.Recall(known)
		next.Watch([]string{"x.example", "y.example"})
		if a := next.Answer("x.example"); texts(a) != "10.0.0.1" || !a.Asked {
			t.Errorf("%+v", a)
		}
		if a := next.Answer("y.example"); a.Asked {
			t.Errorf("%+v", a)
		}
	})
}
