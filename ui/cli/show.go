package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
)

func showStatus(s *session) error {
	seen, a, err := get[appliance.Status](s, "/status")
	if err != nil {
		return err
	}
	saved, _, err := get[[]appliance.VirtualService](s, "/virtual-services")
	if err != nil {
		return err
	}
	if len(s.args) == 1 {
		v, err := pick(seen.Services, s.args[0], func(v appliance.ServiceStatus) (string, string) { return v.ID, v.Label })
		if err := named(err, "running virtual service", s.args[0]); err != nil {
			return err
		}
		seen.Services = []appliance.ServiceStatus{v}
		if s.flagged("json") {
			if _, a, err = get[appliance.Status](s, "/status", "service", v.ID); err != nil {
				return err
			}
		}
	}
	if s.flagged("json") {
		return s.json(a.body)
	}
	places := placesOf(saved)
	var rows [][]string
	for _, v := range seen.Services {
		at := places[v.ID]
		rows = append(rows, []string{v.Label, at[0], at[1], string(v.Health), "", strconv.Itoa(v.Connections), v.Sentence})
		for _, r := range v.Servers {
			at := places[r.ID]
			rows = append(rows, []string{"  " + r.Label, at[0], at[1], serverWord(r), strconv.Itoa(r.Weight), strconv.Itoa(r.Connections), reason(r)})
		}
	}
	for _, v := range saved {
		if _, runs := seen.Service(v.ID); !runs && len(s.args) == 0 {
			at := places[v.ID]
			rows = append(rows, []string{v.Label, at[0], at[1], "not running", "", "", "Saved, and not applied yet."})
		}
	}
	if rows == nil {
		s.printf("No service runs. Add one: %s service add --help\n", program)
		return nil
	}
	s.table([]string{"SERVICE", "IP", "PORTS", "STATE", "WEIGHT", "CONNS", "WHY"}, rows)
	return nil
}

// placesOf tells address and ports of every service and real server, by id.
func placesOf(saved []appliance.VirtualService) map[string][2]string {
	out := map[string][2]string{}
	for _, v := range saved {
		address, ports := v.Place()
		out[v.ID] = [2]string{address, ports}
		for _, r := range v.RealServers {
			out[r.ID] = [2]string{string(r.Address), none(r.Port, ports)}
		}
	}
	return out
}

// reason says why a server is as it is: what its check sees, and what its agent says.
func reason(r appliance.ServerStatus) string {
	if r.Agent == nil || r.Agent.Down {
		return r.Check.Sentence
	}
	return strings.TrimSpace(r.Check.Sentence + " " + r.Agent.Sentence)
}

// serverWord is the state of a server in words: what we see, and what the operator wants when that is not online.
func serverWord(r appliance.ServerStatus) string {
	word := string(cmp.Or(r.Check.Health, appliance.Unknown))
	if r.State != appliance.Online {
		word += ", " + string(r.State)
	} else if r.Held() {
		word += ", " + string(r.Agent.State) + " by its agent"
	}
	return word
}

func listServices(s *session) error {
	list, a, err := get[[]appliance.VirtualService](s, "/virtual-services")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("There is no service yet. Add one: %s service add --help\n", program)
		return nil
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		address, ports := v.Place()
		rows[i] = []string{v.Label, address, ports, v.Protocol.String(), v.Scheduler.String(), v.Persistence.Kind.String(), v.Monitor.Kind.String(), strconv.Itoa(len(v.RealServers)), v.ID}
	}
	s.table([]string{"SERVICE", "IP", "PORTS", "PROTOCOL", "BALANCE MODE", "PERSISTENCE", "CHECK", "SERVERS", "ID"}, rows)
	return nil
}

// orJSON ends a command whose answer is shown as it came.
func (s *session) orJSON(a answer, err error) error {
	if err != nil {
		return err
	}
	return s.json(a.body)
}

