package story

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

// TestTwoHundredAppliesDropNothing applies changes of every service while keep-alive POSTs, one long transfer and 200 idle TCP sessions run.
func TestTwoHundredAppliesDropNothing(t *testing.T) {
	_, d := demo(t)
	c := d.client()
	c.allUp(t)
	sessions := openSessions(t, d.address(t, "HL7"), 200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	var posts atomic.Int64
	for i := range 8 {
		work.Go(func() { postUntil(t, ctx, "http://"+d.address(t, "WEB")+"/echo", i, &posts) })
	}
	transfer := make(chan error, 1)
	firstByte := make(chan struct{})
	proceed := make(chan struct{})
	go func() {
		transfer <- longTransfer(t.Context(), "http://"+d.address(t, "WEB")+"/bytes?n=67108864", firstByte, proceed)
	}()
	<-firstByte
	services := c.services(t)
	for i := range 200 {
		s := services[[]string{"WEB", "HL7"}[i%2]]
		a := c.must(t, 200, "PATCH", "virtual-services/"+s.ID, fmt.Sprintf(`{"limits":{"max_connections":%d}}`, 30000+i), "If-Match", "*")
		_ = a
		c.must(t, 200, "POST", "apply", "")
	}
	close(proceed)
	if err := <-transfer; err != nil {
		t.Errorf("the long transfer: %v", err)
	}
	cancel()
	work.Wait()
	if posts.Load() < 200 {
		t.Errorf("only %d POSTs ran beside 200 applies", posts.Load())
	}
	for i, s := range sessions {
		if err := hl7Exchange(s, fmt.Sprintf("END%d", i)); err != nil {
			t.Fatalf("idle session %d after 200 applies: %v", i, err)
		}
	}
	if got := c.services(t)["HL7"].Limits.MaxConnections; got != 30199 {
		t.Errorf("the last change is not saved: %d", got)
	}
}

// openSessions opens n connections that have exchanged one message each.
func openSessions(t *testing.T, address string, n int) []net.Conn {
	t.Helper()
	out := make([]net.Conn, n)
	for i := range out {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := hl7Exchange(c, fmt.Sprintf("BEGIN%d", i)); err != nil {
			t.Fatal(err)
		}
		out[i] = c
	}
	return out
}

// postUntil sends POSTs over one keep-alive connection until the context ends; every answer must be the echo, and the connection must not be ended.
func postUntil(t *testing.T, ctx context.Context, url string, seed int, count *atomic.Int64) {
	var ended wiretest.Ended
	postUntilWith(t, ctx, &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DialContext: ended.DialContext}}, url, seed, count)
	if n := ended.Load(); n > 0 {
		t.Errorf("%d connections of client %d were ended", n, seed)
	}
}

// postUntilWith posts over a client until ctx ends; no post is sent twice.
func postUntilWith(t *testing.T, ctx context.Context, h *http.Client, url string, seed int, count *atomic.Int64) {
	defer h.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		body := bytes.Repeat([]byte(fmt.Sprintf("%d/%d ", seed, i)), 100)
		r, err := http.NewRequest(http.MethodPost, url, io.NopCloser(bytes.NewReader(body))) // a body that net/http cannot send again by itself
		if err != nil {
			t.Error(err)
			return
		}
		r.ContentLength = int64(len(body))
		a, err := h.Do(r)
		if err != nil {
			t.Errorf("POST %d/%d: %v", seed, i, err)
			return
		}
		got, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || a.StatusCode != 200 || !bytes.Equal(got, body) {
			t.Errorf("POST %d/%d: %d, %v, %d bytes of %d", seed, i, a.StatusCode, err, len(got), len(body))
			return
		}
		count.Add(1)
	}
}

// longTransfer downloads a body slowly: it reads a little, tells firstByte, and reads the rest after proceed.
func longTransfer(ctx context.Context, url string, firstByte, proceed chan struct{}) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	a, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		close(firstByte)
		return err
	}
	defer a.Body.Close()
	head := make([]byte, 4096)
	_, err = io.ReadFull(a.Body, head)
	close(firstByte)
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	n := int64(len(head))
	for reading := true; reading; {
		select {
		case <-proceed:
			reading = false
		case <-tick.C:
			m, err := io.ReadFull(a.Body, head)
			n += int64(m)
			if err != nil {
				return fmt.Errorf("after %d bytes: %w", n, err)
			}
		}
	}
	rest, err := io.Copy(io.Discard, a.Body)
	if err != nil {
		return err
	}
	if n+rest != a.ContentLength {
		return fmt.Errorf("%d bytes of %d", n+rest, a.ContentLength)
	}
	return nil
}

