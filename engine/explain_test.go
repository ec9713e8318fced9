package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"

	"pgregory.net/rapid"
)

// town is services with servers that say their names, of whom a test asks and then sees.
type town struct {
	*rig
	rt     *rapid.T
	front  appliance.VirtualService
	pool   appliance.VirtualService
	cookie string // that the servers' side gave last
}

// names of what serves: the fallback, then the servers of the front and of the pool that rules lead to.
func dressed(v *appliance.VirtualService, rt *rapid.T, what string) {
	v.SlowStart = 0
	v.Scheduler = rapid.SampledFrom(appliance.Schedulers()).Draw(rt, what+" scheduler")
	v.HashHeader = "X-Key"
	v.Mode = rapid.SampledFrom([]appliance.ModeOfUse{appliance.LoadBalanced, appliance.LoadBalanced, appliance.Failover}).Draw(rt, what+" mode")
	v.Limits.Queue, v.Limits.QueueTimeout = rapid.SampledFrom([]int{0, 0, 1}).Draw(rt, what+" queue"), appliance.Duration(20*time.Millisecond)
	v.MinimumServers = rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, what+" minimum")
	for i := range v.RealServers {
		r := &v.RealServers[i]
		r.Weight = rapid.SampledFrom([]int{100, 100, 50, 0}).Draw(rt, what+" weight")
		r.State = rapid.SampledFrom([]appliance.State{appliance.Online, appliance.Online, appliance.Online, appliance.Drain, appliance.Halt}).Draw(rt, what+" state")
		r.Backup = rapid.IntRange(0, 4).Draw(rt, what+" backup") == 0
		r.MaxConnections = rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, what+" most")
	}
}

func (w *town) rules() []appliance.Rule {
	then := []appliance.RuleAction{{Kind: appliance.DoPool, Pool: w.pool.ID}, {Kind: appliance.DoServer, Server: w.front.RealServers[0].ID}, {Kind: appliance.DoDeny, Status: 404}}
	when := appliance.Condition{Subject: appliance.SubjectSource, Operator: appliance.OpEqual, Value: "127.0.0.3"}
	if w.front.Protocol == appliance.HTTP {
		then = append(then, appliance.RuleAction{Kind: appliance.DoLimit, Requests: 2, Period: appliance.Duration(time.Hour), MaskIPv4: 32, MaskIPv6: 64})
		when = appliance.Condition{Subject: appliance.SubjectHeader, Name: "X-Rule", Operator: appliance.OpEqual, Value: "1"}
	}
	n := rapid.IntRange(0, len(then)).Draw(w.rt, "rule")
	if n == len(then) {
		return nil
	}
	return []appliance.Rule{{ID: "rule", Label: "rule", When: []appliance.Condition{when}, Then: then[n : n+1]}}
}

// settle waits until nothing is under way but what is held, and every loop looks anew at what the others have.
func (w *town) settle(held int) {
	until(w.t, "all to be over", func() bool { return w.status(w.front.ID).Connections == held })
	until(w.t, "servers to be released", func() bool {
		n := 0
		for _, s := range w.Status().Services {
			for _, r := range s.Servers {
				n += r.Connections
			}
		}
		return n <= held
	})
	from := w.now()
	until(w.t, "the loops' clocks to go on", func() bool { return w.now() > from+int64(3*othersAge) })
}

// visit really comes, and returns who served: a server's name, a status, or nothing.
func (w *town) visit(q *appliance.Question) (string, net.Conn) {
	c := dialFrom(w.t, q.Client.String(), address(w.front))
	if w.front.Protocol == appliance.TCP {
		name, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			c.Close()
			return "", nil
		}
		return strings.TrimSpace(name), c
	}
	defer c.Close()
	head := "GET / HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n" + strings.Join(append(slices.Clone(q.Headers), ""), "\r\n")
	if q.Cookies != "" {
		head += "Cookie: " + q.Cookies + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		w.rt.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.rt.Fatal(err)
	}
	defer a.Body.Close()
	body, _ := io.ReadAll(a.Body)
	for _, k := range a.Cookies() {
		w.cookie = k.Name + "=" + k.Value
	}
	if a.StatusCode != 200 {
		return strconv.Itoa(a.StatusCode), nil
	}
	return string(body), nil
}

// question draws a client.
func (w *town) question() appliance.Question {
	q := appliance.Question{Service: w.front.Label, Client: netip.AddrFrom4([4]byte{127, 0, 0, byte(rapid.IntRange(2, 6).Draw(w.rt, "client"))})}
	if w.front.Protocol == appliance.TCP {
		return q
	}
	for _, h := range []string{"X-Rule: 1", "X-Key: a", "X-Key: b"} {
		if rapid.IntRange(0, 2).Draw(w.rt, h) == 0 {
			q.Headers = append(q.Headers, h)
		}
	}
	if w.cookie != "" && rapid.Bool().Draw(w.rt, "with cookie") {
		q.Cookies = w.cookie
	}
	return q
}

