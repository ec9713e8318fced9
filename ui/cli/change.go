package cli

import (
	"evenkeel/appliance"
)

// plan is the difference as the interface writes it.
type plan struct {
	From      int64              `json:"from"`
	To        int64              `json:"to"`
	Unchanged bool               `json:"unchanged"`
	Summary   string             `json:"summary"`
	Changes   []appliance.Change `json:"changes"`
}

// change sends an edit and says what came of it: done is the sentence for people.
func (s *session) change(method, path string, body any, ifMatch, done string) error {
	a, err := s.client.do(s.ctx, method, path, s.committing(), body, ifMatch)
	if err != nil {
		return err
	}
	if s.flagged("dry-run") {
		return s.showPlan(a, "Nothing would change.")
	}
	if s.flagged("json") {
		if len(a.body) == 0 {
			s.printf("{}\n")
			return nil
		}
		return s.json(a.body)
	}
	return s.saved(a, done)
}

// saved says under which number it is saved, and that it does not run yet when that is so.
func (s *session) saved(a answer, done string) error {
	s.printf("%s Saved as revision %s.\n", inert(done), a.header.Get("Revision"))
	pending, _, err := get[plan](s, "/pending")
	if err == nil && !pending.Unchanged {
		s.printf("It does not run yet: %s apply\n", program)
	}
	return err
}

// showPlan writes a plan, object by object, with what it does to open connections.
func (s *session) showPlan(a answer, none string) error {
	if s.flagged("json") {
		return s.json(a.body)
	}
	var p plan
	if err := understand(a, &p); err != nil {
		return err
	}
	if p.Unchanged {
		s.printf("%s\n", none)
		return nil
	}
	rows := make([][]string, len(p.Changes))
	for i, c := range p.Changes {
		rows[i] = []string{effect(c.Effect), c.Sentence()}
	}
	s.table([]string{"CONNECTIONS", "CHANGE"}, rows)
	return nil
}

func effect(e appliance.Effect) string {
	switch e {
	case appliance.Keeps:
		return "stay"
	case appliance.Drains:
		return "finish"
	case appliance.Ends:
		return "end"
	}
	return string(e)
}

func addService(s *session) error {
	patch, err := s.serviceFields()
	if err != nil {
		return err
	}
	patch["label"] = s.args[0]
	var servers []any
	for _, text := range s.flags["server"] {
		r, err := s.parseServer(text)
		if err != nil {
			return err
		}
		servers = append(servers, r)
	}
	if servers != nil {
		patch["real_servers"] = servers
	}
	return s.change("POST", "/virtual-services", without(patch), "", "Added the service "+s.args[0]+".")
}

// without drops what an empty value asked for: in a new object that is the default anyway.
func without(patch map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range patch {
		if inner, isObject := v.(map[string]any); isObject {
			v = without(inner)
		}
		if v != nil {
			out[name] = v
		}
	}
	return out
}

func setService(s *session) error {
	patch, err := s.serviceFields()
	if err == nil && len(patch) == 0 {
		err = s.nothingToChange()
	}
	if err != nil {
		return err
	}
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	return s.change("PATCH", servicePath(v), patch, tag(v), "Changed the service "+v.Label+".")
}

// changes is what the field flags ask for, and must be something.
func (s *session) changes() (map[string]any, error) {
	patch, err := s.fields()
	if err == nil && len(patch) == 0 {
		err = s.nothingToChange()
	}
	return patch, err
}

func (s *session) nothingToChange() error {
	return s.misused("say what to change, for example with --field PATH=VALUE")
}

// serviceFields is fields, where a health check script may be named by its label.
func (s *session) serviceFields() (map[string]any, error) {
	patch, err := s.fields()
	check, _ := patch["check"].(map[string]any)
	if name, named := check["script"].(string); err == nil && named {
		script, err := s.script(name)
		if err != nil {
			return nil, err
		}
		check["script"] = script.ID
	}
	if err == nil {
		err = s.certificateIDs(patch)
	}
	return patch, err
}

func cloneService(s *session) error {
	patch, err := s.serviceFields()
	if err != nil {
		return err
	}
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	body, err := copyOf(v, s.args[1], patch)
	if err != nil {
		return err
	}
	return s.change("POST", "/virtual-services", body, "", "Added the service "+s.args[1]+" as a copy of "+v.Label+".")
}

func deleteService(s *session) error {
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	return s.change("DELETE", servicePath(v), nil, tag(v), "Removed the service "+v.Label+".")
}

