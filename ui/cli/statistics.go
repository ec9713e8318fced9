package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
)

func statisticsCommands() []command {
	return []command{{
		Name: "statistics", Args: []string{"SERVICE", "[SERVER]"}, Summary: "what a service or a real server did over time, as the graphs show it",
		Flags: []option{
			{Name: "period", Value: "WORD", Help: "hour, day, week, month or year; hour when absent."},
			{Name: "limit", Value: "N", Help: "Only the newest so many points; 30 when absent. With --json all of them."},
		},
		Example: []string{"statistics WEB", "statistics HL7 Corepoint1 --period week --limit 100", "statistics WEB --period year --json"}, do: showStatistics,
	}}
}

func showStatistics(s *session) error {
	limit, err := strconv.Atoi(cmp.Or(s.flag("limit"), "30"))
	if err != nil || limit < 1 {
		return s.misused("--limit is a number from 1")
	}
	service, server := "", ""
	if len(s.args) == 2 {
		v, r, err := s.server()
		if err != nil {
			return err
		}
		service, server = v.ID, r.ID
	} else {
		v, err := s.service(s.args[0])
		if err != nil {
			return err
		}
		service = v.ID
	}
	got, a, err := get[struct {
		Step   int               `json:"step_seconds"`
		Kept   bool              `json:"kept"`
		Points []appliance.Point `json:"points"`
	}](s, "/statistics", "service", service, "server", server, "period", s.flag("period"))
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if !got.Kept || len(got.Points) == 0 {
		s.printf("Nothing is known of that time.\n")
		return nil
	}
	var rows [][]string
	for _, p := range got.Points[max(0, len(got.Points)-limit):] {
		rows = append(rows, []string{
			p.At.Local().Format(time.DateTime), figure(p.Connections), figure(p.Opened), figure(p.Requests), figure(p.BytesIn / 1000), figure(p.BytesOut / 1000), figure(p.Errors),
			within(p.P50), within(p.P99), share(p.Up),
		})
	}
	s.table([]string{"FROM", "OPEN", "NEW/S", "REQUESTS/S", "KB/S IN", "KB/S OUT", "ERRORS/S", "P50", "P99", "UP"}, rows)
	s.printf("Each line is the average of %s.\n", lasted(time.Duration(got.Step)*time.Second))
	return nil
}

// figure writes three digits that count.
func figure(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	text := fmt.Sprintf("%.2f", v)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func within(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return short(d)
}

func share(up float64) string {
	if up < 0 {
		return "-"
	}
	return figure(up*100) + " %"
}
