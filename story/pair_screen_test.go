package story

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// road is a proxy by which a browser of this machine comes to what the laboratory's client reaches.
func (f *field) road() (address string) {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(f.carry), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	f.t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// carry joins one connection of the browser with one from the client's host.
func (f *field) carry(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only TLS is carried", http.StatusMethodNotAllowed)
		return
	}
	there, err := f.dialClient(r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, typed, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(there, typed)
		there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// screen is one tab of the person's browser, in which the pages of one node are open.
type screen struct {
	t    *testing.T
	tab  context.Context
	node *node
}

// screens opens a tab for each node, and signs in.
func (c *couple) screens() (a, b *screen) {
	c.t.Helper()
	one := browser(c.t, chromedp.ProxyServer(c.road()))
	a = &screen{c.t, one, c.a}
	b = a.beside(c.b)
	for _, s := range []*screen{a, b} {
		s.step("its first page", chromedp.EmulateViewport(1440, 900), s.at(""))
		s.signsIn()
	}
	return a, b
}

// signsIn signs in on the page that asks for it.
func (s *screen) signsIn() {
	s.t.Helper()
	s.step("sign in", chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", "loadbalancer"), chromedp.SendKeys("#password", labPassword), opens("#sign-in"), chromedp.WaitVisible("#user-menu"))
}

// beside opens a further tab, for a node.
func (s *screen) beside(n *node) *screen {
	s.t.Helper()
	tab, closeTab := chromedp.NewContext(s.tab)
	s.t.Cleanup(closeTab)
	if err := chromedp.Do(tab); err != nil { // a tab lives as long as the context of its first call
		s.t.Fatal(err)
	}
	return &screen{s.t, tab, n}
}

func (s *screen) url(path string) string {
	return "https://" + s.node.address + ":9443/lbadmin/" + path
}

func (s *screen) step(what string, actions ...act) {
	s.t.Helper()
	step(s.t, s.tab, s.node.letter+": "+what, actions...)
}

// at is at a page.
func (s *screen) at(path string) act { return chromedp.Navigate(s.url(path)) }

// reads returns the text of what is on the page.
func (s *screen) reads(selector string) string {
	s.t.Helper()
	limited, done := context.WithTimeout(s.tab, time.Minute)
	defer done()
	text, err := chromedp.Run(limited, chromedp.Evaluate[string](fmt.Sprintf(`Array.from(document.querySelectorAll(%q)).map(e => e.innerText).join("\n")`, selector)))
	if err != nil {
		s.t.Fatalf("%s: %s: %v", s.node.letter, selector, err)
	}
	return strings.TrimSpace(text)
}

// evaluates runs JavaScript in the page.
func (s *screen) evaluates(script string) {
	s.t.Helper()
	if _, err := chromedp.Run(s.tab, chromedp.Evaluate[bool]("("+script+", true)")); err != nil {
		s.t.Fatal(err)
	}
}

// header waits until the head of the page says these of the pair; it is not loaded again meanwhile.
func (s *screen) header(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		s.step("the header says "+text, sees("#frame-pair", text))
	}
}

// looks keeps pictures of the page when EVENKEEL_LOOK names a folder: light, and for a page in all its looks also dark and as narrow as a telephone.
func (s *screen) looks(name string, all bool) {
	s.t.Helper()
	if os.Getenv("EVENKEEL_LOOK") == "" {
		return
	}
	kinds := []struct {
		name, theme string
		width       int64
	}{{"light", "light", 1440}, {"dark", "dark", 1440}, {"phone", "light", 360}}
	if !all {
		kinds = kinds[:1]
	}
	for _, k := range append(kinds, kinds[0]) { // and back
		scheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: k.theme}}}
		s.step("picture of "+name, chromedp.EmulateViewport(k.width, 900), func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, scheme); err != nil {
				return none, err
			}
			return none, nil
		})
		s.keeps(name + "-" + k.name)
	}
}

// keeps keeps a picture of the page as it is, when EVENKEEL_LOOK names a folder.
func (s *screen) keeps(name string) {
	s.t.Helper()
	folder := os.Getenv("EVENKEEL_LOOK")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(s.tab, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600)
	}
	if err != nil {
		s.t.Error(err)
	}
}
