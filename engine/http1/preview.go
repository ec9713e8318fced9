package http1

import (
	"bytes"
	"net/netip"
	"slices"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/rules"
	"evenkeel/engine/wire"
)

// PreviewOptions are a request that somebody asks about, and the service that it would come to. Everything but Program and TLSName is required.
type PreviewOptions struct {
	Config  *appliance.VirtualService
	Program *rules.Program // nil: no rules
	Head    []byte         // as the client sends it, with its empty line
	Client  netip.AddrPort
	Local   netip.AddrPort // that the client came to
	Secure  bool           // by TLS
	TLSName string
	Now     wire.Time // for limits; nothing is counted
}

// Preview is what becomes of a request until its server is chosen: by the code that serves, and without any effect.
type Preview struct {
	Refused    request.Verdict // of a head that is not served
	Answer     []byte          // head that the appliance gives by itself; nil: a server answers
	Status     int             // of Answer
	Redirected bool            // Answer leads to https; the rules were not asked
	Kept       bool            // another answer to the same request may be kept, and is given instead of asking a server
	Trace      rules.Trace
	Rule       int           // the route that the rules chose, see wire.Query
	Edits      []*rules.Edit // of the answer's header
	Sent       []byte        // head that the server gets
	Query      wire.Query    // by which the server is chosen, a dry one
}

// PreviewRequest tells what would become of a request.
func PreviewRequest(o PreviewOptions) Preview {
	h := &requestHead{}
	config := o.Config
	h.ownID, h.limit, h.rare = config.HTTP.RequestID, config.HTTP.HeadLimit, config.HTTP.TraceAndOptions
	if p := h.scan(o.Head, config.HTTP.ForwardedFor, cookieName(&config.Persistence)); p == more {
		return Preview{Refused: request.Bad("the head is not complete")}
	} else if p == refused {
		return Preview{Refused: h.verdict}
	}
	if config.TLS.Redirects() && !o.Secure {
		out, ok := h.appendRedirect(nil, &config.TLS)
		if !ok {
			return Preview{Refused: request.Bad("a request without a host cannot be redirected")}
		}
		return Preview{Answer: out, Status: status(config.TLS.Redirect), Redirected: true}
	}
	out := Preview{}
	if o.Program != nil {
		r := h.seen(o.Head, o.Client.Addr(), o.Local.Port())
		r.Secure, r.TLSName = o.Secure, o.TLSName
		d, trace := new(rules.Evaluator).Explain(o.Program, &r, int64(o.Now))
		out.Trace, out.Rule, out.Edits = trace, d.Route, slices.Clone(d.Response)
		if d.Status != 0 {
			out.Status, out.Answer = d.Status, appendOwnAnswer(nil, d, true, true)
			return out
		}
		h.obey(o.Head, &r, d)
		out.Kept = !d.Concerns()
	}
	out.Kept = config.HTTP.CacheSize > 0 && (o.Program == nil || out.Kept) && (string(h.method) == "GET" || string(h.method) == "HEAD")
	out.complete(h, o)
	return out
}

// complete tells what is sent to the server, and by what it is chosen.
func (v *Preview) complete(h *requestHead, o PreviewOptions) {
	config, b := o.Config, o.Head
	keeps := config.HTTP.KeepAlive == appliance.KeepAliveBoth && !config.Private()
	v.Sent = h.forward(nil, b, o.Client.Addr(), o.Local, keeps, o.Secure)
	if h.ownID {
		v.Sent = append(v.Sent[:len(v.Sent)-2], "X-Request-ID: (its number in the traffic log)\r\n\r\n"...)
	}
	v.Query = wire.Query{
		Client: h.clientOf(b, o.Client, &config.Persistence), Port: o.Local.Port(), Cookie: bytes.Clone(h.cookie), Secure: o.Secure, Rule: v.Rule, Dry: true,
	}
	if config.Persistence.Kind == appliance.PersistApplication {
		v.Query.Session = bytes.Clone(h.sessionOf(b, config.Persistence.ApplicationCookie))
	}
	if config.Scheduler.ReadsRequest() {
		v.Query.Key = h.key(b, config)
	}
}

// PreviewAnswer returns the head that the client gets for one of the server's.
func PreviewAnswer(o PreviewOptions, head []byte, edits []*rules.Edit) ([]byte, request.Verdict) {
	h := &responseHead{}
	if age := o.Config.TLS.HSTS; o.Secure && age > 0 {
		h.hsts = new(hsts).of(age)
	}
	switch h.scan(head) {
	case more:
		return nil, request.Verdict{Status: 502, Reason: "the head is not complete"}
	case refused:
		return nil, h.verdict
	}
	h.amend(head, edits)
	return h.emit(nil, head, h.chunked, staysOpen, nil), request.Verdict{}
}
