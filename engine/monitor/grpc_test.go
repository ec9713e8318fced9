package monitor

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"evenkeel/appliance"
)

// grpcServer is an HTTP/2 server in clear; it returns its address.
func grpcServer(t *testing.T, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	return grpcServerOn(t, "127.0.0.1:0", handler)
}

func grpcServerOn(t *testing.T, at string, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close()
	server.Listener = listen(t, at)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// healthService answers calls with a state, and refuses a call that is not one of a health service as published.
func healthService(services map[string]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc+proto")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if r.Method != "POST" || r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Te") != "trailers" || r.Header.Get("Content-Type") != "application/grpc" || len(body) < 5 ||
			int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			w.Header().Set("Grpc-Status", "13")
			return
		}
		name := ""
		if len(body) > 5 && body[5] == 0x0a && int(body[6]) == len(body)-7 {
			name = string(body[7:])
		}
		state, known := services[name]
		if !known {
			w.Header().Set("Grpc-Status", "5")
			w.Header().Set("Grpc-Message", "unknown%20service <b>")
			return
		}
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, state})
		w.Header().Set("Grpc-Status", "0")
	}
}

// says is a handler that answers with those fields and that body.
func says(code int, contentType, status string, body ...byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if status != "" {
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
		}
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}
}

func TestGRPC(t *testing.T) {
	all := healthService(map[string]byte{"": 1, "imaging": 1, "queue": 2, "new": 3, "odd": 9})
	for name, c := range map[string]struct {
		service string
		handler http.HandlerFunc
		good    bool
		want    string
	}{
		"serving":            {"", all, true, "SERVING in # ms."},
		"service serving":    {"imaging", all, true, "SERVING in # ms."},
		"service down":       {"queue", all, false, "The health service says NOT_SERVING."},
		"service new":        {"new", all, false, "The health service says SERVICE_UNKNOWN."},
		"odd state":          {"odd", all, false, "The health service says 9, which means nothing."},
		"unknown service":    {"other", all, false, `The server does not know the service "other": status 5, "unknown service <b>".`},
		"no health service":  {"", says(200, "application/grpc", "12"), false, "The server speaks gRPC, but has no health service: status 12. Register grpc.health.v1.Health there, or check that the port opens."},
		"error":              {"", says(200, "application/grpc", "14"), false, "The health service answers with an error: status 14."},
		"no status":          {"", says(200, "application/grpc", ""), false, "The answer has no gRPC status."},
		"not gRPC":           {"", says(200, "text/html", ""), false, `The server speaks HTTP/2, but not gRPC: its answer is "text/html".`},
		"HTTP error":         {"", says(503, "text/html", ""), false, "HTTP 503 where gRPC answers with 200."},
		"empty state":        {"", says(200, "application/grpc", "0", 0, 0, 0, 0, 0), false, "The health service says UNKNOWN."},
		"other fields first": {"", says(200, "application/grpc", "0", 0, 0, 0, 0, 10, 0x12, 1, 'x', 0x1d, 1, 2, 3, 4, 8, 1), true, "SERVING in # ms."},
		"compressed":         {"", says(200, "application/grpc", "0", 1, 0, 0, 0, 0), false, `The health service's answer cannot be read: "\x01\x00\x00\x00\x00".`},
		"cut off":            {"", says(200, "application/grpc", "0", 0, 0, 0, 0, 9, 8, 1), false, `The health service's answer cannot be read: "\x00\x00\x00\x00\t\b\x01".`},
		"endless":            {"", says(200, "application/grpc", "0", make([]byte, 1<<20)...), false, "The server ended the call: its answer is larger than 4 KiB."},
		"aborts":             {"", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "The server ended the call: INTERNAL_ERROR."},
	} {
		t.Run(name, func(t *testing.T) {
			to := grpcServer(t, c.handler)
			m := check(appliance.MonitorGRPC)
			m.GRPC.Service = c.service
			p, _ := try(t, to, m)
			expect(t, p, c.good, c.want)
		})
	}
}

// frames is a server that says frames, whatever comes.
func frames(write func(*http2.Framer)) func(net.Conn) {
	var out bytes.Buffer
	write(http2.NewFramer(&out, nil))
	return answersUnasked(out.String())
}

