package engine

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/traffic"
)

func logged(r *rig, service string) []string {
	lines, _, err := r.TrafficLog().Last(traffic.Filter{Service: service}, 100)
	if err != nil {
		r.t.Error(err)
	}
	return lines
}

func TestTrafficLogHoldsWhatTheServiceWants(t *testing.T) {
	r := start(t, Options{LogsDir: t.TempDir()})
	v := web(t, "WEB", serveHTTP(t, "one"))
	dicom := tcp(t, "DICOM", serve(t, echo("a")).address)
	v.Log, dicom.Log = appliance.LogAll, appliance.LogAll
	r.apply(v, dicom)
	get(t, client(t), address(v)+"/a%20b?c=d")
	c := dial(t, address(dicom))
	readName(t, c)
	ping(t, c, "hello")
	c.Close()
	until(t, "both lines", func() bool { return len(logged(r, "WEB")) == 1 && len(logged(r, "DICOM")) == 1 })
	if line := logged(r, "WEB")[0]; !strings.Contains(line, "method=GET host="+address(v)+" path=/a%20b?c=d/ status=200") || !strings.HasSuffix(line, " end=done") {
		t.Error(line)
	}
	v.Log = appliance.LogErrors
	r.apply(v, dicom)
	get(t, client(t), address(v))
	if code, _ := fetch(t, client(t), address(v)); code != 200 {
		t.Error(code)
	}
	down := v.Clone()
	down.RealServers[0].State, down.Fallback.Kind = appliance.Halt, appliance.FallbackNone
	r.apply(down, dicom)
	if code, _ := fetch(t, client(t), address(v)); code != 503 {
		t.Error(code)
	}
	until(t, "the error's line", func() bool { return len(logged(r, "WEB")) == 2 })
	if line := logged(r, "WEB")[1]; !strings.HasSuffix(line, ` end=no_server why="no server can serve the request"`) {
		t.Error(line)
	}
}

func TestTrafficLogHoldsWhatNoServerAnswered(t *testing.T) {
	r := start(t, Options{Loops: 1, LogsDir: t.TempDir()})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "kept")
	})
	v, clear := web(t, "WEB", serveHandler(t, h).address), web(t, "CLEAR")
	v.HTTP.CacheSize, v.Log = 1, appliance.LogAll
	clear.TLS.Redirect, clear.Log = appliance.RedirectFound, appliance.LogAll
	r.apply(v, clear)
	get(t, client(t), address(v))
	get(t, client(t), address(v))
	c := client(t)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if code, _ := fetch(t, c, address(clear)); code != 302 {
		t.Error(code)
	}
	until(t, "the lines", func() bool { return len(logged(r, "WEB")) == 2 && len(logged(r, "CLEAR")) == 1 })
	if lines := logged(r, "WEB"); !strings.Contains(lines[0], " server=s0 ") || !strings.Contains(lines[1], " server=cache method=GET ") || !strings.HasSuffix(lines[1], " end=done") {
		t.Errorf("%q", lines)
	}
	if line := logged(r, "CLEAR")[0]; !strings.Contains(line, " status=302 answer=own ") || !strings.HasSuffix(line, ` end=done why="the client was sent to HTTPS"`) {
		t.Error(line)
	}
}

func TestApplyKeepsWhatWasCounted(t *testing.T) {
	r := start(t, Options{Loops: 2})
	v := web(t, "WEB", serveHTTP(t, "one"), netip.MustParseAddrPort("127.0.0.1:1"))
	v.RealServers[1].State = appliance.Halt
	r.apply(v)
	for range 5 {
		get(t, client(t), address(v))
	}
	of := func() (stats.Sums, stats.Sums) {
		s := r.view.Load().services[0]
		return sums(s.shards, func(s *shard) *stats.Traffic { return &s.traffic }), sums(r.view.Load().servers[v.RealServers[0].ID].seats, func(n *seat) *stats.Traffic { return &n.traffic })
	}
	until(t, "five answers", func() bool { s, _ := of(); return s.Codes[2] == 5 })
	changed := v.Clone()
	changed.Label, changed.Scheduler, changed.RealServers[0].Weight = "WEB 2", appliance.RoundRobin, 7
	changed.RealServers = changed.RealServers[:1]
	r.apply(changed)
	get(t, client(t), address(v))
	until(t, "the sixth answer", func() bool { s, _ := of(); return s.Codes[2] == 6 })
	if s, server := of(); server.Codes[2] != 6 || server.Latency.Total() != 6 || s.Latency.Total() != 6 {
		t.Errorf("%+v, %+v", s.Codes, server.Codes)
	}
	if status := r.status(v.ID); status.Requests != 6 || status.Servers[0].Total != 6 {
		t.Errorf("%+v", status)
	}
}
