package cli

import (
	"testing"

	"evenkeel/appliance"
)

// TestOnlineTellsOfTheAgentThatKeepsAServerOut: who brings a server online must learn why no client comes.
func TestOnlineTellsOfTheAgentThatKeepsAServerOut(t *testing.T) {
	for _, c := range []struct {
		agent *appliance.AgentStatus
		want  string
	}{
		{nil, ""},
		{&appliance.AgentStatus{}, ""},
		{&appliance.AgentStatus{State: appliance.Halt, Sentence: "The agent says maint (\x1b[31m)."}, " It gets no new clients all the same. The agent says maint (?[31m)."},
	} {
		if got := byAgent(&appliance.ServerStatus{State: appliance.Online, Agent: c.agent}); got != c.want {
			t.Errorf("%+v: %q, not %q", c.agent, got, c.want)
		}
	}
}
