package appliance

import (
	"strings"
	"time"
)

// Agent is how the agents of the real servers are asked: programs of the operators' own, which answer a connection with one line of words such as "75% ready". It is
// asked at the interval and with the timeout of the check, whether or not there is one.
type Agent struct {
	Enabled bool   `json:"enabled"`
	Port    uint16 `json:"port"`           // of the real servers
	Send    string `json:"send,omitempty"` // a line that the agent gets first; empty: nothing
	Misses  int    `json:"misses"`         // answers in a row that are none until what the agent said is forgotten
}

// PortAgent is where agents usually listen.
const PortAgent = 3333

func newAgent() Agent { return Agent{Port: PortAgent, Misses: 3} }

// maxAgentLine bounds what is sent to an agent.
const maxAgentLine = 255

func (v *validation) agent(a *Agent) {
	if a.Port == 0 {
		v.refuse("check.agent.port", "Agents need a port, such as %d.", PortAgent)
	}
	v.between("check.agent.misses", a.Misses, 1, 1000)
	if len(a.Send) > maxAgentLine || strings.ContainsFunc(a.Send, func(r rune) bool { return r < ' ' || r > '~' }) {
		v.refuse("check.agent.send", "What is sent is one line of at most %d letters, digits, signs and spaces.", maxAgentLine)
	}
}

// AgentStatus is what the agent of a real server says.
type AgentStatus struct {
	Sentence string    `json:"sentence"`
	At       time.Time `json:"at,omitzero"`     // of its last word; zero: nothing that it said counts
	Percent  int       `json:"percent"`         // of the weight that counts
	State    State     `json:"state,omitempty"` // drain or halt: whom the agent keeps away; empty: nobody. The operator's own state comes first
	Down     bool      `json:"down"`            // the agent says that the server does not work
}

// Held tells whether the agent of a server that is online keeps clients away.
func (s *ServerStatus) Held() bool { return s.State == Online && s.Agent != nil && s.Agent.State != "" }
