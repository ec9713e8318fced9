package api

import (
	"fmt"
	"slices"
	"strings"

	"evenkeel/appliance"
)

// ruleHelp describes the parts of a rule, which stand in no form by themselves.
func ruleHelp(path string) string {
	switch path {
	case "when.subject":
		return "What is looked at: path (decoded, without dot segments), host, header, query, method, cookie, source (the client's address) or tls_name. In TCP Mode source only."
	case "when.name":
		return "Name of the header, the cookie or the query's parameter; a query without a name is looked at whole."
	case "when.not":
		return "true: the condition must not hold."
	case "when.operator":
		return "How it is compared; equal when absent. With source, equal means: in one of these networks."
	case "when.value":
		return "What it is compared with. Of hosts, methods, networks and TLS names several, separated by commas: one of them must fit."
	case "when.ignore_case":
		return "true: upper and lower case are the same. Hosts, TLS names and names of headers never know case."
	case "then.do":
		return "What is done."
	case "then.pool":
		return "Id or label of the virtual service whose pool serves."
	case "then.server":
		return "Id or label of the real server of this service that serves; when it cannot, the others do."
	case "then.header":
		return "Name of the header. Host can be set only; what frames a message cannot be touched."
	case "then.find":
		return "Regular expression (RE2); what it matches is replaced. Of a path: empty, and the whole path is."
	case "then.value":
		return "Value of the header, new path, or where to redirect to. {scheme}, {host}, {port}, {path}, {query}, {method} and {source} stand for what the client sent, $1 for what find matched in brackets."
	case "then.status":
		return "301, 302 (when absent), 303, 307 or 308 of a redirect; 400 to 599 of a refusal, 403 when absent."
	case "then.requests":
		return "As many of one source pass within the period; more get 429."
	case "then.period":
		return "The time in which the requests are counted; the window slides."
	case "then.mask_ipv4":
		return "Bits of an IPv4 address that tell one source from another; 32 when absent."
	case "then.mask_ipv6":
		return "Bits of an IPv6 address that tell one source from another; 64 when absent."
	}
	return ""
}

// adoptRules gives the rules of a service their ids: one without an id is the old rule of the same label, or new.
func adoptRules(s *appliance.VirtualService, old []appliance.Rule) appliance.Errors {
	var errs appliance.Errors
	for i := range s.Rules {
		r := &s.Rules[i]
		known := func(o appliance.Rule) bool { return o.ID == r.ID }
		if r.ID == "" {
			label := strings.TrimSpace(r.Label)
			if at := slices.IndexFunc(old, func(o appliance.Rule) bool { return o.Label == label }); at >= 0 && !slices.ContainsFunc(s.Rules, func(o appliance.Rule) bool { return o.ID == old[at].ID }) {
				r.ID = old[at].ID
			}
			continue
		}
		if !slices.ContainsFunc(old, known) {
			e := appliance.Refuse(fmt.Sprintf("rules[%d].id", i), "This service has no rule with the id %.40q.", r.ID)
			e.Hint = "Leave the id out to add a rule."
			errs = append(errs, e)
		}
	}
	return errs
}
