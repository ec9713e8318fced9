package cli

import (
	"net/url"

	"evenkeel/appliance"
)

func listForks(s *session) error {
	list, a, err := get[[]appliance.Fork](s, "/forks")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("Nothing was set aside on this node.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, f := range list {
		rows[i] = []string{f.ID, map[bool]string{true: "kept", false: "not seen yet"}[f.Seen], f.Sentence("this node")}
	}
	s.table([]string{"ID", "STATE", "WHAT"}, rows)
	return nil
}

func (s *session) fork() string { return "/forks/" + url.PathEscape(s.args[0]) }

func showFork(s *session) error {
	f, a, err := get[struct {
		appliance.Fork
		Changes []appliance.Change `json:"changes"`
	}](s, s.fork())
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	s.printf("%s\n", inert(f.Sentence("this node")))
	if len(f.Changes) == 0 {
		s.printf("What runs is the same.\n")
		return nil
	}
	rows := make([][]string, len(f.Changes))
	for i, c := range f.Changes {
		rows[i] = []string{effect(c.Effect), c.Sentence()}
	}
	s.table([]string{"CONNECTIONS", "CHANGE"}, rows)
	return nil
}

func keepFork(s *session) error {
	a, err := s.client.do(s.ctx, "POST", s.fork()+"/keep", pairs("why", s.flag("why")), nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	s.printf("What was set aside is kept, and the alarm has ended.\n")
	return nil
}

func discardFork(s *session) error {
	if _, err := s.client.do(s.ctx, "DELETE", s.fork(), pairs("why", s.flag("why")), nil, ""); err != nil {
		return err
	}
	s.printf("What was set aside is discarded.\n")
	return nil
}
