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
	switch p.Kind {
	case appliance.PersistSourceIP:
		if old != nil {
			s.table = old.table
		}
		if s.table == nil {
			s.table = persist.NewTable(settingsOf(p))
			e.reload(s)
		}
	case appliance.PersistCookie:
		ids := make([]string, len(s.servers))
		for i, r := range s.servers {
			ids[i] = r.id
		}
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

// remembered returns the index of the server that the client had before, and would get again; -1 when there is none. issued is set with a cookie that is to be renewed.
func (s *shard) remembered(q *wire.Query) (i int, renew bool, issued time.Time) {
	switch {
	case s.table != nil:
		if id, ok := s.table.Get(s.table.KeyOf(q.Client.Addr()), int64(s.lane.loop.Now())); ok {
			return s.returning(id, q), false, time.Time{}
		}
	case s.sealer != nil && len(q.Cookie) > 0:
		if o, ok := s.sealer.Open(q.Cookie, s.wall()); ok {
			return s.returning(o.Server, q), o.Renewal, o.Issued
		}
	}
	return -1, false, time.Time{}
}

// returning finds a server by id if it takes returning clients: a drained one does, one that is halted, down or was just tried does not.
func (s *shard) returning(id string, q *wire.Query) int {
	for i, seat := range s.seats {
		if seat.ID != id {
			continue
		}
		state := s.config.RealServers[i].State
		if state == appliance.Halt || state == appliance.Drain && s.config.Persistence.ClearOnDrain || !s.reachable(i, q) {
			return -1
		}
		return i
	}
	return -1
}

// remember notes the server of a client for the next time.
func (s *shard) remember(c *wire.Choice, q *wire.Query, issued time.Time) {
	switch {
	case s.table != nil:
		s.table.Put(s.table.KeyOf(q.Client.Addr()), c.Server.ID, int64(s.lane.loop.Now()))
	case s.sealer != nil:
		var value [persist.ValueSize]byte
		v := s.sealer.Append(value[:0], c.Server.ID, issued, s.wall())
		c.SetCookie = persist.AppendSetCookie(make([]byte, 0, 128+len(v)), s.config.Persistence.CookieName, v, false)
	}
}

func (s *shard) wall() time.Time { return s.lane.loop.Wall(s.lane.loop.Now()) }

func (e *Engine) now() int64 { return int64(time.Since(e.epoch)) }
