package monitor

import (
	"strings"

	"evenkeel/appliance"
)

// MarkDown takes a server down because of what live traffic saw; the sentence says what. The next good checks in a row bring it back. Nothing happens to a server that is
// down already, is not checked, or is not known.
func (m *Monitor) MarkDown(serverID, sentence string) {
	m.mu.Lock()
	e := m.entries[serverID]
	if e == nil || e.job.unchecked() || e.streak.health == appliance.Down {
		m.mu.Unlock()
		return
	}
	now, before := m.now(), e.streak.health
	e.streak = streak{health: appliance.Down, bad: 1}
	e.last, e.badSince = outcome{what: strings.TrimSuffix(sentence, ".")}, now
	e.change(appliance.Down, now, sentence)
	m.news = append(m.news, transition{serverID, appliance.Down})
	m.log.Info("health changed", "server", serverID, "address", e.job.address(), "from", string(before), "to", string(appliance.Down), "sentence", sentence)
	m.mu.Unlock()
	m.tell()
}
