package engine

import (
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/agent"
)

// advice is what a server's agent wants, as the loops read it; it is never changed, only replaced.
type advice struct {
	percent int             // of the weight
	state   appliance.State // Online, or whom the agent keeps away
	down    bool
}

func adviceOf(s agent.State) advice {
	a := advice{percent: s.Share(), state: appliance.Online, down: s.IsDown()}
	switch {
	case s.Closed():
		a.state = appliance.Halt
	case s.Drains():
		a.state = appliance.Drain
	}
	return a
}

// takes tells whether the agent lets new clients come.
func (a *advice) takes() bool { return a == nil || a.state == appliance.Online && !a.down }

// agentChanged is told by the watcher of the agents.
func (e *Engine) agentChanged(id string) {
	if r := e.view.Load().servers[id]; r != nil {
		e.advise(r)
	}
}

// advise brings a server to what its agent says.
func (e *Engine) advise(r *server) {
	e.advising.Lock()
	defer e.advising.Unlock()
	var now *advice
	if s, asked := e.agents.State(r.id); asked {
		a := adviceOf(s)
		now = &a
	}
	before := r.advice.Swap(now)
	switch {
	case !before.takes() && now.takes():
		r.warm(e.now())
	case now != nil && now.down && (before == nil || !before.down):
		e.lost(r)
	}
	r.service.revise()
}

// isDown tells whether a server is down by its check or by its agent.
func (r *server) isDown() bool {
	if r.down.Load() {
		return true
	}
	a := r.advice.Load()
	return a != nil && a.down
}

// wants is what the operator wants of a server, and of one that is online what its agent wants.
func (r *server) wants(state appliance.State) appliance.State {
	if a := r.advice.Load(); a != nil && state == appliance.Online {
		return a.state
	}
	return state
}

func (s *shard) wants(i int) appliance.State {
	return s.servers[i].wants(s.config.RealServers[i].State)
}

// advised returns what counts of what the agent says.
func (r *server) advised() advice {
	if a := r.advice.Load(); a != nil {
		return *a
	}
	return advice{percent: 100, state: appliance.Online}
}

// part returns the part of a share that the agent lets count.
func (r *server) part(share int) int {
	a := r.advice.Load()
	if a == nil || a.percent == 100 {
		return share
	}
	return max(1, share*a.percent/100)
}

// tellAgent adds to what is observed of a server what its agent says, and what of it counts.
func (e *Engine) tellAgent(r *server, out *appliance.ServerStatus) {
	s, asked := e.agents.State(r.id)
	if !asked {
		return
	}
	a := adviceOf(s) // what the loops follow in a moment
	out.Agent = &appliance.AgentStatus{Sentence: s.Sentence(), At: s.At, Percent: a.percent, Down: a.down}
	if a.state != appliance.Online {
		out.Agent.State = a.state
	}
	if a.down && out.Check.Health != appliance.Down {
		out.Check.Health, out.Check.Since = appliance.Down, s.At
		out.Check.Sentence = strings.TrimSpace(out.Agent.Sentence + " The check says: " + out.Check.Sentence)
	}
}