// served is who an explanation says may serve, by name.
func served(w *town, x *appliance.Explanation) []string {
	switch x.By {
	case appliance.ByFallback:
		return []string{"fallback"}
	case appliance.ByAppliance:
		return []string{strconv.Itoa(x.Status)}
	case appliance.ByNobody:
		if w.front.Protocol == appliance.HTTP {
			return []string{"503"}
		}
		return []string{""}
	}
	return x.Possible
}

// TestExplainTellsWhatHappens holds for services, servers, rules and clients of many kinds: who is told serves in truth, and being asked leaves no trace.
func TestExplainTellsWhatHappens(t *testing.T) {
	names := []string{"front-s0", "front-s1", "front-s2", "pool-s0", "pool-s1", "fallback"}
	at := map[appliance.Protocol][]netip.AddrPort{}
	for _, name := range names {
		at[appliance.TCP] = append(at[appliance.TCP], serve(t, echo(name)).address)
		at[appliance.HTTP] = append(at[appliance.HTTP], application(t, name).address)
	}
	port := map[string]uint16{"front": freePort(t), "pool": freePort(t)}
	byPersistence, byRule, waits := 0, 0, 0
	look := func(rt *rapid.T) {
		r := start(t, Options{Loops: rapid.IntRange(1, 2).Draw(rt, "loops")})
		defer r.stop()
		p := rapid.SampledFrom([]appliance.Protocol{appliance.TCP, appliance.HTTP}).Draw(rt, "protocol")
		w := &town{rig: r, rt: rt, front: vip(t, p, "front", at[p][:3]...), pool: vip(t, p, "pool", at[p][3:5]...)}
		onPort(&w.front, port["front"])
		onPort(&w.pool, port["pool"])
		dressed(&w.front, rt, "front")
		dressed(&w.pool, rt, "pool")
		kinds := []appliance.PersistenceKind{appliance.PersistNone, appliance.PersistSourceIP, appliance.PersistLastSuccessful}
		w.pool.Persistence.Kind = rapid.SampledFrom(kinds).Draw(rt, "pool persistence")
		if p == appliance.HTTP {
			kinds = append(kinds, appliance.PersistCookie, appliance.PersistCookieOrIP, appliance.PersistApplication)
		}
		w.front.Persistence.Kind = rapid.SampledFrom(kinds).Draw(rt, "persistence")
		if rapid.Bool().Draw(rt, "fallback") {
			w.front.Fallback = appliance.Fallback{Kind: appliance.FallbackServer, Address: at[p][5]}
			w.pool.Fallback = w.front.Fallback
		}
		w.front.Rules = w.rules()
		r.apply(w.front, w.pool)
		var held []net.Conn
		defer func() {
			for _, c := range held {
				c.Close()
			}
		}()
		for range 6 {
			if rapid.IntRange(0, 2).Draw(rt, "something changes") == 0 {
				one := rapid.SampledFrom(slices.Concat(w.front.RealServers, w.pool.RealServers)).Draw(rt, "who")
				r.healthChanged(one.ID, rapid.SampledFrom([]appliance.Health{appliance.Down, appliance.Up}).Draw(rt, "health"))
			}
			q := w.question()
			w.settle(len(held))
			before, entries := fmt.Sprint(r.Measure()), r.Persistence(appliance.PersistenceQuery{}).Total
			var x appliance.Explanation
			for range rapid.IntRange(1, 4).Draw(rt, "asked") {
				var err error
				if x, err = r.Explain(soon(t), q); err != nil {
					rt.Fatal(err)
				}
			}
			if after := fmt.Sprint(r.Measure()); after != before || r.Persistence(appliance.PersistenceQuery{}).Total != entries {
				rt.Fatalf("asking left a trace: %s, then %s", before, after)
			}
			got, c := w.visit(&q)
			if !slices.Contains(served(w, &x), got) {
				rt.Fatalf("told %v, served by %q: %+v", served(w, &x), got, x)
			}
			if w.front.Scheduler == appliance.SourceHash && strings.HasPrefix(x.ServerID, "front") && len(x.Possible) > 1 {
				rt.Fatalf("a hash leads to %v", x.Possible)
			}
			switch x.Reason {
			case "persistence":
				byPersistence++
			case "rule":
				byRule++
			}
			if strings.Contains(x.Sentence, "waits in the queue") {
				waits++
			}
			if c != nil && len(held) < 3 && rapid.Bool().Draw(rt, "stays") {
				held = append(held, c)
			} else if c != nil {
				c.Close()
			}
		}
	}
	for round := 0; round < 10 && (byPersistence == 0 || byRule == 0 || waits == 0); round++ { // what is drawn at random may leave one out
		rapid.Check(t, look)
	}
	if byPersistence == 0 || byRule == 0 || waits == 0 {
		t.Errorf("%d by persistence, %d by a rule, %d in the queue: the test does not see what it should", byPersistence, byRule, waits)
	}
}

