package view

import (
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// Logs is the page of the traffic log.
type Logs struct {
	Service, Query               string
	Services                     []form.Option
	Modes                        []appliance.LogMode // of the services that are shown
	Kept                         bool                // there is a local file
	Remote                       string              // the syslog receiver
	Deep                         bool                // everything was searched, and the page stands still
	Whole                        bool                // nothing older is kept
	Lines                        []LogLine           // the newest first
	DeepPath, LivePath, Download string
}

// LogLine is a line of the traffic log, as far as it could be read.
type LogLine struct {
	Raw                              string
	At                               time.Time
	Service, Client, Server, Request string
	Status, End, Why, Total          string
	Bytes                            string
	Good                             bool
}

// ReadLogLine reads a line; what is not one has only Raw.
func ReadLogLine(raw string) LogLine {
	l := LogLine{Raw: raw}
	stamp, rest, _ := strings.Cut(raw, " ")
	l.At, _ = time.Parse("2006-01-02T15:04:05.000Z", stamp)
	fields := map[string]string{}
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		fields[name], rest = cutValue(after)
	}
	dash := func(name string) string {
		if fields[name] == "-" {
			return ""
		}
		return fields[name]
	}
	l.Service, l.Client, l.Server, l.Status, l.End, l.Why = fields["service"], fields["client"], dash("server"), dash("status"), strings.ReplaceAll(fields["end"], "_", " "), fields["why"]
	l.Good = l.End == "done" && !strings.HasPrefix(l.Status, "5")
	if dropped := fields["dropped"]; dropped != "" {
		l.Request = dropped + " lines were dropped"
	}
	if method := dash("method"); method != "" {
		l.Request = method + " " + dash("host") + dash("path")
	}
	if ms, err := strconv.ParseFloat(fields["total"], 64); err == nil {
		l.Total = logTime(ms)
	}
	in, inErr := strconv.ParseUint(fields["in"], 10, 64)
	out, outErr := strconv.ParseUint(fields["out"], 10, 64)
	if inErr == nil && outErr == nil {
		l.Bytes = Bytes(in) + " in, " + Bytes(out) + " out"
	}
	return l
}

// cutValue splits off a value, which may stand in quotes. Escapes stay: they are what makes it inert.
func cutValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, " ")
		return value, rest
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[1:i], strings.TrimPrefix(text[i+1:], " ")
		}
	}
	return text, ""
}

func logTime(ms float64) string {
	if ms < 1000 {
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	}
	return Span(time.Duration(ms * float64(time.Millisecond)))
}

// silent says why there may be nothing to show.
func (l Logs) silent() string {
	all, errors := 0, 0
	for _, m := range l.Modes {
		switch m {
		case appliance.LogAll:
			all++
		case appliance.LogErrors:
			errors++
		}
	}
	switch {
	case !l.Kept && l.Remote != "":
		return "No lines are kept on this appliance; they are sent to " + l.Remote + "."
	case !l.Kept:
		return "No lines are kept on this appliance."
	case l.Query != "" || len(l.Modes) > 0 && all > 0:
		return "There is no such line."
	case errors > 0:
		return "Nothing went wrong lately. Only errors are logged; a service can log every request or session, under Limits and times."
	case len(l.Modes) > 0:
		return "The traffic log is off here. It is turned on at the service, under Limits and times."
	}
	return "No service runs yet."
}
