package cli

import (
	"cmp"
	"strconv"
	"strings"

	"evenkeel/appliance"
)

func explainCommands() []command {
	return []command{
		{
			Name: "explain", Args: []string{"[URL]"}, Summary: "what would become of a client, and why; nothing is sent or counted", Flags: questionOptions(appliance.QuestionFields()...),
			Example: []string{"explain --client 10.0.0.7 --service HL7", "explain http://192.168.0.189/img/a.png --client 10.0.0.7 --header 'Accept: image/png'"}, do: explain,
		},
		{
			Name: "rules try", Args: []string{"SERVICE", "[FILE]"}, Summary: "what the rules of a service, or those of a file, make of a request; nothing is saved or sent",
			Flags:   questionOptions("url", "client", "method", "headers", "cookies", "tls_name", "answer"),
			Example: []string{"rules try WEB --url /admin --client 10.0.0.7", "rules try WEB rules.json --url /img/a.png --client 10.0.0.7 --answer '200 OK' --answer 'Server: IIS'"}, do: tryRules,
		},
	}
}

// flagOf is the flag for a field of a question: those that may be repeated are called in the singular.
func flagOf(field string) string {
	switch field {
	case "virtual_service":
		return "service"
	case "headers":
		return "header"
	}
	return strings.ReplaceAll(field, "_", "-")
}

func questionOptions(fields ...string) []option {
	var out []option
	for _, name := range fields {
		f, _ := appliance.FieldOf("question", name)
		o := option{Name: flagOf(name), Value: "TEXT", Help: f.Help}
		switch name {
		case "client", "proxy":
			o.Value = "ADDRESS"
		case "listener":
			o.Value = "ADDRESS:PORT"
		case "virtual_service":
			o.Value = "SERVICE"
		case "headers", "answer":
			o.Value, o.Help = "LINE", strings.Replace(o.Help, "one a line", "may be repeated", 1)
		}
		out = append(out, o)
	}
	return out
}

// question reads the flags. A URL may stand without its flag.
func (s *session) question(url string) (appliance.Question, error) {
	q, errs := appliance.ReadQuestion(func(field string) string {
		if field == "url" && url != "" {
			return url
		}
		return strings.Join(s.flags[flagOf(field)], "\n")
	})
	for _, e := range errs {
		e.Field = "--" + flagOf(e.Field)
	}
	if len(errs) > 0 {
		return q, errs
	}
	return q, nil
}

func explain(s *session) error {
	url := ""
	if len(s.args) == 1 {
		url = s.args[0]
	}
	q, err := s.question(url)
	if err != nil {
		return err
	}
	return s.explained(s.client.do(s.ctx, "POST", "/explain", nil, q, ""))
}

func tryRules(s *session) error {
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	s.flags["service"] = []string{v.Label}
	q, err := s.question("")
	if err != nil {
		return err
	}
	body := map[string]any{"request": q}
	if len(s.args) == 2 {
		list, err := s.rules(s.args[1])
		if err != nil {
			return err
		}
		body["rules"] = list
	}
	return s.explained(s.client.do(s.ctx, "POST", servicePath(v)+"/rules/try", nil, body, ""))
}

// explained prints an explanation.
func (s *session) explained(a answer, err error) error {
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var x appliance.Explanation
	if err := understand(a, &x); err != nil {
		return err
	}
	s.printf("%s\n", inert(x.Sentence))
	var rows [][]string
	for _, step := range x.Steps {
		rows = append(rows, []string{string(step.Mark), step.Subject, step.Sentence})
	}
	if rows != nil {
		s.printf("\n")
		s.table([]string{"", "STEP", ""}, rows)
	}
	s.explainedRules(x.Rules)
	if len(x.Candidates) > 0 {
		s.printf("\n")
		rows = nil
		for _, c := range x.Candidates {
			mark := ""
			if c.ID == x.ServerID {
				mark = "chosen"
			}
			rows = append(rows, []string{c.Label, mark, string(c.State), string(cmp.Or(c.Health, appliance.Unknown)), strconv.Itoa(c.Weight), strconv.FormatInt(c.Connections, 10), c.Sentence})
		}
		s.table([]string{"REAL SERVER", "", "STATE", "HEALTH", "WEIGHT", "CONNS", "FOR THIS CLIENT"}, rows)
	}
	for _, part := range [][2]string{{"The server gets:", x.Sent}, {"The client gets:", x.Answer}} {
		if part[1] == "" {
			continue
		}
		s.printf("\n%s\n", part[0])
		for line := range strings.Lines(strings.TrimSpace(part[1])) {
			s.printf("  %s\n", inert(strings.TrimRight(line, "\r\n")))
		}
	}
	return nil
}

func (s *session) explainedRules(list []appliance.RuleTrial) {
	if len(list) == 0 {
		return
	}
	s.printf("\n")
	rows := make([][]string, len(list))
	for i, r := range list {
		held := "-"
		if r.Held {
			held = "holds"
		}
		rows[i] = []string{strconv.Itoa(r.Number), r.Label, held, r.Sentence}
	}
	s.table([]string{"", "RULE", "", ""}, rows)
}
