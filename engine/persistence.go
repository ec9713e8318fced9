package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
	"evenkeel/engine/wire"
)

// cookieKey makes a key of 32 bytes of what was given; of nothing a fresh one.
func cookieKey(given []byte) (key [32]byte) {
	switch len(given) {
	case 0:
		_, _ = rand.Read(key[:])
	case len(key):
		copy(key[:], given)
	default:
		key = sha256.Sum256(given)
	}
	return key
}

// persistence gives a snapshot what it needs to know returning clients: the table outlives revisions, a sealer belongs to one.
func (e *Engine) persistence(s *snapshot, old *snapshot) {
	p := &s.config.Persistence
	if p.Kind.Tabled() {
		if old != nil {
			s.table = old.table
		}
		if s.table == nil {
			s.table = persist.NewTable(settingsOf(p))
			e.reload(s)
		}
	}
	if p.Kind.Sealed() {
		ids := make([]string, len(s.servers))
		for i, r := range s.servers {
			ids[i] = r.id
		}
		s.sealed = e.key
		s.sealer = persist.NewSealer(persist.SealerOptions{
			Key: e.key, Service: s.config.ID, Servers: ids, Idle: p.CookieIdle.D(), Life: p.CookieLife.D(),
		})
	}
}

func settingsOf(p *appliance.Persistence) persist.Settings {
	return persist.Settings{Size: p.TableSize, Timeout: p.Timeout.D(), MaskIPv4: p.MaskIPv4, MaskIPv6: p.MaskIPv6}
}

// tidy brings the table in line with a snapshot that begins to run: servers that are gone have no clients, nor those that were drained if the service says so.
func (w *serviceSwap) tidy() {
	if w.table == nil {
		return
	}
	w.table.Configure(settingsOf(&w.config.Persistence))
	for _, s := range w.dropped {
		r := w.config.Server(s.id)
		if r == nil || r.State == appliance.Drain && w.config.Persistence.ClearOnDrain {
			w.table.DropServer(s.id)
		}
	}
}

// reload fills a new table with what RestorePersistence gave for its service, once.
func (e *Engine) reload(s *snapshot) {
	saved, ok := e.restored[s.config.ID]
	if !ok {
		return
	}
	delete(e.restored, s.config.ID)
	known := func(server string) bool { return s.config.Server(server) != nil }
	if err := s.table.Load(saved, e.now(), time.Now(), known); err != nil {
		e.log.Warn("persistence table not restored", "service", s.config.Label, "error", err.Error())
	}
}

// SavePersistence returns the tables of all services, by the service's id, for RestorePersistence of a later process.
func (e *Engine) SavePersistence() map[string][]byte {
	out := map[string][]byte{}
	for _, s := range e.view.Load().services {
		if t := s.running.Load().table; t != nil {
			out[s.id] = t.Snapshot(e.now(), time.Now())
		}
	}
	return out
}

