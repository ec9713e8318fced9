package http1

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/cache"
	"evenkeel/engine/wire"
	"evenkeel/engine/wire/wiretest"
)

// keeping is a service that keeps responses.
type keeping struct {
	*service
	store *cache.Store
}

func (s *keeping) Cache() *cache.Store { return s.store }

func newKeeping(t *testing.T, edit ...func(*appliance.VirtualService)) (*rig, *cache.Store) {
	r := newRig(t, append(edit, func(v *appliance.VirtualService) { v.HTTP.CacheSize = 1 })...)
	store := cache.New(1 << 20)
	r.keep(store)
	return r, store
}

// keep begins a new client connection of the service that keeps.
func (r *rig) keep(store *cache.Store) *wiretest.Conn {
	r.client = r.loop.Accept(clientAddr, vipAddr)
	r.core = New(Options{Service: &keeping{r.service, store}, Client: r.client, Idle: r.pool, Recorder: &r.records, Refused: func(why string) { r.reasons = append(r.reasons, why) }})
	r.client.Bind(r.core)
	return r.client
}

const kept = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\nhello"

func TestAKeptResponseIsGivenUntilItIsStale(t *testing.T) {
	r, store := newKeeping(t)
	feed(r.client, get, false)
	s := r.connected(0)
	s.Arrive([]byte(kept))
	r.equal("the first", take(r.client), kept)
	r.loop.Advance(7 * time.Second)
	const again = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"1\"\r\nAge: 7\r\nContent-Length: 5\r\n\r\nhello"
	feed(r.client, get+get, false) // two at once
	r.equal("the next ones", take(r.client), again+again)
	feed(r.client, "HEAD /a HTTP/1.1\r\nHost: X\r\n\r\n", false)
	r.equal("head", take(r.client), strings.TrimSuffix(again, "hello"))
	feed(r.client, "GET /a HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/\"1\"\r\nConnection: close\r\n\r\n", false)
	r.equal("unchanged", take(r.client), "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"1\"\r\nAge: 7\r\nConnection: close\r\n\r\n")
	r.true("closed", r.client.Closed)
	r.true("the server was asked once", strings.Count(string(s.Sent), "GET") == 1 && r.service.picks == 1)
	r.true("counted", r.service.counters.Requests == 5)
	r.loop.Advance(53 * time.Second)
	if got := told(r); !strings.Contains(got, "GET x /a  - 200 done in=28 out=89 tries=0 -1ns/-1ns/0s own=false ") || len(r.records.Records) != 5 || r.records.Records[0].Kept {
		t.Errorf("recorded:\n%s", got)
	}
	for _, one := range r.records.Records[1:] {
		r.true("kept", one.Kept && one.Server == nil && (one.Status == 200 || one.Status == 304))
	}
	r.keep(store)
	feed(r.client, get, false)
	r.true("stale: a server is asked", r.service.picks == 2)
	r.true("nothing is kept of it", store.Len() == 0)
}

