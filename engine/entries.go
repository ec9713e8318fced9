package engine

import (
	"bytes"
	"cmp"
	"net/netip"
	"strings"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
)

// usualRows is how many rows a list has when nobody says how many.
const usualRows = 1000

// found is an entry of one of the services.
type found struct {
	service *snapshot
	persist.Entry
}

func (f *found) server() string {
	if r := f.service.config.Server(f.Server); r != nil {
		return r.Label
	}
	return f.Server
}

// Persistence lists entries of the running services. However long the tables are, no loop waits for it, and no more is kept than was asked for.
func (e *Engine) Persistence(q appliance.PersistenceQuery) appliance.PersistenceList {
	if q.Limit <= 0 {
		q.Limit = usualRows
	}
	rows := first[found]{n: max(q.Offset, 0) + q.Limit, order: orderOf(q)}
	e.entries(q, rows.add)
	list := rows.from(max(q.Offset, 0))
	out := appliance.PersistenceList{Entries: make([]appliance.PersistenceEntry, len(list)), Total: rows.total}
	for i, f := range list {
		out.Entries[i] = appliance.PersistenceEntry{
			ServiceID: f.service.config.ID, ServerID: f.Server, Kind: f.Key.Kind().String(), Key: f.Key.String(), Client: f.Key.Prefix(), Age: f.Age, Remaining: f.Remaining,
		}
	}
	return out
}

// ClearPersistence forgets the entries that a query chooses, and returns how many there were. Connections stay. Order and limits do not count.
func (e *Engine) ClearPersistence(q appliance.PersistenceQuery) int {
	n := 0
	if q.Key == "" && q.Text == "" && !q.Client.IsValid() {
		for _, s := range e.tables(q) {
			if q.Server != "" {
				n += s.table.DropServer(q.Server)
			} else {
				n += s.table.Clear()
			}
		}
		return n
	}
	var chosen []found
	e.entries(q, func(f found) { chosen = append(chosen, f) })
	for _, f := range chosen {
		if f.service.table.Delete(f.Key) {
			n++
		}
	}
	return n
}

// tables returns what runs, of the services that have a table and are chosen.
func (e *Engine) tables(q appliance.PersistenceQuery) []*snapshot {
	var out []*snapshot
	for _, s := range e.view.Load().services {
		if now := s.running.Load(); now.table != nil && (q.Service == "" || s.id == q.Service) {
			out = append(out, now)
		}
	}
	return out
}

// entries shows every entry that a query chooses.
func (e *Engine) entries(q appliance.PersistenceQuery, see func(found)) {
	now := e.now()
	for _, s := range e.tables(q) {
		chosen := chooser(q, s.config)
		if q.Key != "" {
			key, ok := persist.ParseKey(q.Key)
			if entry, known := s.table.Look(key, now); ok && known && chosen(entry) {
				see(found{s, entry})
			}
			continue
		}
		s.table.Walk(now, func(entry persist.Entry) {
			if chosen(entry) {
				see(found{s, entry})
			}
		})
	}
}

// chooser returns what tells whether a query chooses an entry of a service.
func chooser(q appliance.PersistenceQuery, c *appliance.VirtualService) func(persist.Entry) bool {
	text := strings.ToLower(q.Text)
	labelled := map[string]bool{}
	for _, r := range c.RealServers {
		labelled[r.ID] = strings.Contains(strings.ToLower(r.Label), text)
	}
	whole := strings.Contains(strings.ToLower(c.Label), text)
	network := networkOf(q.Text)
	shown := [...]persist.Key{
		persist.DigestKey(persist.Cookie, []byte(q.Text)), persist.DigestKey(persist.TLSSession, []byte(q.Text)), persist.DigestKey(persist.RDPUser, []byte(text)),
	}
	var room [96]byte
	return func(e persist.Entry) bool {
		if q.Server != "" && e.Server != q.Server || q.Client.IsValid() && !q.Client.Overlaps(e.Key.Prefix()) {
			return false
		}
		return text == "" || whole || labelled[e.Server] || e.Key == shown[0] || e.Key == shown[1] || e.Key == shown[2] ||
			network.IsValid() && network.Overlaps(e.Key.Prefix()) || bytes.Contains(e.Key.AppendTo(room[:0]), []byte(text))
	}
}

// networkOf reads an address or a network; the zero prefix when it is neither.
func networkOf(text string) netip.Prefix {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
	}
	p, _ := netip.ParsePrefix(text)
	return p.Masked()
}

func orderOf(q appliance.PersistenceQuery) func(a, b found) int {
	by := func(a, b found) int { return cmp.Compare(b.Remaining, a.Remaining) }
	switch q.Sort {
	case appliance.SortByKey:
		by = func(a, b found) int { return a.Key.Compare(b.Key) }
	case appliance.SortByService:
		by = func(a, b found) int { return strings.Compare(a.service.config.Label, b.service.config.Label) }
	case appliance.SortByServer:
		by = func(a, b found) int { return strings.Compare(a.server(), b.server()) }
	case appliance.SortByAge:
		by = func(a, b found) int { return cmp.Compare(a.Age, b.Age) }
	case appliance.SortByExpiry:
		by = func(a, b found) int { return cmp.Compare(a.Remaining, b.Remaining) }
	}
	sign := 1
	if q.Reverse {
		sign = -1
	}
	return func(a, b found) int {
		return cmp.Or(sign*by(a, b), strings.Compare(a.service.config.Label, b.service.config.Label), a.Key.Compare(b.Key))
	}
}