func TestGRPCAgainstOtherServers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"closes":          {answers(""), "The server closed the connection before an answer in gRPC came."},
		"silent":          {untilEOF, "Port # opened, but an answer in gRPC did not come within 1s."},
		"silent later":    {frames(func(f *http2.Framer) { _ = f.WriteSettings() }), "Port # opened, but an answer in gRPC did not come within 1s."},
		"HTTP/1.1":        {answers("HTTP/1.1 400 Bad Request\r\n\r\n<b>"), `The answer on port # is not HTTP/2: "HTTP/1.1 400 Bad Request\r\n\r\n<b>".`},
		"garbled":         {answers("x"), `The answer on port # is not HTTP/2: "x".`},
		"garbled later":   {answersUnasked("\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff\x00\x00\x00\x00\x00\x01"), "The answer on port # is broken HTTP/2: http2: frame too large*."},
		"endless pings":   {frames(pings), "The server ended the call: more than 256 frames and no end."},
		"goes away":       {frames(goesAway), `The server ended the call: GOAWAY ENHANCE_YOUR_CALM "<calm>".`},
		"headers of none": {frames(badHead), "The answer on port # is broken HTTP/2: *."},
	} {
		t.Run(name, func(t *testing.T) {
			to := peer(t, listen(t, "127.0.0.1:0"), c.serve)
			m := check(appliance.MonitorGRPC)
			m.Timeout = within(c.want)
			p, _ := try(t, to, m)
			expect(t, p, false, c.want)
		})
	}
}

func pings(f *http2.Framer) {
	_ = f.WriteSettings()
	for range 2 * maxFrames {
		_ = f.WritePing(false, [8]byte{})
	}
}

func goesAway(f *http2.Framer) {
	_ = f.WriteSettings()
	_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("<calm>"))
}

func badHead(f *http2.Framer) {
	_ = f.WriteSettings()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("\xff\xff\xff\xff\xff\xff"), EndHeaders: true})
}

func TestGRPCSaysGoodbye(t *testing.T) {
	seen := make(chan string, 1)
	to := peer(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		in := bufio.NewReader(c)
		_, _ = io.CopyN(io.Discard, in, int64(len(http2.ClientPreface)))
		f, last := http2.NewFramer(c, in), ""
		_ = f.WriteSettings()
		_ = f.WriteGoAway(1, http2.ErrCodeNo, nil)
		_ = f.WritePing(false, [8]byte{7})
		_ = f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				seen <- last
				return
			}
			last += frame.Header().Type.String() + " "
		}
	})
	p, _ := try(t, to, check(appliance.MonitorGRPC))
	expect(t, p, false, "The server ended the call: REFUSED_STREAM.")
	if got := <-seen; got != "SETTINGS HEADERS DATA SETTINGS PING GOAWAY " {
		t.Errorf("the server saw %s", got)
	}
}

func FuzzGRPCAnswer(f *testing.F) {
	for _, write := range []func(*http2.Framer){pings, goesAway, badHead} {
		var out bytes.Buffer
		write(http2.NewFramer(&out, nil))
		f.Add(out.Bytes()[:min(out.Len(), 200)])
	}
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88" + "\x00\x00\x07\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x02\x08\x01"))
	f.Fuzz(func(t *testing.T, body []byte) {
		o := overBytes(t, appliance.NewMonitor(appliance.MonitorGRPC), body)
		if o.good && !settingsHead(body[:frameHead]) {
			t.Errorf("%q: %s", body, o.sentence())
		}
	})
}

func FuzzParseHealth(f *testing.F) {
	for _, s := range []string{"\x00\x00\x00\x00\x02\x08\x01", "\x00\x00\x00\x00\x0a\x12\x01x\x1d1234\x08\x01", "\x00\x00\x00\x00\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if state, ok := parseHealth(message); ok && state == healthServing && !strings.ContainsRune(string(message[grpcPrefix:]), '\x08') && !bytes.Contains(message, []byte{0x88}) {
			t.Errorf("%q says SERVING", message)
		}
	})
}
