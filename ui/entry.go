package ui

import (
	"net/http"
	"strconv"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/signin"
	"evenkeel/ui/view"
)

func toStart(p *page) error { return p.Redirect(http.StatusFound, "/lbadmin/") }

func serveAsset(p *page) error {
	if !p.ui.assets.Serve(p.Response(), p.Request(), p.Param("file")) {
		return &appliance.Error{Kind: appliance.NotFound, Message: "There is no such file."}
	}
	return nil
}

func (p *page) entry(title string) view.Entry {
	return view.Entry{Title: title, Product: Product, Hostname: p.ui.hostname(), Theme: theme(p), Assets: p.ui.addresses(), Fields: map[string]string{}}
}

// refuseEntry puts an error at its field, or above the form, and returns the status.
func (p *page) refuseEntry(e *view.Entry, err error) int {
	status := problem.FormStatus(problem.KindOf(err))
	if wait, slowed := signin.RetryAfter(err); slowed {
		p.Response().Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds()+0.999)))
		status = http.StatusTooManyRequests
	}
	for _, one := range appliance.ErrorsOf(err) {
		switch {
		case one.Kind == appliance.Internal:
			p.ui.Log.Error("sign-in failed", "error", err)
			e.Error = problem.Of(err).Detail
		case one.Field != "":
			e.Fields[one.Field] = one.Text() + hinted(one)
		default:
			e.Error, e.Hint = one.Text(), one.Hint
		}
	}
	return status
}

func hinted(e *appliance.Error) string {
	if e.Hint == "" {
		return ""
	}
	return " " + e.Hint
}

func setupForm(p *page) error {
	return p.show(http.StatusOK, view.SetupCode(p.entry("Set up this appliance")))
}

// setUp takes the code, then code and password.
func setUp(p *page) error {
	e := p.entry("Set up this appliance")
	code, password := p.FormValue("code"), p.FormValue("new")
	if err := p.ui.Door.CheckCode(p.Request(), code); err != nil {
		return p.show(p.refuseEntry(&e, err), view.SetupCode(e))
	}
	e.Code = code
	if !p.Request().PostForm.Has("new") {
		return p.show(http.StatusOK, view.SetupPassword(e))
	}
	if password != p.FormValue("again") {
		e.Fields["again"] = "The two passwords differ."
		return p.show(http.StatusUnprocessableEntity, view.SetupPassword(e))
	}
	cookie, err := p.ui.Door.Setup(p.Request(), code, password)
	if err != nil {
		return p.show(p.refuseEntry(&e, err), view.SetupPassword(e))
	}
	p.SetCookie(cookie)
	return p.see("/lbadmin/")
}

func signInForm(p *page) error {
	then := back(p.QueryParam("then"))
	if _, _, err := p.ui.Door.Identify(p.Request()); err == nil {
		return p.see(then)
	}
	e := p.entry("Sign in")
	e.Then = then
	switch note := p.QueryParam("note"); {
	case note == "out":
		e.Note = "You are signed out."
	case note == "password":
		e.Note = "The password is changed. All sessions of this user have ended; sign in with the new one."
	case p.ui.Door.Replaced(p.Request()):
		e.Note = "You were signed out because this node now takes its users from the pair: sign in with a user and password of the pair."
	}
	return p.show(http.StatusOK, view.SignIn(e))
}

func signIn(p *page) error {
	e := p.entry("Sign in")
	e.Name, e.Then = p.FormValue("name"), back(p.FormValue("then"))
	if len(e.Name) > 64 {
		e.Name = ""
	}
	cookie, _, err := p.ui.Door.SignIn(p.Request(), p.FormValue("name"), p.FormValue("password"))
	if err != nil {
		status := p.refuseEntry(&e, err)
		if appliance.KindOf(err) == appliance.Denied {
			status = http.StatusUnprocessableEntity // a form that was not accepted
		}
		return p.show(status, view.SignIn(e))
	}
	p.SetCookie(cookie)
	return p.see(e.Then)
}

func signOut(p *page) error {
	gone, err := p.ui.Door.SignOut(p.Request())
	if err != nil {
		return err
	}
	p.SetCookie(gone)
	return p.see("/lbadmin/sign-in?note=out")
}

const themeCookie = "evenkeel-theme"

func theme(p *page) string {
	c, err := p.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return ""
	}
	return c.Value
}

// setTheme remembers the theme in the browser; none follows the system.
func setTheme(p *page) error {
	cookie := &http.Cookie{Name: themeCookie, Value: p.FormValue("theme"), Path: "/lbadmin/", MaxAge: int((365 * 24 * time.Hour).Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if cookie.Value != "light" && cookie.Value != "dark" {
		cookie.Value, cookie.MaxAge = "", -1
	}
	p.SetCookie(cookie)
	return p.see(back(p.FormValue("back")))
}
