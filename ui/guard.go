package ui

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
	"evenkeel/ui/signin"
	"evenkeel/ui/static"
)

// contentPolicy lets a page load what this appliance serves, and nothing else; no script or style stands in a page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const apiPrefix = "/lbadmin/api/v1"

// The most that a browser may send to a page: with a session, and without.
const (
	maxBody         = 3 << 20
	maxStrangerBody = 64 << 10
)

// guard is what every request passes, in this order: headers, path, host, origin; then the API or the pages.
func (u *UI) guard(pages http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer u.recoverDefect(w, r)
		setHeaders(w.Header())
		switch {
		case !plainPath(r.URL):
			http.Error(w, "There is nothing at this path.", http.StatusNotFound)
		case !u.ownHost(r):
			http.Error(w, "This appliance does not answer to the name in the address bar. Use its address, its hostname, or a name listed under Local Configuration.", http.StatusMisdirectedRequest)
		case cross.Check(r) != nil || !ownOrigin(r):
			http.Error(w, "This request came from another site.", http.StatusForbidden)
		case r.URL.Path == metricsPath:
			u.serveMetrics(w, r)
		case r.URL.Path == apiPrefix || strings.HasPrefix(r.URL.Path, apiPrefix+"/"):
			u.serveAPI(w, r)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			pages.ServeHTTP(w, r)
		}
	})
}

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers send "Origin: null" with our own forms
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Strict-Transport-Security", "max-age=15768000")
	h.Set("Cache-Control", "no-store")
}

// plainPath refuses paths that two readers could read differently: escapes, empty or dotted segments, parameters. No page has such a path.
func plainPath(u *url.URL) bool {
	p := u.EscapedPath()
	if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "%;\\") || strings.Contains(p, "//") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return s == "." || s == ".." })
}

// ownHost tells whether the Host header names us: the address that the request came to, the hostname, a listed name, or localhost when it came by loopback.
func (u *UI) ownHost(r *http.Request) bool {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	local := localAddress(r)
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap() == local
	}
	if name == "localhost" {
		return local.IsLoopback()
	}
	names := append([]string{u.Hostname, u.hostname()}, u.Control.Running().Config.Local.Names...)
	return name != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

func localAddress(r *http.Request) netip.Addr {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// ownOrigin adds to the standard library's check that the scheme is ours: a page on plain HTTP of the same name is another site.
func ownOrigin(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	origin := r.Header.Get("Origin")
	return origin == "" || strings.EqualFold(origin, "https://"+r.Host)
}

func (u *UI) serveAPI(w http.ResponseWriter, r *http.Request) {
	needed, err := u.Door.NeedsSetup(r.Context())
	if err == nil && needed {
		err = &appliance.Error{Kind: appliance.Denied, Message: "This appliance is not set up yet.", Hint: "Open the WebUI in a browser."}
	}
	if err == nil && u.API == nil {
		err = &appliance.Error{Kind: appliance.NotFound, Message: "There is nothing at this path."}
	}
	if err == nil {
		u.API.ServeHTTP(w, r)
		return
	}
	p := problem.Of(err)
	if appliance.KindOf(err) == appliance.Denied {
		p.Status = http.StatusUnauthorized
	}
	if err := p.Write(w); err != nil {
		u.Log.Debug("answer not delivered", "error", err)
	}
}

// recoverDefect keeps a defect in one request from ending the process.
func (u *UI) recoverDefect(w http.ResponseWriter, r *http.Request) {
	defect := recover()
	if defect == nil {
		return
	}
	if defect == http.ErrAbortHandler {
		panic(defect)
	}
	u.Log.Error("request ended by a defect", "method", r.Method, "path", r.URL.Path, "defect", defect, "stack", string(debug.Stack()))
	http.Error(w, "Something failed inside the appliance. Its log says what.", http.StatusInternalServerError)
}

// known tells nobody which methods a page has who is not signed in: the router itself answers those that no route has.
func (u *UI) known(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if m := c.Request().Method; m != http.MethodGet && m != http.MethodPost {
			if _, _, err := u.Door.Glance(c.Request()); err != nil {
				return c.String(http.StatusUnauthorized, "Nobody is signed in.\n")
			}
		}
		return next(c)
	}
}