// RestorePersistence gives back what SavePersistence returned, before the first Apply: a service that begins to run finds its clients again, aged by the time between.
// What is damaged is left out and logged.
func (e *Engine) RestorePersistence(saved map[string][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.restored = maps.Clone(saved)
}

// memory is what is known of a client when a server is chosen for it.
type memory struct {
	server int    // index of the server that it had before and would get again; -1: none
	named  string // id of the server that its entry or cookie leads to, whether or not it would get it
	key    persist.Key
	keyed  bool      // there is or will be an entry of key: the choice is written there
	opened bool      // its cookie is good
	renew  bool      // its cookie is to be renewed
	issued time.Time // of that cookie
}

// remembered looks for a client in what the service's kind of persistence knows.
func (s *shard) remembered(q *wire.Query) memory {
	m := memory{server: -1}
	if s.sealer != nil && len(q.Cookie) > 0 {
		if o, ok := s.sealer.Open(q.Cookie, s.wall()); ok {
			m.server, m.named, m.opened, m.renew, m.issued = s.returning(o.Server, q), o.Server, true, o.Renewal, o.Issued
		}
	}
	if s.table == nil || m.server >= 0 {
		return m
	}
	switch s.config.Persistence.Kind {
	case appliance.PersistApplication:
		s.recallSession(&m, persist.Cookie, false, q)
	case appliance.PersistTLSSession:
		if !s.recallSession(&m, persist.TLSSession, false, q) && q.BySource {
			s.recall(&m, s.table.KeyOf(q.Client.Addr()), true, q)
		}
	case appliance.PersistRDPCookie:
		s.recallRDP(&m, q)
	case appliance.PersistLastSuccessful:
		s.recall(&m, s.table.KeyOf(q.Client.Addr()), false, q)
		m.keyed = false // it is written when the server has answered
	default:
		s.recall(&m, s.table.KeyOf(q.Client.Addr()), true, q)
	}
	return m
}

// recall looks for a key in the table. pinned says that a client without an entry gets one with the choice; otherwise only an entry that is there is changed.
func (s *shard) recall(m *memory, key persist.Key, pinned bool, q *wire.Query) (known bool) {
	id, known := s.entry(key, q)
	if m.key, m.keyed = key, pinned || known; known {
		m.server, m.named = s.returning(id, q), id
	}
	return known
}

// entry looks a key up, which uses it unless the query is a dry one.
func (s *shard) entry(key persist.Key, q *wire.Query) (id string, known bool) {
	if q.Dry {
		e, known := s.table.Look(key, int64(s.lane.loop.Now()))
		return e.Server, known
	}
	return s.table.Get(key, int64(s.lane.loop.Now()))
}

// recallSession looks for what the client showed. What it made up leads nowhere; sessions of servers are learned from their answers.
func (s *shard) recallSession(m *memory, kind persist.Kind, pinned bool, q *wire.Query) (known bool) {
	return len(q.Session) > 0 && s.recall(m, persist.DigestKey(kind, q.Session), pinned, q)
}

// recallRDP follows a session broker's route if it leads to one of the servers, then the user's name, then the address.
func (s *shard) recallRDP(m *memory, q *wire.Query) {
	if q.Route.IsValid() {
		for i := range s.seats {
			if s.addresses[i] == q.Route.Addr() && s.config.ServerPort(&s.config.RealServers[i], s.port(q)) == q.Route.Port() {
				m.server, m.named = s.returning(s.seats[i].ID, q), s.seats[i].ID
			}
		}
	}
	switch {
	case m.server >= 0:
	case len(q.Session) > 0:
		s.recallSession(m, persist.RDPUser, true, q)
	default: // nothing, or a route that leads nowhere
		s.recall(m, s.table.KeyOf(q.Client.Addr()), true, q)
	}
}

// returning finds a server by id if it takes returning clients: a drained one does, one that is halted, down or was just tried does not.
func (s *shard) returning(id string, q *wire.Query) int {
	for i, seat := range s.seats {
		if seat.ID != id {
			continue
		}
		if s.forgets(id) || s.wants(i) == appliance.Halt || !s.reachable(i, q) {
			return -1
		}
		return i
	}
	return -1
}

// remember notes the server of a client for the next time.
func (s *shard) remember(c *wire.Choice, q *wire.Query, m *memory) {
	if m.keyed && !q.Dry {
		s.table.Put(m.key, c.Server.ID, int64(s.lane.loop.Now()))
	}
	s.giveCookie(c, q, m)
}

// giveCookie has the client get a cookie that leads to the choice.
func (s *shard) giveCookie(c *wire.Choice, q *wire.Query, m *memory) {
	if s.sealer == nil || q.Dry {
		return
	}
	var value [persist.ValueSize]byte
	v := s.sealer.Append(value[:0], c.Server.ID, m.issued, s.wall())
	c.SetCookie = persist.AppendSetCookie(make([]byte, 0, 128+len(v)), s.config.Persistence.CookieName, v, q.Secure)
}

// Learn implements wire.Learner.
func (s *shard) Learn(c wire.Choice, q *wire.Query) {
	if o := s.ownerOf(c); o != s {
		o.Learn(c, q)
		return
	}
	if s.table == nil || c.Fallback || s.forgets(c.Server.ID) {
		return
	}
	key := s.table.KeyOf(q.Client.Addr())
	switch s.config.Persistence.Kind {
	case appliance.PersistApplication:
		key = persist.DigestKey(persist.Cookie, q.Session)
	case appliance.PersistTLSSession:
		key = persist.DigestKey(persist.TLSSession, q.Session)
	}
	s.table.Put(key, c.Server.ID, int64(s.lane.loop.Now()))
}

// forgets tells whether no client is to come back to a server: it is gone, or drained and its entries cleared.
func (s *shard) forgets(id string) bool {
	r := s.config.Server(id)
	return r == nil || r.State == appliance.Halt || r.State == appliance.Drain && s.config.Persistence.ClearOnDrain
}

func (s *shard) wall() time.Time { return s.lane.loop.Wall(s.lane.loop.Now()) }

func (e *Engine) now() int64 { return int64(time.Since(e.epoch)) }