func showService(s *session) error {
	v, err := s.service(s.args[0])
	if err != nil {
		return err
	}
	a, err := s.client.do(s.ctx, "GET", servicePath(v), nil, nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if err := s.flat(v); err != nil {
		return err
	}
	s.printf("\n")
	rows := make([][]string, len(v.RealServers))
	for i, r := range v.RealServers {
		rows[i] = []string{r.Label, string(r.Address), none(r.Port, "same"), strconv.Itoa(r.Weight), places(&r), string(r.State), r.ID}
	}
	s.table([]string{"REAL SERVER", "IP", "PORT", "WEIGHT", "MAX CONNS", "STATE", "ID"}, rows)
	return nil
}

// places says how many connections a server may have.
func places(r *appliance.RealServer) string {
	most := none(r.MaxConnections, "no limit")
	if r.MinConnections > 0 {
		return strconv.Itoa(r.MinConnections) + " to " + most
	}
	return most
}

func none[N int | uint16](n N, word string) string {
	if n == 0 {
		return word
	}
	return fmt.Sprint(n)
}

func testServer(s *session) error {
	v, r, err := s.server()
	if err != nil {
		return err
	}
	a, err := s.client.do(s.ctx, "POST", serverPath(v, r)+"/test", nil, nil, "")
	if err != nil {
		return err
	}
	var trial struct {
		appliance.Probe
		Transcript []string `json:"transcript"`
	}
	if err := understand(a, &trial); err != nil {
		return err
	}
	if s.flagged("json") {
		if err := s.json(a.body); err != nil {
			return err
		}
	} else {
		for _, line := range trial.Transcript {
			s.printf("%s\n", inert(line))
		}
		s.printf("%s: %s\n", map[bool]string{true: "good", false: "bad"}[trial.Good], inert(trial.Sentence))
	}
	if !trial.Good {
		return &appliance.Error{Kind: appliance.Unavailable, Message: fmt.Sprintf("The check of %s failed.", r.Label), Hint: trial.Sentence}
	}
	return nil
}

func listAlerts(s *session) error {
	list, a, err := get[[]appliance.Alert](s, "/alerts")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("No alerts.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, al := range list {
		rows[i] = []string{string(al.Severity), moment(al.Since), strings.TrimSpace(al.Sentence + " " + al.Hint)}
	}
	s.table([]string{"SEVERITY", "SINCE", "WHAT"}, rows)
	return nil
}

// moment is a time as people read it, in their own zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func showVersion(s *session) error {
	v, a, err := get[struct {
		Product  string `json:"product"`
		Version  string `json:"version"`
		Revision int64  `json:"revision"`
	}](s, "/version")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	s.printf("%s %s, revision %d\n", v.Product, v.Version, v.Revision)
	return nil
}

func showPending(s *session) error {
	a, err := s.client.do(s.ctx, "GET", "/pending", nil, nil, "")
	if err != nil {
		return err
	}
	return s.showPlan(a, "Nothing is pending: what is saved runs.")
}

func showDifference(s *session) error {
	n, err := s.number(s.args[0], "a revision")
	if err != nil {
		return err
	}
	a, err := s.client.do(s.ctx, "GET", "/revisions/"+n+"/diff", pairs("against", s.flag("against")), nil, "")
	if err != nil {
		return err
	}
	return s.showPlan(a, "Nothing differs.")
}

func listHistory(s *session) error {
	list, a, err := get[[]appliance.Revision](s, "/revisions", "limit", cmp.Or(s.flag("limit"), "20"), "before", s.flag("before"))
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	rows := make([][]string, len(list))
	for i, r := range list {
		rows[i] = []string{strconv.FormatInt(r.Number, 10), moment(r.At), outcome(r), who(r.Origin), why(why(r.Summary, r.Origin.Why), r.Reason)}
	}
	s.table([]string{"REVISION", "SAVED", "OUTCOME", "WHO", "WHAT"}, rows)
	return nil
}

// outcome says what became of a revision, as the page does: one that others followed before it was applied is not pending any more.
func outcome(r appliance.Revision) string {
	switch r.Outcome {
	case appliance.Pending:
		return "not applied"
	case appliance.Failed:
		return "refused"
	}
	return string(r.Outcome)
}

func who(o appliance.Origin) string {
	text := o.Operator + " (" + o.Via + ")"
	if o.From.IsValid() {
		text += " " + o.From.String()
	}
	return text
}

func why(text, reason string) string {
	if reason == "" {
		return text
	}
	return strings.TrimSpace(text + " – " + reason)
}

func listAudit(s *session) error {
	list, a, err := get[[]appliance.AuditEntry](s, "/audit", "limit", cmp.Or(s.flag("limit"), "20"), "before", s.flag("before"))
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	rows := make([][]string, len(list))
	for i, e := range list {
		rows[i] = []string{strconv.FormatInt(e.ID, 10), moment(e.At), who(e.Origin), e.Action, e.Outcome, why(strings.TrimSpace(e.Subject+" "+e.Detail), e.Origin.Why)}
	}
	s.table([]string{"ENTRY", "AT", "WHO", "ACTION", "OUTCOME", "WHAT"}, rows)
	return nil
}
