package ui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/signin"
	"evenkeel/ui/view"
)

const passwordsPath = "/lbadmin/passwords"

func passwords(p *page) error { return p.showPeople(http.StatusOK, view.People{}) }

func (p *page) showPeople(status int, v view.People) error {
	v.Me, v.MyRole, v.ReadOnly = p.operator.Name, p.operator.Role, p.ui.Control.Writable() != nil
	admin := p.holds(appliance.Administrator)
	if admin {
		list, err := p.ui.Store.Operators(p.ctx())
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b appliance.Operator) int { return cmp.Compare(a.Name, b.Name) })
		for _, o := range list {
			v.Users = append(v.Users, view.User{Name: o.Name, Role: o.Role, Created: o.Created, Me: o.Name == p.operator.Name})
		}
	}
	sessions, err := p.ui.Door.Sessions(p.ctx(), p.operator.Name)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		id := signin.IDOf(s)
		v.Sessions = append(v.Sessions, view.Session{ID: id, Created: s.Created, Seen: s.Seen, From: view.Address(s.From), Agent: s.UserAgent, This: id == signin.SessionID(p.Request())})
	}
	tokens, err := p.ui.Store.Tokens(p.ctx())
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if admin || t.Operator == p.operator.Name {
			v.Tokens = append(v.Tokens, view.Token{ID: t.ID, Label: t.Label, Operator: t.Operator, Role: t.Role, Created: t.Created, Expires: t.Expires})
		}
	}
	if p.exporting() {
		return p.exportPeople(v)
	}
	f := p.frame("Passwords", passwordsPath)
	f.Narrow = true
	return p.show(status, view.PeoplePage(f, v))
}

// exportPeople sends the users, or the tokens without what makes them work.
func (p *page) exportPeople(v view.People) error {
	users := list{name: "users", columns: []string{"name", "role", "created"}}
	tokens := list{name: "tokens", columns: []string{"id", "label", "user", "role", "created", "expires"}}
	for _, u := range v.Users {
		users.add(u.Name, string(u.Role), u.Created)
	}
	for _, t := range v.Tokens {
		tokens.add(t.ID, t.Label, t.Operator, string(t.Role), t.Created, t.Expires)
	}
	switch {
	case p.QueryParam("list") == "tokens":
		return p.export(tokens)
	case p.QueryParam("list") == "users" && p.holds(appliance.Administrator):
		return p.export(users)
	}
	return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such list."}
}

func known(paths ...string) func(string) bool {
	return func(path string) bool { return slices.Contains(paths, path) }
}

// refusedPeople shows the page again when a field is at fault.
func (p *page) refusedPeople(err error, v *view.People, at *form.Errors, paths ...string) error {
	if kind := appliance.KindOf(err); kind == appliance.Internal || kind == appliance.NotFound {
		return err
	}
	*at = form.Sort(err, "", known(paths...))
	return p.showPeople(http.StatusUnprocessableEntity, *v)
}

func changeOwnPassword(p *page) error {
	var v view.People
	if p.FormValue("new") != p.FormValue("again") {
		return p.refusedPeople(appliance.Refuse("again", "The two passwords differ."), &v, &v.Own, "again")
	}
	err := p.ui.Door.ChangePassword(p.ctx(), p.origin, p.operator.Name, p.FormValue("old"), p.FormValue("new"))
	if err != nil {
		var own form.Errors
		if kind := appliance.KindOf(err); kind == appliance.Internal {
			return err
		}
		own = form.Sort(err, "", known("old", "new", "again"))
		v.Own = own
		return p.showPeople(http.StatusUnprocessableEntity, v)
	}
	return p.see("/lbadmin/sign-in?note=password")
}

func addUser(p *page) error {
	name, role := strings.TrimSpace(p.FormValue("name")), appliance.Role(p.FormValue("role"))
	err := p.ui.Door.NewOperator(p.ctx(), p.origin, name, role, p.FormValue("new"))
	if err == nil {
		return p.done(passwordsPath, "%s can sign in now.", name)
	}
	v := view.People{Typed: form.Values{"name": typed(p, "name"), "role": string(role)}}
	if kind := appliance.KindOf(err); kind == appliance.Internal {
		return err
	}
	v.New = form.Sort(err, "", known("name", "role", "new"))
	return p.showPeople(http.StatusUnprocessableEntity, v)
}