func TestAServiceAddedByTheAPIBalances(t *testing.T) {
	c, _ := demoUp(t)
	servers := make([]string, 2)
	for i := range servers {
		address := freeAddress(t)
		labelled(t, fmt.Sprintf("Own%d", i), address)
		_, number, _ := net.SplitHostPort(address)
		servers[i] = fmt.Sprintf(`{"label":"Own%d","address":"127.0.0.1","port":%s}`, i, number)
	}
	number := port(t)
	c.must(t, 201, "POST", "virtual-services", `{"label":"Own","address":"127.0.0.1","ports":"`+number+`","protocol":"http","real_servers":[`+strings.Join(servers, ",")+`]}`)
	if answer, err := http.Get("http://127.0.0.1:" + number + "/"); err == nil {
		answer.Body.Close()
		t.Error("what was saved and not applied is served")
	}
	c.must(t, 200, "POST", "apply", "")
	c.allUp(t)
	if got := whoAnswers(t, "127.0.0.1:"+number, 10); got["Own0"] == 0 || got["Own1"] == 0 {
		t.Errorf("ten clients were served by %v", got)
	}
}

// whoAnswers asks as n clients and counts the servers that answered, by the name they give themselves.
func whoAnswers(t *testing.T, address string, n int) map[string]int {
	t.Helper()
	out := map[string]int{}
	for range n {
		h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
		answer, err := h.Get("http://" + address + "/")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 200 {
			t.Fatalf("answered with %d", answer.StatusCode)
		}
		out[answer.Header.Get("X-Sample")]++
	}
	return out
}

func TestADrainLeavesPendingEditsPending(t *testing.T) {
	c, d := demoUp(t)
	web := c.services(t)["WEB"]
	if got := whoAnswers(t, d.address(t, "WEB"), 10); len(got) != 2 {
		t.Errorf("before the drain ten clients were served by %v", got)
	}
	// Saved, not applied: another balance mode and weight.
	c.must(t, 200, "PATCH", "virtual-services/"+web.ID, `{"scheduler":"round_robin","limits":{"max_connections":1234}}`, "If-Match", "*")
	server := web.RealServers[0]
	c.must(t, 200, "PUT", "virtual-services/"+web.ID+"/real-servers/"+server.ID+"/state", `{"state":"drain"}`, "If-Match", "*")
	if got := c.status(t, "WEB"); got.Servers[0].State != appliance.Drain {
		t.Errorf("the drain is not running: %+v", got.Servers[0])
	}
	saved := c.services(t)["WEB"]
	if saved.RealServers[0].State != appliance.Drain || saved.Limits.MaxConnections != 1234 {
		t.Errorf("saved is %s, %d; the drain and the pending edit must both be there", saved.RealServers[0].State, saved.Limits.MaxConnections)
	}
	var pending appliance.Plan
	c.must(t, 200, "GET", "pending", "").into(t, &pending)
	for _, change := range pending.Changes {
		for _, f := range change.Fields {
			if f.Field == "state" {
				t.Errorf("the drain is still pending: %+v", f)
			}
		}
	}
	if len(pending.Changes) != 1 || len(pending.Changes[0].Fields) != 2 {
		t.Errorf("pending is %+v, want the two edits", pending.Changes)
	}
	if got := whoAnswers(t, d.address(t, "WEB"), 20); got[web.RealServers[1].Label] != 20 {
		t.Errorf("behind the drain of %s new clients were served by %v", server.Label, got)
	}
}

func TestADrainWithALimitEndsByItself(t *testing.T) {
	c, _ := demoUp(t)
	web := c.services(t)["WEB"]
	c.must(t, 422, "PUT", "virtual-services/"+web.ID+"/real-servers/"+web.RealServers[0].ID+"/state", `{"state":"halt","limit":"1s"}`, "If-Match", "*")
	c.must(t, 200, "PUT", "virtual-services/"+web.ID+"/real-servers/"+web.RealServers[0].ID+"/state", `{"state":"drain","limit":"1s"}`, "If-Match", "*")
	eventually(t, 20*time.Second, "the server is halted", func() bool { return c.status(t, "WEB").Servers[0].State == appliance.Halt })
}

func TestTwoAdministratorsOnDifferentObjectsBothSucceedAndOnTheSameOneIsTold(t *testing.T) {
	_, d := demo(t)
	c := d.client()
	web, hl7 := c.services(t)["WEB"], c.services(t)["HL7"]
	tagOf := func(id string) string { return c.must(t, 200, "GET", "virtual-services/"+id, "").etag }
	webTag, hl7Tag := tagOf(web.ID), tagOf(hl7.ID)
	c.must(t, 200, "PATCH", "virtual-services/"+web.ID, `{"limits":{"max_connections":100}}`, "If-Match", webTag)
	c.must(t, 200, "PATCH", "virtual-services/"+hl7.ID, `{"limits":{"max_connections":200}}`, "If-Match", hl7Tag)
	late := c.must(t, 412, "PATCH", "virtual-services/"+web.ID, `{"limits":{"max_connections":300}}`, "If-Match", webTag)
	if !bytes.Contains(late.body, []byte("100")) {
		t.Errorf("the difference is not told: %s", late.body)
	}
	c.must(t, 428, "PATCH", "virtual-services/"+web.ID, `{"limits":{"max_connections":300}}`)
	got := c.services(t)
	if got["WEB"].Limits.MaxConnections != 100 || got["HL7"].Limits.MaxConnections != 200 {
		t.Errorf("%d, %d", got["WEB"].Limits.MaxConnections, got["HL7"].Limits.MaxConnections)
	}
}

func TestStatesAndRevisionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	p, c := served(t, dir)
	c.must(t, 200, "PUT", "settings", `{"allow_loopback":true,"apply_at_once":true}`, "If-Match", "*")
	address := freeAddress(t)
	host, number, _ := net.SplitHostPort(address)
	made := c.must(t, 201, "POST", "virtual-services", `{"label":"Web","address":"`+host+`","ports":"`+number+`","protocol":"http","real_servers":[{"label":"a","address":"127.0.0.1","port":1},{"label":"b","address":"127.0.0.1","port":2}]}`)
	var s appliance.VirtualService
	made.into(t, &s)
	c.must(t, 200, "PUT", "virtual-services/"+s.ID+"/real-servers/"+s.RealServers[1].ID+"/state", `{"state":"halt"}`, "If-Match", "*")
	p.kill()
	_, c = served(t, dir)
	got := c.status(t, "Web")
	if len(got.Servers) != 2 || got.Servers[1].State != appliance.Halt {
		t.Errorf("after kill -9 and a new start: %+v", got)
	}
	if a, err := http.Get("http://" + address + "/"); err != nil || a.StatusCode != 503 {
		t.Errorf("the service does not answer with the fallback: %v %v", a, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestClientsComeBackToTheirServersAfterARestart(t *testing.T) {
	dir := t.TempDir()
	p, c := served(t, dir)
	c.must(t, 200, "PUT", "settings", `{"allow_loopback":true,"apply_at_once":true}`, "If-Match", "*")
	servers := make([]string, 4)
	for i := range servers {
		address := freeAddress(t)
		labelled(t, fmt.Sprintf("S%d", i), address)
		_, number, _ := net.SplitHostPort(address)
		servers[i] = fmt.Sprintf(`{"label":"S%d","address":"127.0.0.1","port":%s}`, i, number)
	}
	service := port(t)
	c.must(t, 201, "POST", "virtual-services", `{"label":"Sticky","address":"127.0.0.1","ports":"`+service+`","protocol":"tcp","scheduler":"round_robin","persistence":"source_ip","real_servers":[`+strings.Join(servers, ",")+`]}`)
	c.allUp(t)
	before := serversOf(t, service)
	p.stop(t)
	_, c = served(t, dir)
	c.allUp(t)
	if after := serversOf(t, service); !slices.Equal(before, after) {
		t.Errorf("before the restart %v, after it %v", before, after)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(before)))
	if len(distinct) < 2 {
		t.Errorf("all clients were on %v: the test shows nothing", distinct)
	}
}

// labelled runs an HTTP sample that names itself.
func labelled(t *testing.T, label, address string) {
	t.Helper()
	p := start(t, "sample", "http", "--listen", address, "--label", label)
	p.line(t)
}

// serversOf asks from eight client addresses which server answers.
func serversOf(t *testing.T, service string) []string {
	t.Helper()
	var out []string
	for i := range 8 {
		code, body, said := command(t, "", "curl", "-sS", "-m", "5", "--interface", fmt.Sprintf("127.0.0.%d", 2+i), "http://127.0.0.1:"+service+"/")
		if code != 0 {
			t.Fatal(said)
		}
		out = append(out, strings.SplitN(body, "\n", 2)[0])
	}
	return out
}

func TestKillAtRandomMomentsLosesNoAcknowledgedCommit(t *testing.T) {
	dir := t.TempDir()
	p, c := served(t, dir)
	c.must(t, 201, "POST", "virtual-services", `{"label":"Counted","address":"127.0.0.1","ports":"`+port(t)+`","protocol":"tcp"}`)
	id := c.services(t)["Counted"].ID
	seed := make([]byte, 32)
	_, _ = rand.Read(seed)
	t.Logf("seed %x", seed)
	acknowledged, commits := c.services(t)["Counted"].Limits.MaxConnections, 0
	for round := 0; commits < 300; round++ {
		die := int(sha256.Sum256(append(seed, byte(round)))[0]) // the kill falls somewhere in the next commits
		done := make(chan struct{})
		go func() {
			<-time.After(time.Duration(die) * time.Millisecond)
			p.kill()
			close(done)
		}()
		for commits < 1000 {
			next := acknowledged + 1
			a, err := c.try("PATCH", "virtual-services/"+id, fmt.Sprintf(`{"limits":{"max_connections":%d}}`, next), "If-Match", "*")
			if err != nil {
				break
			}
			if a.status == 200 {
				acknowledged = next
				commits++
			}
		}
		<-done
		p, c = served(t, dir)
		got := c.services(t)["Counted"].Limits.MaxConnections
		if got != acknowledged && got != acknowledged+1 { // one commit may have been durable without its answer
			t.Fatalf("round %d: %d was acknowledged, %d is there", round, acknowledged, got)
		}
		acknowledged = got
	}
	p.stop(t)
	if code, _, said := run(t, "", "check", "--data", dir); code != 0 {
		t.Errorf("check ended with %d: %s", code, said)
	}
}
