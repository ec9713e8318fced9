package cli

import (
	"context"
	"net/netip"
	"strings"

	"evenkeel/appliance"
)

// Explain stands for the engine's.
func (e *engine) Explain(_ context.Context, q appliance.Question) (appliance.Explanation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.running.Cluster.VirtualServices {
		if s.Label == q.Service {
			r := s.RealServers[0]
			return appliance.Explanation{
				ServiceID: s.ID, Service: s.Label, By: appliance.ByServer, ServerID: r.ID, Server: r.Label, Address: netip.MustParseAddrPort("192.168.0.40:6667"),
				Sentence:   q.Client.String() + " is served by " + r.Label + " with " + strings.Join(q.Headers, " and ") + q.URL + ".",
				Steps:      []appliance.Step{{Subject: "scheduler", Mark: appliance.MarkNote, Sentence: "It is its turn.\x1b[31m"}},
				Candidates: []appliance.Candidate{{ID: r.ID, Label: r.Label, State: appliance.Online, Health: appliance.Up, Weight: 100, Connections: 12, Sentence: "Takes new clients."}},
			}, nil
		}
	}
	return appliance.Explanation{}, &appliance.Error{Kind: appliance.NotFound, Message: "No such service runs."}
}

// TryRules stands for the engine's.
func (e *engine) TryRules(s appliance.VirtualService, name func(id string) string, q appliance.Question) (appliance.Explanation, error) {
	x := appliance.Explanation{Service: s.Label, By: appliance.ByAppliance, Sentence: "A rule answers " + q.URL + ".", Steps: []appliance.Step{}, Answer: "HTTP/1.1 403 Forbidden\r\nX: \x1b\r\n\r\n"}
	for i, r := range s.Rules {
		x.Rules = append(x.Rules, appliance.RuleTrial{Number: i + 1, Label: r.Label, Held: true, Sentence: "It holds: " + r.Actions(name) + "."})
	}
	return x, nil
}
