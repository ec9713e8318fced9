package ui

import (
	"io"
	"net/http"
	"testing"

	"evenkeel/appliance"
)

func TestMetricsNeedATokenOrAnAllowedNetwork(t *testing.T) {
	figures := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "evenkeel_service_up 1\n") })
	r := newRig(t, rigOptions{setUp: true, metrics: figures})
	if status, _, body := r.get(r.browser(), metricsPath); status != http.StatusUnauthorized || body == "" {
		t.Errorf("a stranger got %d %q", status, body)
	}
	if status, _, body := r.get(r.client, metricsPath); status != http.StatusOK || body != "evenkeel_service_up 1\n" {
		t.Errorf("who is signed in got %d %q", status, body)
	}
	if status, _, _ := r.post(r.client, metricsPath); status != http.StatusMethodNotAllowed {
		t.Errorf("a post got %d", status)
	}
	allow := func(networks ...string) {
		t.Helper()
		_, err := r.control.Commit(t.Context(), appliance.Origin{Operator: "test", Via: "api"}, nil, func(c *appliance.Config) error {
			c.Local.MetricsNetworks = networks
			return nil
		})
		if err == nil {
			_, err = r.control.Apply(t.Context(), appliance.Origin{Operator: "test", Via: "api"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for network, want := range map[string]int{"127.0.0.0/8": http.StatusOK, "127.0.0.1": http.StatusOK, "10.0.0.0/8": http.StatusUnauthorized} {
		allow(network)
		if status, _, _ := r.get(r.browser(), metricsPath); status != want {
			t.Errorf("%s: a stranger got %d, want %d", network, status, want)
		}
	}
	fresh := newRig(t, rigOptions{metrics: figures})
	if status, _, _ := fresh.get(fresh.browser(), metricsPath); status != http.StatusNotFound {
		t.Errorf("before the setup: %d", status)
	}
}
