package engine

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// application answers with its name, and begins a session when it is asked for one.
func application(t *testing.T, name string) *webServer {
	t.Helper()
	return serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session := r.Header.Get("Begin"); session != "" {
			http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: session, Path: "/"})
		}
		if r.Header.Get("Fail") == name {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, name)
	}))
}

// ask sends one request on a connection of its own, from an address of loopback, and returns the answer's body and its cookies.
func ask(t *testing.T, from, to string, fields ...string) (string, []*http.Cookie) {
	t.Helper()
	c := dialFrom(t, from, to)
	defer c.Close()
	req, err := http.NewRequest("GET", "http://"+to+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	req.Close = true
	if err := req.Write(c); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), req)
	if err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body), resp.Cookies()
}

// kept returns a service whose servers are chosen in turn, so that only persistence keeps a client.
func kept(t *testing.T, p appliance.Protocol, kind appliance.PersistenceKind, servers ...netip.AddrPort) appliance.VirtualService {
	t.Helper()
	v := vip(t, p, "svc", servers...)
	v.Scheduler, v.Persistence.Kind = appliance.RoundRobin, kind
	return v
}

func TestApplicationCookieFollowsTheSessionThatTheServerBegan(t *testing.T) {
	for _, loops := range []int{1, 2} {
		a, b := application(t, "a"), application(t, "b")
		r := start(t, Options{Loops: loops})
		v := kept(t, appliance.HTTP, appliance.PersistApplication, a.address, b.address)
		r.apply(v)
		home := map[string]string{}
		for _, session := range []string{"S1", "S2", "S3", "S4"} {
			home[session], _ = ask(t, "", address(v), "Begin", session)
		}
		for range 4 {
			for session, name := range home {
				if got, _ := ask(t, "", address(v), "Cookie", "x=y; JSESSIONID="+session); got != name {
					t.Fatalf("session %s of %s went to %s", session, name, got)
				}
			}
		}
		if list := r.Persistence(appliance.PersistenceQuery{}); list.Total != 4 || list.Entries[0].Kind != "cookie" {
			t.Errorf("%+v", list)
		}
		r.stop()
	}
}

func TestSessionsThatNoServerBeganAreBalancedAndNotKept(t *testing.T) {
	a, b := application(t, "a"), application(t, "b")
	r := start(t, Options{Loops: 1})
	v := kept(t, appliance.HTTP, appliance.PersistApplication, a.address, b.address)
	r.apply(v)
	seen := map[string]int{}
	for range 10 {
		name, _ := ask(t, "", address(v), "Cookie", "JSESSIONID=forged")
		seen[name]++
	}
	if seen["a"] != 5 || seen["b"] != 5 || r.Persistence(appliance.PersistenceQuery{}).Total != 0 {
		t.Errorf("%v, %d entries", seen, r.Persistence(appliance.PersistenceQuery{}).Total)
	}
}

func TestASessionMovesForGoodWhenItsServerIsDown(t *testing.T) {
	a, b := application(t, "a"), application(t, "b")
	r := start(t, Options{})
	v := kept(t, appliance.HTTP, appliance.PersistApplication, a.address, b.address)
	v.Mode = appliance.Failover
	r.apply(v)
	if name, _ := ask(t, "", address(v), "Begin", "S1"); name != "a" {
		t.Fatal(name)
	}
	halted := v.Clone()
	halted.RealServers[0].State = appliance.Halt
	r.apply(halted)
	if name, _ := ask(t, "", address(v), "Cookie", "JSESSIONID=S1"); name != "b" {
		t.Fatal(name)
	}
	r.apply(v)
	if name, _ := ask(t, "", address(v), "Cookie", "JSESSIONID=S1"); name != "b" {
		t.Errorf("back on %s: the entry was not rewritten", name)
	}
}

func TestXForwardedForOfTrustedProxiesKeepsClientsApart(t *testing.T) {
	a, b := application(t, "a"), application(t, "b")
	r := start(t, Options{})
	v := kept(t, appliance.HTTP, appliance.PersistForwardedFor, a.address, b.address)
	v.Persistence.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	r.apply(v)
	home := map[string]string{}
	for range 3 {
		for _, who := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} {
			name, _ := ask(t, "127.0.0.2", address(v), "X-Forwarded-For", "192.0.2.66, "+who)
			if home[who] != "" && home[who] != name {
				t.Fatalf("%s moved to %s", who, name)
			}
			home[who] = name
		}
	}
	ask(t, "127.0.0.9", address(v), "X-Forwarded-For", "198.51.100.77")
	if got := keysOf(r); got != "127.0.0.9 198.51.100.1 198.51.100.2 198.51.100.3" {
		t.Errorf("%s", got)
	}
}

func keysOf(r *rig) string {
	var keys []string
	for _, e := range r.Persistence(appliance.PersistenceQuery{Sort: appliance.SortByKey}).Entries {
		keys = append(keys, e.Key)
	}
	return strings.Join(keys, " ")
}

