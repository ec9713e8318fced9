package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
)

func healthCommands() []command {
	service := option{Name: "service", Value: "SERVICE", Help: "Only this service."}
	return []command{
		{
			Name: "availability", Summary: "how much of the time each service was served, and its outages", Flags: []option{
				service, {Name: "period", Value: "WORD", Help: "hour, day, week, month or year; month when absent."},
			}, Example: []string{"availability", "availability --service HL7 --period year"}, do: showAvailability,
		},
		{
			Name: "changes", Summary: "when services and real servers went up or down, and why", Flags: []option{
				service,
				{Name: "server", Value: "SERVER", Help: "Only this real server of the service."},
				{Name: "text", Value: "TEXT", Help: "Only changes with this in a label or in the reason."},
				{Name: "offset", Value: "N", Help: "Skip so many."},
				{Name: "limit", Value: "N", Help: "At most so many; 1000 when absent."},
			}, Example: []string{"changes --service HL7 --limit 20", "changes --text refused"}, do: listChanges,
		},
	}
}

func showAvailability(s *session) error {
	query, err := s.chosen()
	if err != nil {
		return err
	}
	s.copied(query, "period")
	a, err := s.client.do(s.ctx, "GET", "/availability", query, nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var list []appliance.Availability
	if err := understand(a, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		s.printf("No service runs, or nothing is kept over time.\n")
		return nil
	}
	var rows, outages [][]string
	for _, v := range list {
		up := "not known"
		if v.Percent >= 0 {
			up = strings.TrimSuffix(strconv.FormatFloat(float64(int(v.Percent*1000))/1000, 'f', 3, 64), ".000") + " %"
		}
		rows = append(rows, []string{v.Service, up, strconv.Itoa(len(v.Outages)), lasted(v.Down), lasted(v.Longest), lasted(v.Known)})
		for _, o := range v.Outages {
			to := "still down"
			if !o.To.IsZero() {
				to = o.To.Local().Format(time.DateTime)
			}
			outages = append(outages, []string{v.Service, o.From.Local().Format(time.DateTime), to, lasted(o.Lasted), o.Sentence})
		}
	}
	s.table([]string{"SERVICE", "UP", "OUTAGES", "TIME DOWN", "LONGEST", "KNOWN"}, rows)
	if outages != nil {
		s.printf("\n")
		s.table([]string{"SERVICE", "FROM", "TO", "LASTED", "WHY IT BEGAN"}, outages)
	}
	return nil
}

func listChanges(s *session) error {
	query, err := s.chosen()
	if err != nil {
		return err
	}
	s.copied(query, "offset", "limit")
	a, err := s.client.do(s.ctx, "GET", "/health-changes", query, nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var list []appliance.HealthEvent
	if err := understand(a, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		s.printf("Nothing has changed.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, e := range list {
		what := e.Service
		if e.Server != "" {
			what = fmt.Sprintf("%s of %s", e.Server, e.Service)
		}
		rows[i] = []string{e.At.Local().Format(time.DateTime), what, e.State, e.Sentence}
	}
	s.table([]string{"WHEN", "WHAT", "BECAME", "WHY"}, rows)
	s.rest(a, len(list))
	return nil
}

// lasted writes a time as people do: 10m and 2h5m, not 10m0s and 2h5m0s.
func lasted(d time.Duration) string {
	text := d.Round(time.Second).String()
	if short, whole := strings.CutSuffix(text, "m0s"); whole {
		text = strings.TrimSuffix(short+"m", "h0m")
		if text != short+"m" {
			text += "h"
		}
	}
	return text
}