func TestExplainFindsWhoListens(t *testing.T) {
	r := start(t, Options{})
	v := tcp(t, "svc", serve(t, echo("s")).address)
	r.apply(v)
	client, at := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddrPort(address(v))
	for _, q := range []appliance.Question{
		{Listener: at}, {Service: "svc"}, {Service: "SVC"}, {Service: v.ID}, {URL: "http://" + address(v) + "/"}, {Service: "svc", Listener: at},
	} {
		q.Client = client
		if x, err := r.Explain(soon(t), q); err != nil || x.ServiceID != v.ID || x.By != appliance.ByServer || x.Listener != at {
			t.Errorf("%+v: %+v, %v", q, x, err)
		}
	}
	elsewhere := netip.AddrPortFrom(at.Addr(), at.Port()+1)
	for _, q := range []appliance.Question{{Listener: elsewhere}, {Service: "svc", Listener: elsewhere}} {
		q.Client = client
		if x, err := r.Explain(soon(t), q); err != nil || x.By != appliance.ByNobody || !strings.Contains(x.Sentence, "Nothing listens on "+elsewhere.String()) || !strings.Contains(x.Sentence, "svc on port") {
			t.Errorf("%+v: %+v, %v", q, x, err)
		}
	}
	if _, err := r.Explain(soon(t), appliance.Question{Service: "none", Client: client}); appliance.KindOf(err) != appliance.NotFound {
		t.Error(err)
	}
	if _, err := r.Explain(soon(t), appliance.Question{Service: "svc"}); appliance.KindOf(err) != appliance.Invalid {
		t.Error(err)
	}
}

// TestRulesAreTriedWithTheCountsOfTheRunningService: a limit that is reached is told as reached, and trying does not count.
func TestRulesAreTriedWithTheCountsOfTheRunningService(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v := web(t, "site", serveHTTP(t, "s"))
	v.Rules = []appliance.Rule{onPath("slow", "/", appliance.RuleAction{Kind: appliance.DoLimit, Requests: 2, Period: appliance.Duration(time.Hour), MaskIPv4: 32, MaskIPv6: 64})}
	r.apply(v)
	v = r.running()[0].Clone()
	q := appliance.Question{Client: netip.MustParseAddr("127.0.0.1"), URL: "/"}
	for i, want := range []int{0, 0, 429} {
		for range 3 {
			x, err := r.TryRules(v, nil, q)
			if err != nil || x.Status != want {
				t.Fatalf("behind %d requests: %+v, %v", i, x, err)
			}
		}
		if status, _, _ := askFor(t, client(t), v, "h.example.org", "/"); status != max(want, 200) {
			t.Fatalf("request %d: %d", i+1, status)
		}
	}
	v.Rules[0].Then = []appliance.RuleAction{{Kind: appliance.DoRedirect, Status: 301, Value: "https://{host}{path}"}}
	if x, err := r.TryRules(v, nil, q); err != nil || x.By != appliance.ByAppliance || !strings.Contains(x.Answer, "Location: https://127.0.0.1/") {
		t.Errorf("other rules: %+v, %v", x, err)
	}
}

// TestExplainTellsOfDatagrams: UDP Mode chooses as the others do.
func TestExplainTellsOfDatagrams(t *testing.T) {
	v := vip(t, appliance.UDP, "U", answering(t, "127.0.0.1:0", "U-s0").address, answering(t, "127.0.0.1:0", "U-s1").address, answering(t, "127.0.0.1:0", "U-s2").address)
	v.Scheduler = appliance.SourceHash
	r := start(t, Options{})
	r.apply(v)
	seen := map[string]bool{}
	for i := range 12 {
		from := netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + i)})
		x, err := r.Explain(soon(t), appliance.Question{Listener: netip.MustParseAddrPort(address(v)), Client: from})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address(v))))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if got := inquire(t, c, "who"); got != x.ServerID+" who" {
			t.Errorf("%s: told %s, %q answered", from, x.ServerID, got)
		}
		c.Close()
		seen[x.ServerID] = true
	}
	if len(seen) < 2 {
		t.Errorf("all went to %v", seen)
	}
}
