// Package metrics shows to Prometheus what the engine counts, under /metrics. It keeps nothing: each scrape asks anew, and counters live in the engine.
package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Sample is what is counted of one service, or of one server of it.
type Sample struct {
	Service, Server string // labels; Server is empty for the service as a whole
	Connections     int64
	Waiting         int    // of a service, in the queue
	Total           uint64 // connections, or requests of a server in HTTP Mode
	Requests        uint64
	Refused         uint64
	Retries         uint64
	BytesIn         uint64
	BytesOut        uint64
	Codes           [6]uint64         // answers by their first digit
	Failures        map[string]uint64 // by how they ended
	Up              bool
	Weight          int
	Remembered      int // persistence entries
	Latency         Latency
}

// Latency is a histogram: how many times were not longer than each bound.
type Latency struct {
	Below map[float64]uint64 // seconds
	Count uint64
	Sum   time.Duration
}

// Options of a handler; all but Log are required.
type Options struct {
	Version string
	Driver  func() string // by what bytes are moved; empty: by nothing yet
	Samples func() []Sample
	Dropped func() uint64 // lines of the traffic log
	Log     *slog.Logger  // nil: nothing is logged
}

// Handler answers a scrape. It asks nobody who scrapes, and sets no time limit; that is for whoever mounts it. Scrapes at the same time share what was gathered, since
// that is large with many servers.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(o))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, CoalesceGather: true})
}

type collector struct {
	Options
	build, driver, dropped *prometheus.Desc

	service family
	server  family
}

// family is the metrics of services, or of servers.
type family struct {
	connections, waiting, total, requests, refused, retries, in, out, responses, failures, up, weight, remembered, latency *prometheus.Desc
}

func newCollector(o Options) *collector {
	return &collector{
		Options: o,
		build:   prometheus.NewDesc("evenkeel_build_info", "The version that runs; always 1.", []string{"version"}, nil),
		driver:  prometheus.NewDesc("evenkeel_driver_info", "By what the engine moves bytes, epoll or io_uring; always 1.", []string{"driver"}, nil),
		dropped: prometheus.NewDesc("evenkeel_traffic_log_dropped_lines_total", "Lines of the traffic log that were lost because nobody took them in time.", nil, nil),
		service: newFamily("evenkeel_service_", "the virtual service", "service"),
		server:  newFamily("evenkeel_server_", "the real server", "service", "server"),
	}
}

func newFamily(prefix, of string, labels ...string) family {
	one := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, append(labels[:len(labels):len(labels)], more...), nil)
	}
	return family{
		connections: one("connections", "Connections (TCP Mode) or clients (HTTP Mode) of "+of+" that are open now."),
		waiting:     one("queue", "Clients that wait for a free place on a server of "+of+"."),
		total:       one("connections_total", "Connections that "+of+" was given; of a server in HTTP Mode, requests."),
		requests:    one("requests_total", "HTTP requests that "+of+" got."),
		refused:     one("refused_total", "Connections and requests that "+of+" turned away."),
		retries:     one("retries_total", "Servers that were tried in vain for a client of "+of+", and requests that were sent once more."),
		in:          one("received_bytes_total", "Bytes from clients of "+of+"."),
		out:         one("sent_bytes_total", "Bytes to clients of "+of+"."),
		responses:   one("responses_total", "HTTP answers of "+of+" by the first digit of their status.", "code"),
		failures:    one("failures_total", "Requests and sessions of "+of+" that did not end well, by how they ended.", "end"),
		up:          one("up", "1 while "+of+" serves, 0 while it is down or not yet known."),
		weight:      one("weight", "Weight of "+of+"."),
		remembered:  one("persistence_entries", "Clients that would come back to "+of+"."),
		latency:     one("response_seconds", "Time until the first byte of the answer of "+of+" (HTTP Mode), or until it accepted (TCP Mode)."),
	}
}

func (f *family) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.connections, f.waiting, f.total, f.requests, f.refused, f.retries, f.in, f.out, f.responses, f.failures, f.up, f.weight, f.remembered, f.latency} {
		ch <- d
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.build
	ch <- c.driver
	ch <- c.dropped
	c.service.describe(ch)
	c.server.describe(ch)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1, c.Version)
	if driver := c.Driver(); driver != "" {
		ch <- prometheus.MustNewConstMetric(c.driver, prometheus.GaugeValue, 1, driver)
	}
	ch <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(c.Dropped()))
	for _, s := range c.Samples() {
		if s.Server == "" {
			c.service.collect(ch, &s, s.Service)
			continue
		}
		c.server.collect(ch, &s, s.Service, s.Server)
	}
}

func (f *family) collect(ch chan<- prometheus.Metric, s *Sample, labels ...string) {
	count := func(d *prometheus.Desc, n uint64, more ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append(labels[:len(labels):len(labels)], more...)...)
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(f.connections, float64(s.Connections))
	count(f.total, s.Total)
	count(f.in, s.BytesIn)
	count(f.out, s.BytesOut)
	for i, class := range []string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		if i > 0 {
			count(f.responses, s.Codes[i], class)
		}
	}
	for end, n := range s.Failures {
		count(f.failures, n, end)
	}
	up := 0.0
	if s.Up {
		up = 1
	}
	gauge(f.up, up)
	ch <- prometheus.MustNewConstHistogram(f.latency, s.Latency.Count, s.Latency.Sum.Seconds(), s.Latency.Below, labels...)
	if s.Server == "" {
		gauge(f.waiting, float64(s.Waiting))
		count(f.requests, s.Requests)
		count(f.refused, s.Refused)
		count(f.retries, s.Retries)
		return
	}
	gauge(f.weight, float64(s.Weight))
	gauge(f.remembered, float64(s.Remembered))
}
