package ui

import (
	"net/http"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const trafficLogPath = "/lbadmin/local/traffic-log"

// trafficLogFields are the paths of the page's fields, in their order.
func trafficLogFields() []string {
	return []string{
		"traffic_log.no_file", "traffic_log.file_size_mb", "traffic_log.file_count", "traffic_log.remote", "traffic_log.transport", "traffic_log.ca", "traffic_log.no_verify",
	}
}

func trafficLogForm(p *page) error {
	l := p.ui.Control.Saved().Config.Local
	t := &l.TrafficLog
	typed := map[string]string{
		"traffic_log.no_file": strconv.FormatBool(t.NoFile), "traffic_log.file_size_mb": orEmpty(t.FileSize), "traffic_log.file_count": orEmpty(t.FileCount),
		"traffic_log.remote": t.Remote, "traffic_log.transport": string(t.Transport), "traffic_log.ca": t.CA, "traffic_log.no_verify": strconv.FormatBool(t.NoVerify),
	}
	return p.showTrafficLog(http.StatusOK, typed, appliance.Hash(&l), nil, nil)
}

func orEmpty(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (p *page) showTrafficLog(status int, typed map[string]string, base string, errs form.Errors, stale *view.Stale) error {
	examples := map[string]string{"traffic_log.file_size_mb": "16", "traffic_log.file_count": "10", "traffic_log.remote": "192.168.0.9:514", "traffic_log.ca": "-----BEGIN CERTIFICATE-----"}
	kinds := map[string]string{"traffic_log.no_file": "check", "traffic_log.no_verify": "check", "traffic_log.ca": "area", "traffic_log.transport": "select"}
	v := view.SimpleForm{
		Title: "Traffic log", Lead: view.NeverReplicated + " Where the lines of the traffic log go. What a service writes is chosen at the service, under Limits and times.",
		Path: trafficLogPath, Button: "Save", Base: base, Errors: errs, Stale: stale, Edit: p.holds(appliance.Administrator),
	}
	for _, path := range trafficLogFields() {
		f := simple("local", path, kinds[path], typed[path], examples[path])
		switch f.Kind {
		case "area":
			f.Rows = 4
		case "select":
			f.Options = []form.Option{{Value: "", Name: "TCP"}, {Value: "udp", Name: "UDP"}, {Value: "tls", Name: "TLS"}}
			if f.Value == string(appliance.SyslogTCP) {
				f.Value = ""
			}
		}
		v.Fields = append(v.Fields, f)
	}
	return p.show(status, view.SimplePage(p.frame("Traffic log", trafficLogPath), v))
}

func saveTrafficLog(p *page) error {
	typed := map[string]string{}
	for _, path := range trafficLogFields() {
		typed[path] = strings.TrimSpace(strings.ReplaceAll(p.FormValue(path), "\r\n", "\n"))
	}
	again := func(status int, errs form.Errors, stale *view.Stale) error {
		return p.showTrafficLog(status, typed, p.FormValue("base"), errs, stale)
	}
	read, err := readTrafficLog(typed)
	if err == nil {
		ctx, cancel := p.lasting()
		defer cancel()
		_, err = p.ui.Control.Commit(ctx, p.origin, p.baseOf("local"), func(c *appliance.Config) error {
			c.Local.TrafficLog = read
			return nil
		})
	}
	if err == nil {
		return p.done(trafficLogPath, "Saved%s.", p.ui.whetherRunning())
	}
	return p.refuse(err, "local.", trafficLogFields(), trafficLogPath, again)
}

// readTrafficLog reads what was typed; the errors name their fields as Validate does.
func readTrafficLog(typed map[string]string) (appliance.TrafficLog, error) {
	t := appliance.TrafficLog{
		NoFile: typed["traffic_log.no_file"] == "true", Remote: typed["traffic_log.remote"], Transport: appliance.Transport(typed["traffic_log.transport"]),
		CA: typed["traffic_log.ca"], NoVerify: typed["traffic_log.no_verify"] == "true",
	}
	var errs appliance.Errors
	for path, at := range map[string]*int{"traffic_log.file_size_mb": &t.FileSize, "traffic_log.file_count": &t.FileCount} {
		if text := typed[path]; text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				errs = append(errs, appliance.Refuse("local."+path, "%.40q is not a whole number.", text))
			}
			*at = n
		}
	}
	if len(errs) > 0 {
		return t, errs
	}
	return t, nil
}
