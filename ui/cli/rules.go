package cli

import (
	"encoding/json"
	"strconv"

	"evenkeel/appliance"
)

func ruleCommands() []command {
	return []command{
		{Name: "rules", Args: []string{"SERVICE"}, Summary: "the rules of a service, in order; with --json as rules set takes them", Example: []string{"rules WEB", "rules WEB --json"}, do: listRules},
		{
			Name: "rules set", Args: []string{"SERVICE", "FILE"}, Summary: "replace the rules of a service by a JSON list from a file, or - for standard input", Changes: true,
			Example: []string{"rules set WEB rules.json --dry-run", "rules set WEB rules.json --apply"}, do: setRules,
		},
	}
}

func listRules(s *session) error {
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	if s.flagged("json") {
		if v.Rules == nil {
			v.Rules = []appliance.Rule{}
		}
		text, err := json.Marshal(v.Rules)
		return s.orJSON(answer{body: text}, err)
	}
	if len(v.Rules) == 0 {
		s.printf("%s has no rules: every request is served alike.\n", inert(v.Label))
		return nil
	}
	all, _, err := get[[]appliance.VirtualService](s, "/virtual-services")
	if err != nil {
		return err
	}
	names := appliance.Cluster{VirtualServices: all}
	rows := make([][]string, len(v.Rules))
	for i, r := range v.Rules {
		state := ""
		if r.Disabled {
			state = "off"
		}
		rows[i] = []string{strconv.Itoa(i + 1), r.Label, state, r.Conditions(), r.Actions(names.NameOf)}
	}
	s.table([]string{"", "RULE", "", "WHEN", "THEN"}, rows)
	return nil
}

// rules reads the file that holds a list of rules.
func (s *session) rules(file string) ([]json.RawMessage, error) {
	text, err := s.file(file)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, appliance.Refuse("rules", "%s holds no JSON list of rules.", file)
	}
	return list, nil
}

func setRules(s *session) error {
	list, err := s.rules(s.args[1])
	if err != nil {
		return err
	}
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	return s.change("PATCH", servicePath(v), map[string]any{"rules": list}, tag(v), "Changed the rules of "+v.Label+".")
}
