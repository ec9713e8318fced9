package cli

import (
	"bufio"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"evenkeel/appliance"
)

func listUsers(s *session) error {
	list, a, err := get[[]appliance.Operator](s, "/users")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("There is no user yet: the setup was not done.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, o := range list {
		rows[i] = []string{o.Name, string(o.Role), moment(o.Created)}
	}
	s.table([]string{"USER", "ROLE", "CREATED"}, rows)
	return nil
}

// password reads one line of standard input.
func (s *session) password() (string, error) {
	if !s.flagged("password-stdin") {
		return "", s.misused("give the password on standard input and say --password-stdin")
	}
	line, err := bufio.NewReader(s.stdin).ReadString('\n')
	if err != nil && line == "" {
		return "", appliance.Refuse("password", "There is no password on standard input.")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// plainly sends what is not a commit, and says what was done.
func (s *session) plainly(method, path string, body any, done string) error {
	return s.guardedly(method, path, body, "", done)
}

// guardedly is plainly for an object that must be as it was read.
func (s *session) guardedly(method, path string, body any, ifMatch, done string) error {
	a, err := s.client.do(s.ctx, method, path, pairs("why", s.flag("why")), body, ifMatch)
	switch {
	case err != nil:
		return err
	case s.flagged("json") && len(a.body) > 0:
		return s.json(a.body)
	case s.flagged("json"):
		s.printf("{}\n")
	default:
		s.printf("%s\n", inert(done))
	}
	return nil
}

func userPath(name string) string { return "/users/" + url.PathEscape(name) }

func addUser(s *session) error {
	if !s.flagged("role") {
		return s.misused("say what the user may do: --role administrator, operator or viewer")
	}
	password, err := s.password()
	if err != nil {
		return err
	}
	body := map[string]any{"name": s.args[0], "role": s.flag("role"), "password": password}
	return s.plainly("POST", "/users", body, "Made the user "+s.args[0]+".")
}

func setRole(s *session) error {
	return s.plainly("PUT", userPath(s.args[0])+"/role", map[string]any{"role": s.args[1]}, s.args[0]+" is "+s.args[1]+" now.")
}

func setPassword(s *session) error {
	password, err := s.password()
	if err != nil {
		return err
	}
	return s.plainly("PUT", userPath(s.args[0])+"/password", map[string]any{"password": password}, "Changed the password of "+s.args[0]+".")
}

func deleteUser(s *session) error {
	return s.plainly("DELETE", userPath(s.args[0]), nil, "Removed the user "+s.args[0]+".")
}

// token is what the interface tells of a token.
type token struct {
	ID       string         `json:"id"`
	Label    string         `json:"label"`
	Operator string         `json:"operator"`
	Role     appliance.Role `json:"role"`
	Created  time.Time      `json:"created"`
	Expires  time.Time      `json:"expires"`
	Secret   string         `json:"token"`
}

func listTokens(s *session) error {
	list, a, err := get[[]token](s, "/tokens")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("There is no token.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, t := range list {
		expires := moment(t.Expires)
		if expires == "" {
			expires = "never"
		}
		rows[i] = []string{t.Label, t.Operator, string(t.Role), moment(t.Created), expires, t.ID}
	}
	s.table([]string{"TOKEN", "USER", "ROLE", "CREATED", "EXPIRES", "ID"}, rows)
	return nil
}

func addToken(s *session) error {
	if !s.flagged("user") || !s.flagged("role") {
		return s.misused("say whose token it is and what it may do: --user NAME --role ROLE")
	}
	body := map[string]any{"label": s.args[0], "role": s.flag("role"), "operator": s.flag("user")}
	if s.flagged("life") {
		body["life"] = s.flag("life")
	}
	a, err := s.client.do(s.ctx, "POST", "/tokens", pairs("why", s.flag("why")), body, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var t token
	if err := understand(a, &t); err != nil {
		return err
	}
	s.printf("%s\n", t.Secret)
	return nil
}

func deleteToken(s *session) error {
	list, _, err := get[[]token](s, "/tokens")
	if err != nil {
		return err
	}
	t, err := pick(list, s.args[0], func(t token) (string, string) { return t.ID, t.Label })
	if err != nil {
		return named(err, "token", s.args[0])
	}
	return s.plainly("DELETE", "/tokens/"+url.PathEscape(t.ID), nil, "Ended the token "+t.Label+".")
}

func listScripts(s *session) error {
	list, a, err := get[[]appliance.Script](s, "/scripts")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("There is no health check script.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, v := range list {
		first, _, _ := strings.Cut(v.Body, "\n")
		rows[i] = []string{v.Label, first, v.ID}
	}
	s.table([]string{"SCRIPT", "INTERPRETER", "ID"}, rows)
	return nil
}

func showScript(s *session) error {
	v, err := s.script(s.args[0])
	if err != nil {
		return err
	}
	if s.flagged("json") {
		text, err := json.Marshal(v)
		return s.orJSON(answer{body: text}, err)
	}
	s.out.WriteString(v.Body) // to the letter: it may go into a file
	return nil
}

func addScript(s *session) error {
	text, err := s.file(s.args[1])
	if err != nil {
		return err
	}
	return s.change("POST", "/scripts", map[string]any{"label": s.args[0], "body": string(text)}, "", "Added the script "+s.args[0]+".")
}

func setScript(s *session) error {
	text, err := s.file(s.args[1])
	if err != nil {
		return err
	}
	v, err := s.script(s.args[0])
	if err != nil {
		return err
	}
	return s.change("PATCH", "/scripts/"+url.PathEscape(v.ID), map[string]any{"body": string(text)}, tag(v), "Changed the script "+v.Label+".")
}

func deleteScript(s *session) error {
	v, err := s.script(s.args[0])
	if err != nil {
		return err
	}
	return s.change("DELETE", "/scripts/"+url.PathEscape(v.ID), nil, tag(v), "Removed the script "+v.Label+".")
}

func showSettings(s *session) error {
	v, a, err := get[appliance.Settings](s, "/settings")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	return s.flat(v)
}

func setSettings(s *session) error {
	patch, err := s.changes()
	if err != nil {
		return err
	}
	now, _, err := get[appliance.Settings](s, "/settings")
	if err != nil {
		return err
	}
	fresh, err := merged(now, patch)
	if err != nil {
		return err
	}
	return s.change("PUT", "/settings", fresh, tag(now), "Changed the settings.")
}
