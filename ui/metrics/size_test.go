package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// TestScrapeOfManyServersTakesLittleMemory holds what a scrape costs, beside what it is given: ten times as many, 1,000 services with 10 servers each, have to fit.
func TestScrapeOfManyServersTakesLittleMemory(t *testing.T) {
	latency := Latency{Below: map[float64]uint64{}, Count: 11, Sum: time.Second}
	for i := range 11 {
		latency.Below[float64(i)] = uint64(i)
	}
	var samples []Sample
	for i := range 100 {
		one := Sample{Service: fmt.Sprint("service-", i), Failures: map[string]uint64{"refused": 1, "server_timeout": 2}, Latency: latency}
		samples = append(samples, one)
		for n := range 10 {
			one.Server = fmt.Sprint("server-", n)
			samples = append(samples, one)
		}
	}
	h := Handler(Options{Version: "1", Driver: func() string { return "epoll" }, Samples: func() []Sample { return samples }, Dropped: func() uint64 { return 0 }})
	w := &counter{ResponseWriter: httptest.NewRecorder()}
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	runtime.ReadMemStats(&behind)
	if took := behind.TotalAlloc - before.TotalAlloc; took > 20<<20 {
		t.Errorf("a scrape of %d servers takes %d KiB", len(samples), took>>10)
	}
	if w.longest > 1<<20 {
		t.Errorf("%d bytes were held before any was sent", w.longest)
	}
}

// counter keeps nothing of what is written.
type counter struct {
	http.ResponseWriter
	longest int
}

func (c *counter) Write(b []byte) (int, error) {
	c.longest = max(c.longest, len(b))
	return len(b), nil
}
