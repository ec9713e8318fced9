package appliance

import (
	"fmt"
	"slices"
	"strings"
)

// RuleActionKind is what an action does.
type RuleActionKind string

// The kinds of action.
const (
	DoPool            RuleActionKind = "use_pool"
	DoServer          RuleActionKind = "use_server"
	DoRedirect        RuleActionKind = "redirect"
	DoRewrite         RuleActionKind = "rewrite_path"
	DoDeny            RuleActionKind = "deny"
	DoLimit           RuleActionKind = "rate_limit"
	DoSetRequest      RuleActionKind = "set_request_header"      // the only line of that name
	DoAddRequest      RuleActionKind = "add_request_header"      // one more line
	DoRemoveRequest   RuleActionKind = "remove_request_header"   // every line of that name
	DoReplaceRequest  RuleActionKind = "replace_request_header"  // what Find matches in its values
	DoSetResponse     RuleActionKind = "set_response_header"     // as with requests
	DoAddResponse     RuleActionKind = "add_response_header"     //
	DoRemoveResponse  RuleActionKind = "remove_response_header"  //
	DoReplaceResponse RuleActionKind = "replace_response_header" //
)

// RuleActionKinds returns every kind, in the order of the pages.
func RuleActionKinds() []RuleActionKind {
	return []RuleActionKind{
		DoPool, DoServer, DoRedirect, DoRewrite, DoDeny, DoLimit, DoSetRequest, DoAddRequest, DoRemoveRequest, DoReplaceRequest,
		DoSetResponse, DoAddResponse, DoRemoveResponse, DoReplaceResponse,
	}
}

// Valid tells whether k is one of the kinds.
func (k RuleActionKind) Valid() bool { return slices.Contains(RuleActionKinds(), k) }

// String returns the name on the pages.
func (k RuleActionKind) String() string {
	switch k {
	case DoPool:
		return "use the pool of"
	case DoServer:
		return "use the server"
	case DoRedirect:
		return "redirect to"
	case DoRewrite:
		return "rewrite the path"
	case DoLimit:
		return "limit the rate"
	}
	verb, rest, edits := strings.Cut(string(k), "_")
	if !edits {
		return string(k)
	}
	side, _, _ := strings.Cut(rest, "_")
	if verb == "replace" {
		return "replace in " + side + " header"
	}
	return verb + " " + side + " header"
}

// In tells whether rules of that mode can do k.
func (k RuleActionKind) In(p Protocol) bool {
	return p == HTTP || k == DoDeny || k == DoPool || k == DoServer || k == DoLimit && p == TCP
}

// OnHeader tells whether k edits a header.
func (k RuleActionKind) OnHeader() bool { return strings.HasSuffix(string(k), "_header") }

// OnResponse tells whether k edits a header of the response.
func (k RuleActionKind) OnResponse() bool { return strings.HasSuffix(string(k), "_response_header") }

// Finds tells whether k replaces what Find matches.
func (k RuleActionKind) Finds() bool {
	return k == DoRewrite || k == DoReplaceRequest || k == DoReplaceResponse
}

// RuleAction is one thing that a rule does. Only the fields of its kind count; Normalize empties the others.
type RuleAction struct {
	Kind     RuleActionKind `json:"do"`
	Pool     string         `json:"pool,omitempty"`     // id of the virtual service whose pool serves
	Server   string         `json:"server,omitempty"`   // id of a real server of this service
	Header   string         `json:"header,omitempty"`   // name of the field
	Find     string         `json:"find,omitempty"`     // regular expression; what it matches is replaced
	Value    string         `json:"value,omitempty"`    // of the header, or the new path, or where to redirect; may hold placeholders such as {host} and {path}
	Status   int            `json:"status,omitempty"`   // of a redirect or a refusal
	Requests int            `json:"requests,omitempty"` // of one source within Period
	Period   Duration       `json:"period,omitempty"`
	MaskIPv4 int            `json:"mask_ipv4,omitempty"` // bits that tell one source from another
	MaskIPv6 int            `json:"mask_ipv6,omitempty"`
}

// canonical empties what does not count and fills in what is usual.
func (a RuleAction) canonical() RuleAction {
	out := RuleAction{Kind: a.Kind}
	switch k := a.Kind; {
	case k == DoPool:
		out.Pool = a.Pool
	case k == DoServer:
		out.Server = a.Server
	case k == DoRedirect:
		out.Value, out.Status = strings.TrimSpace(a.Value), orElse(a.Status, 302)
	case k == DoDeny:
		out.Status = orElse(a.Status, 403)
	case k == DoLimit:
		out.Requests, out.Period = a.Requests, a.Period
		out.MaskIPv4, out.MaskIPv6 = orElse(a.MaskIPv4, 32), orElse(a.MaskIPv6, 64)
	case k == DoRewrite:
		out.Find, out.Value = a.Find, strings.TrimSpace(a.Value)
	case k.OnHeader():
		out.Header, out.Value = strings.TrimSpace(a.Header), strings.TrimSpace(a.Value)
		if k.Finds() {
			out.Find = a.Find
		}
		if k == DoRemoveRequest || k == DoRemoveResponse {
			out.Value = ""
		}
	default:
		return a
	}
	return out
}

func orElse(n, usual int) int {
	if n == 0 {
		return usual
	}
	return n
}

// Sentence returns the action in a few words; name tells the label of an id, nil: ids stand for themselves.
func (a RuleAction) Sentence(name func(id string) string) string {
	if name == nil {
		name = func(id string) string { return id }
	}
	switch k := a.Kind; {
	case k == DoPool:
		return k.String() + " " + name(a.Pool)
	case k == DoServer:
		return k.String() + " " + name(a.Server)
	case k == DoRedirect:
		return fmt.Sprintf("%s %s (%d)", k, a.Value, a.Status)
	case k == DoDeny:
		return fmt.Sprintf("deny (%d)", a.Status)
	case k == DoLimit:
		return fmt.Sprintf("limit the rate to %d in %s from one source", a.Requests, a.Period)
	case k == DoRewrite && a.Find == "":
		return "rewrite the path to " + a.Value
	case k.Finds() && k.OnHeader():
		return fmt.Sprintf("%s %s: %s → %s", k, a.Header, a.Find, a.Value)
	case k.Finds():
		return fmt.Sprintf("rewrite the path: %s → %s", a.Find, a.Value)
	case a.Value == "":
		return k.String() + " " + a.Header
	case k.OnHeader():
		return fmt.Sprintf("%s %s: %s", k, a.Header, a.Value)
	}
	return string(a.Kind)
}
