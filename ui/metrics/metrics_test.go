package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestScrapeIsReadByPrometheus(t *testing.T) {
	hostile := "a\"b\\c\nd"
	samples := []Sample{
		{
			Service: "WEB", Connections: 3, Total: 10, Requests: 42, Refused: 2, Retries: 1, BytesIn: 100, BytesOut: 200, Codes: [6]uint64{2: 40, 5: 2}, Failures: map[string]uint64{"refused": 2},
			Up: true, Latency: Latency{Below: map[float64]uint64{0.001: 30, 0.01: 41}, Count: 42, Sum: 1500 * time.Millisecond},
		},
		{Service: "WEB", Server: hostile, Connections: 1, Total: 42, Weight: 100, Remembered: 7, Codes: [6]uint64{2: 40}, Latency: Latency{Below: map[float64]uint64{0.001: 31}, Count: 42, Sum: time.Second}},
	}
	w := httptest.NewRecorder()
	driver := func() string { return "io_uring" }
	Handler(Options{Version: "1.2.3", Driver: driver, Samples: func() []Sample { return samples }, Dropped: func() uint64 { return 5 }}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(w.Body.String()))
	if err != nil || w.Code != 200 {
		t.Fatal(w.Code, err, w.Body.String())
	}
	if f := families["evenkeel_driver_info"]; f == nil || f.Metric[0].Label[0].GetValue() != "io_uring" {
		t.Errorf("the driver: %v", f)
	}
	for name, want := range map[string]float64{
		"evenkeel_service_requests_total": 42, "evenkeel_service_connections_total": 10, "evenkeel_service_refused_total": 2, "evenkeel_service_retries_total": 1,
		"evenkeel_service_received_bytes_total": 100, "evenkeel_service_sent_bytes_total": 200, "evenkeel_service_failures_total": 2,
		"evenkeel_traffic_log_dropped_lines_total": 5, "evenkeel_server_connections_total": 42,
	} {
		f := families[name]
		if f == nil || f.GetHelp() == "" || f.Metric[0].GetCounter().GetValue() != want {
			t.Errorf("%s is %v", name, f)
		}
	}
	if h := families["evenkeel_service_response_seconds"].Metric[0].GetHistogram(); h.GetSampleCount() != 42 || h.GetSampleSum() != 1.5 || len(h.Bucket) != 3 {
		t.Errorf("%v", h)
	}
	if h := families["evenkeel_server_response_seconds"].Metric[0].GetHistogram(); h.GetSampleCount() != 42 || h.GetSampleSum() != 1 || len(h.Bucket) != 2 || h.Bucket[0].GetCumulativeCount() != 31 {
		t.Errorf("of the server: %v", h)
	}
	server := families["evenkeel_server_up"].Metric[0]
	if server.GetGauge().GetValue() != 0 || server.Label[0].GetValue() != hostile {
		t.Errorf("%v", server)
	}
	codes := map[string]float64{}
	for _, m := range families["evenkeel_service_responses_total"].Metric {
		codes[m.Label[0].GetValue()] = m.GetCounter().GetValue()
	}
	if len(codes) != 5 || codes["2xx"] != 40 || codes["5xx"] != 2 {
		t.Errorf("%v", codes)
	}
}
