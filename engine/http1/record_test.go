package http1

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire"
)

// told writes the records in short.
func told(r *rig) string {
	var out []string
	for _, one := range r.records.Records {
		server := "-"
		if one.Server != nil {
			server = one.Server.ID
		}
		out = append(out, fmt.Sprintf("%s %s %d %s in=%d out=%d tries=%d %v/%v/%v own=%v %s", strings.ReplaceAll(string(one.Line), "\x00", " "), server, one.Status, one.End,
			one.BytesIn, one.BytesOut, one.Tries, one.Took(one.Connected), one.Took(one.FirstByte), one.Took(one.Ended), one.Own, one.Why))
	}
	return strings.Join(out, "\n")
}

func TestEveryRequestIsRecordedOnce(t *testing.T) {
	const ms = time.Millisecond
	const post = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n12345"
	for name, c := range map[string]struct {
		edit func(*appliance.VirtualService)
		play func(r *rig)
		want string
	}{
		"done": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n"))
			r.loop.Advance(3 * ms)
			server := r.connected(0)
			r.loop.Advance(10 * ms)
			server.Arrive([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nab"))
			r.loop.Advance(20 * ms)
			server.Arrive([]byte("cd"))
		}, "GET example.org /a?b  a 404 done in=40 out=49 tries=0 3ms/13ms/33ms own=false "},
		"two on one connection": {nil, func(r *rig) {
			for range 2 {
				r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
				r.connected(0).Arrive([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
			}
		}, "GET x /  a 204 done in=27 out=27 tries=0 0s/0s/0s own=false \nGET x /  a 204 done in=27 out=27 tries=0 0s/0s/0s own=false "},
		"another server": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.server(0).Break(syscall.ECONNREFUSED)
			r.loop.Advance(5 * ms)
			r.connected(1).Arrive([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		}, "GET x /  b 204 done in=27 out=27 tries=1 5ms/5ms/5ms own=false "},
		"no server": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.server(0).Break(syscall.ECONNREFUSED)
			r.server(1).Break(syscall.ECONNREFUSED)
		}, "GET x /  b 503 connect_failed in=27 out=200 tries=2 -1ns/-1ns/0s own=true no server can serve the request"},
		"malformed": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET /bad HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"))
		}, "GET x /bad  - 400 refused in=0 out=0 tries=0 -1ns/-1ns/0s own=true there are two Hosts"},
		"slow head": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET / HT"))
			r.loop.Advance(6 * time.Second)
		}, " - 408 timeout_client in=0 out=0 tries=0 -1ns/-1ns/5s own=true the request head did not arrive in time"},
		"client leaves": {nil, func(r *rig) {
			r.client.Arrive([]byte(post))
			r.connected(0)
			r.client.Break(syscall.ECONNRESET)
		}, "POST h /p  a 0 client_closed in=54 out=0 tries=0 0s/-1ns/0s own=false the client broke off"},
		"half a body": {nil, func(r *rig) {
			r.client.Arrive([]byte(post))
			r.connected(0)
			r.client.Finish()
		}, "POST h /p  a 400 client_closed in=54 out=158 tries=0 0s/-1ns/0s own=true the client closed within a request's body"},
		"server leaves": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.connected(0).Arrive([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"))
			r.server(0).Finish()
		}, "GET x /  a 200 server_closed in=27 out=41 tries=0 0s/0s/0s own=false the server broke off its answer"},
		"invalid answer": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.connected(0).Arrive([]byte("nonsense\r\n\r\n"))
		}, "GET x /  a 502 server_invalid in=27 out=166 tries=0 0s/0s/0s own=true the status line is malformed"},
		"silent server": {func(s *appliance.VirtualService) { s.Limits.ServerTimeout = appliance.Duration(time.Second) }, func(r *rig) {
			r.client.Arrive([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.connected(0)
			r.loop.Advance(2 * time.Second)
		}, "GET x /  a 504 timeout_server in=27 out=172 tries=0 0s/-1ns/1s own=true the server did not answer in time"},
		"long path": {nil, func(r *rig) {
			r.client.Arrive([]byte("GET /" + strings.Repeat("x", 4000) + " HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.connected(0).Arrive([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		}, "GET x /" + strings.Repeat("x", maxLine-len("GETx")-3) + "  a 204 done in=4027 out=27 tries=0 0s/0s/0s own=false "},
	} {
		t.Run(name, func(t *testing.T) {
			var edits []func(*appliance.VirtualService)
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			r := newRig(t, edits...)
			c.play(r)
			if got := told(r); got != c.want {
				t.Errorf("told\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestWebSocketIsRecordedWhenItEnds(t *testing.T) {
	r := newRig(t)
	r.client.Arrive([]byte("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\n\r\n"))
	server := r.connected(0)
	server.Arrive([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
	server.Arrive([]byte("hello"))
	r.loop.Settle()
	if len(r.records.Records) != 0 {
		t.Fatalf("recorded too early: %s", told(r))
	}
	r.client.Finish()
	server.Finish()
	r.loop.Settle()
	if got := r.records.Records; len(got) != 1 || got[0].End != wire.EndDone || got[0].Status != 101 || got[0].BytesOut < 5 {
		t.Fatalf("%s", told(r))
	}
}

func TestRequestIDReachesTheServerOnlyWhenWanted(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: forged\r\nX_Request_Id: twin\r\nA: b\r\n"
	for on, want := range map[bool]string{
		false: head + "\r\n",
		true:  "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nX-Request-ID: id-1\r\n\r\n",
	} {
		r := newRig(t, func(s *appliance.VirtualService) { s.HTTP.RequestID = on })
		r.client.Arrive([]byte(head + "\r\n"))
		if got := string(r.connected(0).Sent); got != want {
			t.Errorf("%v: the server got %q, want %q", on, got, want)
		}
	}
}