func TestOnlyWhatEverybodyMayHaveIsKept(t *testing.T) {
	for name, c := range map[string]struct{ request, response string }{
		"no lifetime":          {get, ok2},
		"private":              {get, "HTTP/1.1 200 OK\r\nCache-Control: private, max-age=60\r\nContent-Length: 2\r\n\r\nhi"},
		"a cookie":             {get, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi"},
		"varies by everything": {get, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: *\r\nContent-Length: 2\r\n\r\nhi"},
		"an error":             {get, "HTTP/1.1 500 Error\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nhi"},
		"old already":          {get, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nAge: 61\r\nContent-Length: 2\r\n\r\nhi"},
		"authorized":           {"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n", kept},
		"a part":               {"GET /a HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n", kept},
		"not wanted":           {"GET /a HTTP/1.1\r\nHost: x\r\nCache-Control: no-store\r\n\r\n", kept},
		"POST":                 {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", kept},
		"with a body":          {"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", kept},
		"too large":            {get, fmt.Sprintf("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%s", cache.MaxBody+1, strings.Repeat("x", cache.MaxBody+1))},
	} {
		t.Run(name, func(t *testing.T) {
			r, store := newKeeping(t)
			feed(r.client, c.request, false)
			r.connected(0).Arrive([]byte(c.response))
			r.equal("passed", take(r.client), c.response)
			r.true("not kept", store.Len() == 0)
			r.keep(store)
			feed(r.client, c.request, false)
			r.true("a server is asked", r.service.picks == 2)
		})
	}
}

func TestAKeptResponseIsChosenByItsVary(t *testing.T) {
	r, store := newKeeping(t)
	ask := func(fields string) { feed(r.client, "GET /a HTTP/1.1\r\nHost: x\r\n"+fields+"\r\n", false) }
	const answer = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: Accept-Language\r\nContent-Length: 2\r\n\r\n"
	ask("Accept-Language: de\r\n")
	s := r.connected(0)
	s.Arrive([]byte(answer + "de"))
	ask("")
	s.Arrive([]byte(answer + "--"))
	take(r.client)
	for fields, want := range map[string]string{"Accept-Language: de\r\n": "de", "": "--"} {
		ask(fields)
		r.true("kept for "+fields, strings.HasSuffix(take(r.client), "\r\n\r\n"+want))
	}
	r.true("asked twice", r.service.picks == 2 && store.Len() == 2)
	ask("Accept-Language: fr\r\n")
	r.true("another wish", r.service.picks == 3)
}

func TestOneFetchesForAllWhoWait(t *testing.T) {
	r, store := newKeeping(t)
	first := r.client
	feed(first, get, false)
	var waiting []*wiretest.Conn
	for range 5 {
		c := r.keep(store)
		feed(c, get, false)
		waiting = append(waiting, c)
	}
	r.true("one asks", r.service.picks == 1)
	var told wire.Session
	r.core.(wire.Teller).Tell(&told)
	r.equal("told of who waits", told.State, "waiting for another's answer")
	waiting[0].Break(nil) // one does not wait any longer
	r.loop.Advance(3 * time.Second)
	r.connected(0).Arrive([]byte(kept))
	r.loop.Advance(0)
	for _, c := range waiting[1:] {
		r.true("served", strings.HasSuffix(string(c.Sent), "hello"))
	}
	r.true("one asked", r.service.picks == 1)
	r.true("each has its record", len(r.records.Records) == 5)
	for _, one := range r.records.Records[1:] {
		r.true("it says that it waited", one.Kept && one.Took(one.Ended) == 3*time.Second && one.Why == "waited for one who asked the same")
	}
}

func TestWhoWaitsIsServedWhenTheFirstFails(t *testing.T) {
	for name, end := range map[string]func(r *rig, first *wiretest.Conn, s *wiretest.Conn){
		"the client leaves": func(_ *rig, first, _ *wiretest.Conn) { first.Break(nil) },
		"the server breaks": func(_ *rig, _, s *wiretest.Conn) {
			s.Arrive([]byte("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhe"))
			s.Break(nil)
		},
		"it cannot be kept": func(_ *rig, _, s *wiretest.Conn) { s.Arrive([]byte(ok2)) },
	} {
		t.Run(name, func(t *testing.T) {
			r, store := newKeeping(t)
			first := r.client
			feed(first, get, false)
			c := r.keep(store)
			feed(c, get, false)
			s := r.connected(0)
			end(r, first, s)
			r.loop.Advance(0)
			if len(r.loop.Dialed) > 1 {
				s = r.connected(1)
			}
			r.true("asks by itself", r.service.picks == 2)
			s.Arrive([]byte(kept))
			r.equal("served", string(c.Sent), kept)
		})
	}
}

func TestWritingForgetsWhatWasKept(t *testing.T) {
	r, store := newKeeping(t)
	feed(r.client, get, false)
	s := r.connected(0)
	s.Arrive([]byte(kept))
	feed(r.client, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", false)
	s.Arrive([]byte("HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n"))
	r.true("a failed one does not", store.Len() == 1)
	feed(r.client, "DELETE /a HTTP/1.1\r\nHost: x\r\n\r\n", false)
	s.Arrive([]byte("HTTP/1.1 204 Gone\r\n\r\n"))
	r.true("a successful one does", store.Len() == 0)
}

func TestChunkedAndCompressedResponsesAreKept(t *testing.T) {
	text := strings.Repeat("all the same ", 1000)
	chunked := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text)
	r, store := newKeeping(t, compressing)
	for round := range 2 {
		for _, request := range []string{wantsGzip, get} {
			r.keep(store)
			feed(r.client, request, false)
			if round == 0 {
				if len(r.loop.Dialed) == 0 || !r.server(0).Over() {
					r.connected(0).Arrive([]byte(chunked))
				}
			}
			answer, body := answerOf(t, r.client, "GET")
			if body != text || (answer.Header.Get("Content-Encoding") == "gzip") != (request == wantsGzip) || (answer.Header.Get("Age") != "") != (round == 1) || answer.Header.Get("Vary") == "" {
				t.Errorf("round %d: %v %d bytes", round, answer.Header, len(body))
			}
		}
	}
	r.true("asked once for each coding", r.service.picks == 2 && store.Len() == 2)
}

func TestAPersistenceCookieIsOfOneClientAndTheAnswerOfAll(t *testing.T) {
	r, store := newKeeping(t)
	r.service.choice.SetCookie = []byte("SERVERID=sealed")
	feed(r.client, get, false)
	r.connected(0).Arrive([]byte(kept))
	r.true("the new client gets the cookie", strings.Contains(take(r.client), "Set-Cookie: SERVERID=sealed\r\n"))
	r.keep(store)
	feed(r.client, get, false)
	got := take(r.client)
	r.true("the next one gets what is kept, without it", strings.HasSuffix(got, "hello") && !strings.Contains(got, "Set-Cookie") && r.service.picks == 1)
}
