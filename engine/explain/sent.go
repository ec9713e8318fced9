package explain

import (
	"net/netip"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/proxyproto"
)

// tellSent tells what else the server gets, and what the client is remembered by.
func (w *account) tellSent(f *Finding) {
	if !f.Served {
		return
	}
	c := f.Config
	if f.writes() {
		w.good("persistence", "The entry for %s will lead to %s.", f.Memory.Key, w.out.Server)
	}
	if f.gives() {
		w.good("persistence", "The answer gives the client the cookie %s, which leads to %s.", c.Persistence.CookieName, w.out.Server)
	}
	if f.Choice.Fallback {
		return
	}
	if r := c.Server(f.ID()); r != nil && c.Encrypts(r) {
		w.good("sent", "The server is spoken to over TLS.")
	}
	if c.SpeaksHTTP2() {
		w.good("sent", "The server is spoken to in HTTP/2.")
	}
	if a, _ := c.SourceAddress.For(w.client.Addr(), f.Choice.Address.Addr()); a.IsValid() {
		w.good("sent", "The server sees the connection come from %s.", a)
	}
	switch c.ProxyProtocol.Out {
	case appliance.ProxyOutV1:
		h := proxyproto.Header{Source: netip.AddrPortFrom(w.client.Addr(), 1), Destination: w.Local}
		line := strings.Replace(strings.TrimSpace(string(h.AppendLine(nil))), " 1 ", " (the client's port) ", 1)
		w.good("sent", "The connection begins with the header %s.", line)
	case appliance.ProxyOutV2:
		w.good("sent", "The connection begins with a header of the PROXY protocol v2, which names %s as the client.", w.client.Addr())
	}
}
