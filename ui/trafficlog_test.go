package ui

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestTrafficLogSettingsAreSavedAndRefusedAtTheirField(t *testing.T) {
	r := newRig(t, rigOptions{setUp: true})
	local := r.control.Saved().Config.Local
	form := url.Values{"base": {appliance.Hash(&local)}, "traffic_log.file_size_mb": {"many"}, "traffic_log.remote": {"10.0.0.256:514"}, "traffic_log.transport": {"tls"}}
	status, _, page := r.postForm(r.client, trafficLogPath, form)
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "&#34;many&#34; is not a whole number.") {
		t.Errorf("%d", status)
	}
	form.Set("traffic_log.file_size_mb", "")
	status, _, page = r.postForm(r.client, trafficLogPath, form)
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "neither an address nor a host name") || !strings.Contains(page, `<option value="tls" selected>`) {
		t.Errorf("%d", status)
	}
	form.Set("traffic_log.remote", "10.0.0.9:514")
	if status, _, _ := r.postForm(r.client, trafficLogPath, form); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	if got, want := r.control.Saved().Config.Local.TrafficLog, (appliance.TrafficLog{Remote: "10.0.0.9:514", Transport: appliance.SyslogTLS}); got != want {
		t.Errorf("saved %+v", got)
	}
}