// endSessions ends one of the own sessions, or all but the one that asks.
func endSessions(p *page) error {
	this, one := signin.SessionID(p.Request()), p.FormValue("session")
	n, err := p.ui.Door.EndSessions(p.ctx(), p.origin, p.operator.Name, func(id string) bool {
		return id != this && (one == id || p.FormValue("do") == "others")
	})
	if err != nil {
		return err
	}
	if n == 0 && one != "" {
		return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such session.", Hint: "It may have ended meanwhile."}
	}
	return p.done(passwordsPath, "%s ended.", view.Plural(n, "session"))
}

// user finds another user than the own; nobody takes his own rights away by accident.
func (p *page) user() (view.User, error) {
	list, err := p.ui.Store.Operators(p.ctx())
	if err != nil {
		return view.User{}, err
	}
	name := p.Param("user")
	if name == p.operator.Name {
		return view.User{}, &appliance.Error{Kind: appliance.Conflict, Message: "This is your own account.", Hint: "Another administrator can change it."}
	}
	for _, o := range list {
		if o.Name == name {
			return view.User{Name: o.Name, Role: o.Role, Created: o.Created}, nil
		}
	}
	return view.User{}, &appliance.Error{Kind: appliance.NotFound, Message: "There is no such user."}
}

func editUser(p *page) error {
	u, err := p.user()
	if err != nil {
		return err
	}
	f := p.frame(u.Name, passwordsPath)
	f.Narrow = true
	return p.show(http.StatusOK, view.UserPage(f, u, nil))
}

func saveUser(p *page) error {
	u, err := p.user()
	if err != nil {
		return err
	}
	done := ""
	switch p.FormValue("do") {
	case "role":
		done = "The role of %s is changed."
		role := appliance.Role(p.FormValue("role"))
		if !role.Valid() {
			err = appliance.Refuse("role", "Choose a role.")
			break
		}
		if err = p.ui.Store.SetRole(p.ctx(), p.origin, u.Name, role); err == nil {
			err = p.ui.Store.DeleteSessionsOf(p.ctx(), u.Name)
		}
	case "password":
		done = "The password of %s is changed."
		err = p.ui.Door.SetPassword(p.ctx(), p.origin, u.Name, p.FormValue("new"))
	case "delete":
		done = "%s is deleted."
		err = p.ui.Store.DeleteOperator(p.ctx(), p.origin, u.Name)
	default:
		err = appliance.Refuse("", "Choose what to change.")
	}
	if err == nil {
		return p.done(passwordsPath, done, u.Name)
	}
	if kind := appliance.KindOf(err); kind == appliance.Internal || kind == appliance.NotFound {
		return err
	}
	f := p.frame(u.Name, passwordsPath)
	f.Narrow = true
	return p.show(http.StatusUnprocessableEntity, view.UserPage(f, u, form.Sort(err, "", known("role", "new"))))
}

func addToken(p *page) error {
	var v view.People
	life := time.Duration(0)
	if text := strings.TrimSpace(p.FormValue("days")); text != "" {
		days, err := strconv.Atoi(text)
		if err != nil || days < 1 || days > 3650 {
			v.TokenForm = form.Sort(appliance.Refuse("days", "Write a number of days, 1 to 3650, or nothing."), "", known("days"))
			return p.showPeople(http.StatusUnprocessableEntity, v)
		}
		life = time.Duration(days) * 24 * time.Hour
	}
	secret, _, err := p.ui.Door.NewToken(p.ctx(), p.origin, p.operator, p.FormValue("label"), appliance.Role(p.FormValue("role")), life)
	if err != nil {
		if appliance.KindOf(err) == appliance.Internal {
			return err
		}
		v.TokenForm = form.Sort(err, "", known("label", "role"))
		return p.showPeople(http.StatusUnprocessableEntity, v)
	}
	v.Fresh = secret
	return p.showPeople(http.StatusOK, v) // shown once, so no redirect
}

// deleteToken removes an own token; administrators remove any.
func deleteToken(p *page) error {
	tokens, err := p.ui.Store.Tokens(p.ctx())
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if t.ID == p.Param("token") && (t.Operator == p.operator.Name || p.holds(appliance.Administrator)) {
			if err := p.ui.Store.DeleteToken(p.ctx(), p.origin, t.ID); err != nil {
				return err
			}
			return p.done(passwordsPath, "The token %s is deleted.", t.Label)
		}
	}
	return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such token."}
}