func TestCookieOrSourceIPTakesTheCookieFirstAndTheAddressElse(t *testing.T) {
	a, b := application(t, "a"), application(t, "b")
	r := start(t, Options{Loops: 1})
	v := kept(t, appliance.HTTP, appliance.PersistCookieOrIP, a.address, b.address)
	r.apply(v)
	first, cookies := ask(t, "127.0.0.2", address(v))
	if len(cookies) != 1 || cookies[0].Name != "SERVERID" || cookies[0].Secure {
		t.Fatalf("%v", cookies)
	}
	for range 3 {
		if name, again := ask(t, "127.0.0.2", address(v)); name != first || len(again) != 1 {
			t.Errorf("without the cookie: %s, %v", name, again)
		}
		if name, again := ask(t, "127.0.0.2", address(v), "Cookie", "SERVERID=forged"); name != first || len(again) != 1 {
			t.Errorf("with a forged one: %s, %v", name, again)
		}
		if name, again := ask(t, "127.0.0.3", address(v), "Cookie", "SERVERID="+cookies[0].Value); name != first || len(again) != 0 {
			t.Errorf("with the cookie, from elsewhere: %s, %v", name, again)
		}
	}
	if got := keysOf(r); got != "127.0.0.2" {
		t.Error(got)
	}
}

func TestLastSuccessfulStaysWithTheServerThatAnsweredTheNetwork(t *testing.T) {
	a, b := application(t, "a"), application(t, "b")
	r := start(t, Options{})
	v := kept(t, appliance.HTTP, appliance.PersistLastSuccessful, a.address, b.address)
	v.Mode, v.Persistence.MaskIPv4 = appliance.Failover, 24
	r.apply(v)
	if name, _ := ask(t, "127.0.0.2", address(v), "Fail", "a"); name != "a" || keysOf(r) != "" {
		t.Fatalf("a failure of %s was kept: %s", name, keysOf(r))
	}
	if name, _ := ask(t, "127.0.0.2", address(v)); name != "a" || keysOf(r) != "127.0.0.0/24" {
		t.Fatal(name, keysOf(r))
	}
	halted := v.Clone()
	halted.RealServers[0].State = appliance.Halt
	r.apply(halted)
	if name, _ := ask(t, "127.0.0.3", address(v)); name != "b" {
		t.Fatal(name)
	}
	r.apply(v) // a is the first again, but b answered last
	if name, _ := ask(t, "127.0.0.4", address(v)); name != "b" {
		t.Errorf("the network moved to %s", name)
	}
}

func TestLastSuccessfulInTCPModeIsTheServerThatAccepted(t *testing.T) {
	b := serve(t, echo("b"))
	dead := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))
	r := start(t, Options{})
	v := kept(t, appliance.TCP, appliance.PersistLastSuccessful, dead, b.address)
	v.Mode = appliance.Failover
	r.apply(v)
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "b" {
		t.Fatal(name)
	}
	serveOn(t, dead.String(), echo("a"))
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "b" {
		t.Errorf("moved to %s", name)
	}
	if name := readName(t, dialFrom(t, "127.0.0.3", address(v))); name != "a" {
		t.Errorf("another client got %s", name)
	}
}

func TestDrainingClearsEntriesOfEveryKindIfTheServiceSaysSo(t *testing.T) {
	for _, kind := range []appliance.PersistenceKind{appliance.PersistSourceIP, appliance.PersistApplication, appliance.PersistForwardedFor, appliance.PersistCookieOrIP, appliance.PersistLastSuccessful} {
		a, b := application(t, "a"), application(t, "b")
		r := start(t, Options{Loops: 1})
		v := kept(t, appliance.HTTP, kind, a.address, b.address)
		v.Mode, v.Persistence.ClearOnDrain = appliance.Failover, true
		v.Persistence.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		r.apply(v)
		name, cookies := ask(t, "", address(v), "Begin", "S1", "X-Forwarded-For", "198.51.100.1")
		if name != "a" || r.Persistence(appliance.PersistenceQuery{}).Total != 1 {
			t.Fatalf("%s: %s, %s", kind, name, keysOf(r))
		}
		v.RealServers[0].State = appliance.Drain
		r.apply(v)
		if r.Persistence(appliance.PersistenceQuery{}).Total != 0 {
			t.Errorf("%s: %s left", kind, keysOf(r))
		}
		fields := []string{"X-Forwarded-For", "198.51.100.1"}
		for _, c := range cookies {
			fields = append(fields, "Cookie", c.Name+"="+c.Value)
		}
		if name, _ := ask(t, "", address(v), fields...); name != "b" {
			t.Errorf("%s: still on %s", kind, name)
		}
		r.stop()
	}
}

func TestForgedForeignAndHugeCookiesAreIgnored(t *testing.T) {
	a, b := application(t, "a"), application(t, "b")
	r := start(t, Options{Loops: 1})
	v := kept(t, appliance.HTTP, appliance.PersistCookie, a.address, b.address)
	other := v.Clone()
	other.ID, other.Label = "other-id", "other"
	for i := range other.RealServers {
		other.RealServers[i].ID = "other-" + other.RealServers[i].ID
	}
	onPort(&other, freePort(t))
	r.apply(v, other)
	_, cookies := ask(t, "", address(other))
	good := cookies[0].Value
	for name, value := range map[string]string{"forged": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcQ", "foreign": good, "huge": strings.Repeat("A", 30000), "empty": ""} {
		seen := map[string]int{}
		for range 6 {
			server, fresh := ask(t, "", address(v), "Cookie", "SERVERID="+value)
			seen[server]++
			if len(fresh) != 1 {
				t.Errorf("%s: no fresh cookie", name)
			}
		}
		if seen["a"] != 3 || seen["b"] != 3 {
			t.Errorf("%s: %v", name, seen)
		}
	}
}