func addServer(s *session) error {
	patch, err := s.fields()
	if err != nil {
		return err
	}
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	patch["label"] = s.args[1]
	return s.change("POST", servicePath(v)+"/real-servers", without(patch), "", "Added the real server "+s.args[1]+" to "+v.Label+".")
}

func setServer(s *session) error {
	patch, err := s.changes()
	if err != nil {
		return err
	}
	v, r, err := s.server()
	if err != nil {
		return err
	}
	return s.change("PATCH", serverPath(v, r), patch, tag(r), "Changed the real server "+r.Label+" of "+v.Label+".")
}

func deleteServer(s *session) error {
	v, r, err := s.server()
	if err != nil {
		return err
	}
	return s.change("DELETE", serverPath(v, r), nil, tag(r), "Removed the real server "+r.Label+" from "+v.Label+".")
}

// serverState is what the interface tells of one real server.
type serverState struct {
	State   appliance.State         `json:"state"`
	Weight  int                     `json:"weight"`
	Running *appliance.ServerStatus `json:"running"`

	Warnings []string `json:"warnings"`
}

func stateTo(state string) func(*session) error {
	return func(s *session) error {
		want := map[string]any{"state": state}
		if limit := s.flag("limit"); limit != "" {
			want["limit"] = limit
		}
		return s.act(want)
	}
}

func weigh(s *session) error {
	n, err := s.number(s.args[2], "the weight")
	if err != nil {
		return err
	}
	return s.act(map[string]any{"weight": jsonNumber(n)})
}

// act does something to a live server and says what that means for its clients.
func (s *session) act(want map[string]any) error {
	v, r, err := s.server()
	if err != nil {
		return err
	}
	a, err := s.client.do(s.ctx, "PUT", serverPath(v, r)+"/state", pairs("why", s.flag("why")), want, "")
	if err != nil {
		return err
	}
	if s.flagged("json") {
		return s.json(a.body)
	}
	var now serverState
	if err := understand(a, &now); err != nil {
		return err
	}
	s.printf("%s of %s: %s, weight %d.", r.Label, v.Label, now.State, now.Weight)
	switch {
	case now.Running == nil:
		s.printf(" It does not run yet: %s apply", program)
	case now.State == appliance.Online:
		s.printf("%s", byAgent(now.Running))
	case now.Running.Connections == 0:
		s.printf(" No connection is open: safe to power off.")
	case now.Running.Connections == 1:
		s.printf(" 1 connection is still open.")
	default:
		s.printf(" %d connections are still open.", now.Running.Connections)
	}
	if now.Running != nil && now.State == appliance.Drain && now.Running.PersistenceEntries > 0 {
		s.printf(" Clients that would still come back to it: %d.", now.Running.PersistenceEntries)
	}
	s.printf("\n")
	for _, warning := range now.Warnings {
		s.printf("Warning: %s\n", inert(warning))
	}
	return nil
}

// byAgent says that a server which is online gets no new clients all the same: its own agent says so.
func byAgent(r *appliance.ServerStatus) string {
	if !r.Held() {
		return ""
	}
	return " It gets no new clients all the same. " + inert(r.Agent.Sentence)
}

func apply(s *session) error {
	a, err := s.client.do(s.ctx, "POST", "/apply", pairs("why", s.flag("why")), nil, "")
	if err != nil {
		return err
	}
	if s.flagged("json") {
		return s.json(a.body)
	}
	var r appliance.Revision
	if err := understand(a, &r); err != nil {
		return err
	}
	s.printf("Revision %d runs.\n", r.Number)
	return nil
}

func discard(s *session) error {
	a, err := s.client.do(s.ctx, "POST", "/discard", pairs("why", s.flag("why")), nil, "")
	if err != nil {
		return err
	}
	return s.showPlan(a, "Nothing was pending.")
}

func rollback(s *session) error {
	n, err := s.number(s.args[0], "a revision")
	if err != nil {
		return err
	}
	a, err := s.client.do(s.ctx, "POST", "/revisions/"+n+"/rollback", s.committing(), nil, "")
	if err != nil {
		return err
	}
	if s.flagged("dry-run") || s.flagged("json") {
		return s.showPlan(a, "Nothing would change.")
	}
	if err := s.showPlan(a, "Nothing differs."); err != nil {
		return err
	}
	return s.saved(a, "Back to the content of revision "+n+".")
}
