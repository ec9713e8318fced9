package cli

import "cmp"

func logCommands() []command {
	return []command{{
		Name: "logs", Args: []string{"[SERVICE]"}, Summary: "the newest lines of the traffic log",
		Flags: []option{
			{Name: "contains", Value: "TEXT", Help: "Only lines with this text."},
			{Name: "limit", Value: "N", Help: "At most so many, 1 to 10000; 100 when absent."},
		},
		Example: []string{"logs WEB --contains end=connect_failed", "logs --limit 1000"}, do: showLogs,
	}}
}

func showLogs(s *session) error {
	id := ""
	if len(s.args) == 1 {
		v, err := s.service(s.args[0])
		if err != nil {
			return err
		}
		id = v.ID
	}
	got, a, err := get[struct {
		Lines []string `json:"lines"`
		Whole bool     `json:"whole"`
	}](s, "/logs", "service", id, "contains", s.flag("contains"), "limit", cmp.Or(s.flag("limit"), "100"))
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	for _, line := range got.Lines {
		s.printf("%s\n", inert(line))
	}
	if len(got.Lines) == 0 {
		s.printf("There is no such line.\n")
	}
	return nil
}
