// Package fallback serves the appliance's own page, on port 9081, for HTTP services whose real servers cannot serve. The page is static and
// speaks to visitors, not to operators: it names no server and no cause.
package fallback

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"evenkeel/appliance"
)

//go:embed page.html
var page []byte

// Page is the fallback page's server.
type Page struct {
	listener net.Listener
	server   *http.Server
	own      func() string
}

// Open binds the address, usually 127.0.0.1:9081. own returns the HTML that the operator wrote, asked for at each request; nil or empty: the built-in page is
// served. The error is of kind Conflict when another program has the port.
func Open(address string, own func() string) (*Page, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &appliance.Error{
			Kind: appliance.Conflict, Op: "open fallback page", Err: err,
			Message: fmt.Sprintf("The address %s for the fallback page is not free.", address),
			Hint:    "End the program that uses it (ss -ltnp shows which), or choose another address with --fallback.",
		}
	}
	return On(l, own), nil
}

// On is Open for a listener that is there already; it is the page's own from then on.
func On(l net.Listener, own func() string) *Page {
	p := &Page{listener: l, own: own}
	p.server = &http.Server{
		Handler: p, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	return p
}

// Address is where the page is served.
func (p *Page) Address() net.Addr { return p.listener.Addr() }

// Listener is the page's, for a process that takes over.
func (p *Page) Listener() net.Listener { return p.listener }

// Close gives the port free; a running page ends.
func (p *Page) Close() {
	_ = p.server.Close()
	_ = p.listener.Close()
}

// Run serves until the context ends.
func (p *Page) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.server.Close() })
	defer stop()
	if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve fallback page: %w", err)
	}
	return nil
}

// Builtin returns the page that is served when the operator wrote none.
func Builtin() string { return string(page) }

// ServeHTTP answers every request with the page and 503 (RFC 9110, 15.6.4), so that no cache or crawler takes it for the real one. What the operator wrote may
// show pictures and run scripts of its own, and nothing is loaded for the built-in one.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text := page
	if p.own != nil {
		if own := p.own(); own != "" {
			text = []byte(own)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "10")
	if len(text) == len(page) && &text[0] == &page[0] {
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text)
	}
}