// guarded lets a request to its route only when its access says so. Deny is the default: an access that is not known lets nobody in.
func (u *UI) guarded(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := &page{Context: c, ui: u}
		if strings.HasPrefix(c.Request().URL.Path, static.Prefix) {
			return r.serve(p)
		}
		needed, err := u.Door.NeedsSetup(c.Request().Context())
		switch {
		case err != nil:
			return err
		case needed && r.access != setupOnly:
			return p.see("/lbadmin/setup")
		case !needed && r.access == setupOnly:
			return &appliance.Error{Kind: appliance.NotFound, Message: "The setup of this appliance is done."}
		case r.access == setupOnly || r.access == anyone:
			c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, maxStrangerBody)
			if err := readForm(c.Request(), false); err != nil {
				return err
			}
			return r.serve(p)
		}
		identify := u.Door.Identify
		if r.path == "/lbadmin/events" {
			identify = u.Door.Glance
		}
		p.operator, p.origin, err = identify(c.Request())
		switch {
		case appliance.KindOf(err) == appliance.Denied:
			return p.stranger()
		case err != nil:
			return err
		case !signin.Allows(p.operator.Role, appliance.Role(r.access)):
			p.recordRefusal(r)
			return &appliance.Error{Kind: appliance.Denied, Message: "Your role, " + string(p.operator.Role) + ", may look at this appliance but not do this."}
		}
		if err := readForm(c.Request(), strings.HasPrefix(r.path, certificatesPath)); err != nil {
			return err
		}
		return r.serve(p)
	}
}

// recordRefusal writes to the audit that somebody tried what his role does not allow. A record that cannot be written is logged: the attempt is refused all the same.
func (p *page) recordRefusal(r route) {
	err := p.ui.Store.Audit(p.ctx(), appliance.AuditEntry{
		At: p.ui.Now(), Origin: p.origin, Action: "request", Subject: r.method + " " + p.Request().URL.Path, Outcome: "refused", Detail: "The role " + string(p.operator.Role) + " does not allow it; this needs " + string(r.access) + ".",
	})
	if err != nil {
		p.ui.Log.Error("audit entry lost", "action", "request", "operator", p.operator.Name, "error", err)
	}
}

// readForm reads a form whole or refuses it: half of one must not be taken for the whole. With files, what it brings stays in memory; the guard bounds it.
func readForm(r *http.Request, files bool) error {
	if r.Method != http.MethodPost {
		return nil
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	files = files && media == "multipart/form-data"
	if media != "application/x-www-form-urlencoded" && !files && r.ContentLength != 0 {
		return appliance.Refuse("", "This page takes forms only.")
	}
	read := r.ParseForm
	if files {
		read = func() error { return r.ParseMultipartForm(maxBody) }
	}
	if err := read(); err != nil {
		return &appliance.Error{Kind: appliance.Invalid, Op: "read form", Message: "The form did not arrive whole.", Hint: "Send it again.", Err: err}
	}
	return nil
}

// stranger sends a person to the sign-in, and tells a program that it is nobody. A click on a link elsewhere brings no cookie (SameSite=Strict): such a
// visitor is sent to the same place once more, from here.
func (p *page) stranger() error {
	r := p.Request()
	switch {
	case r.Header.Get("Authorization") != "" || strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		return p.String(http.StatusUnauthorized, "Nobody is signed in.\n")
	case r.Method != http.MethodGet:
		return p.see("/lbadmin/sign-in")
	case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate":
		p.Response().Header().Set("Refresh", "0")
		return p.HTML(http.StatusOK, "<!DOCTYPE html><title>"+Product+"</title>")
	}
	return p.Redirect(http.StatusFound, "/lbadmin/sign-in?then="+url.QueryEscape(r.URL.RequestURI()))
}
