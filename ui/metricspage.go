package ui

import (
	"net/http"
	"net/netip"

	"evenkeel/appliance"
)

// metricsPath is where Prometheus reads the figures.
const metricsPath = "/metrics"

// serveMetrics answers a scrape by whoever has a token or a session, or comes from a network that the Local Configuration allows.
func (u *UI) serveMetrics(w http.ResponseWriter, r *http.Request) {
	needed, err := u.Door.NeedsSetup(r.Context())
	switch {
	case err != nil || needed || u.Metrics == nil:
		http.Error(w, "There are no figures yet.", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Figures are read with GET.", http.StatusMethodNotAllowed)
		return
	}
	if !u.mayScrape(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="Evenkeel"`)
		http.Error(w, "The figures need a token, or an address of a network listed under Local Configuration.", http.StatusUnauthorized)
		return
	}
	u.Metrics.ServeHTTP(w, r)
}

func (u *UI) mayScrape(r *http.Request) bool {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		for _, text := range u.Control.Running().Config.Local.MetricsNetworks {
			if network, ok := appliance.ParseNetwork(text); ok && network.Contains(from.Addr().Unmap().WithZone("")) {
				return true
			}
		}
	}
	_, _, err := u.Door.Identify(r)
	return err == nil
}
