package cli

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"time"

	"evenkeel/appliance"
)

func rememberedCommands() []command {
	chosen := []option{
		{Name: "service", Value: "SERVICE", Help: "Only this service."},
		{Name: "server", Value: "SERVER", Help: "Only this real server of the service."},
		{Name: "client", Value: "ADDRESS", Help: "Only this client, or the clients of a network such as 10.0.0.0/8."},
		{Name: "key", Value: "KEY", Help: "Only the entry with this key."},
		{Name: "text", Value: "TEXT", Help: "Only entries with this in the key or in a label, or of a client that showed exactly this."},
	}
	return []command{
		{
			Name: "persistence", Summary: "which client comes back to which server", Flags: append(slices.Clone(chosen),
				option{Name: "sort", Value: "COLUMN", Help: "key, service, server, age or expires."}, option{Name: "reverse", Help: "The other way round."},
				option{Name: "offset", Value: "N", Help: "Skip so many."}, option{Name: "limit", Value: "N", Help: "At most so many; 1000 when absent."}),
			Example: []string{"persistence --service HL7", "persistence --text 10.0.0 --sort age --reverse --limit 20"}, do: listPersistence,
		},
		{
			Name: "persistence clear", Summary: "forget which client comes back to which server", Flags: append(slices.Clone(chosen), option{Name: "all", Help: "Of every service."}, whyOption()),
			Example: []string{"persistence clear --service HL7 --client 10.0.0.7"}, do: clearPersistence,
		},
	}
}

// copied puts the flags of these names into a query as they are.
func (s *session) copied(query url.Values, names ...string) {
	for _, name := range names {
		if s.flagged(name) {
			query.Set(name, cmp.Or(s.flag(name), "true"))
		}
	}
}

func listPersistence(s *session) error {
	query, err := s.chosen()
	if err != nil {
		return err
	}
	s.copied(query, "sort", "reverse", "offset", "limit")
	a, err := s.client.do(s.ctx, "GET", "/persistence", query, nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var list []appliance.PersistenceEntry
	if err := understand(a, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		s.printf("No client is remembered.\n")
		return nil
	}
	labels, err := s.labels()
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, e := range list {
		rows[i] = []string{cmp.Or(labels[e.ServiceID], e.ServiceID), e.Key, cmp.Or(labels[e.ServerID], e.ServerID), e.Age.Round(time.Second).String(), e.Remaining.Round(time.Second).String()}
	}
	s.table([]string{"SERVICE", "CLIENT", "REAL SERVER", "SINCE", "REMAINING"}, rows)
	s.rest(a, len(list))
	return nil
}

// rest says how many rows were not shown.
func (s *session) rest(a answer, shown int) {
	if total, err := strconv.Atoi(a.header.Get("Total-Count")); err == nil && total > shown {
		s.printf("%d of %d shown.\n", shown, total)
	}
}

// labels returns the labels of services and servers by id.
func (s *session) labels() (map[string]string, error) {
	services, _, err := get[[]appliance.VirtualService](s, "/virtual-services")
	out := map[string]string{}
	for _, v := range services {
		out[v.ID] = v.Label
		for _, r := range v.RealServers {
			out[r.ID] = r.Label
		}
	}
	return out, err
}

func clearPersistence(s *session) error {
	query, err := s.chosen()
	if err != nil {
		return err
	}
	if s.flagged("why") {
		query.Set("why", s.flag("why"))
	}
	if s.flagged("all") {
		query.Set("all", "true")
	}
	a, err := s.client.do(s.ctx, "DELETE", "/persistence", query, nil, "")
	if err != nil {
		return err
	}
	var gone struct {
		Cleared int `json:"cleared"`
	}
	if err := understand(a, &gone); err != nil {
		return err
	}
	if s.flagged("json") {
		return s.json(a.body)
	}
	s.printf("Entries forgotten: %d.\n", gone.Cleared)
	return nil
}

// chosen is the query of the persistence flags.
func (s *session) chosen() (url.Values, error) {
	query := pairs("client", s.flag("client"), "key", s.flag("key"), "text", s.flag("text"))
	if !s.flagged("service") {
		if s.flagged("server") {
			return nil, s.misused("--server needs --service")
		}
		return query, nil
	}
	v, err := s.service(s.flag("service"))
	if err != nil {
		return nil, err
	}
	query.Set("service", v.ID)
	if s.flagged("server") {
		r, err := serverOf(v, s.flag("server"))
		if err != nil {
			return nil, err
		}
		query.Set("server", r.ID)
	}
	return query, nil
}
