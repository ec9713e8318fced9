package signin

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"evenkeel/appliance"
)

// memory is a Store that lives in the test.
type memory struct {
	mu       sync.Mutex
	people   map[string]appliance.Operator
	hashes   map[string]string
	sessions map[[32]byte]appliance.SessionRecord
	tokens   map[[32]byte]appliance.TokenRecord
	audit    []appliance.AuditEntry
}

func newMemory() *memory {
	return &memory{
		people: map[string]appliance.Operator{}, hashes: map[string]string{},
		sessions: map[[32]byte]appliance.SessionRecord{}, tokens: map[[32]byte]appliance.TokenRecord{},
	}
}

func absent() error { return &appliance.Error{Kind: appliance.NotFound} }

func (m *memory) Operators(context.Context) ([]appliance.Operator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.people)), nil
}

func (m *memory) CreateOperator(_ context.Context, _ appliance.Origin, name string, role appliance.Role, hash string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.people[name]; exists {
		return &appliance.Error{Kind: appliance.Conflict}
	}
	m.people[name], m.hashes[name] = appliance.Operator{Name: name, Role: role}, hash
	return nil
}

func (m *memory) SetPassword(_ context.Context, _ appliance.Origin, name, hash string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.people[name]; !exists {
		return absent()
	}
	m.hashes[name] = hash
	return nil
}

func (m *memory) PasswordHash(_ context.Context, name string) (string, appliance.Operator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	who, exists := m.people[name]
	if !exists {
		return "", who, absent()
	}
	return m.hashes[name], who, nil
}

func (m *memory) CreateSession(_ context.Context, s appliance.SessionRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[s.TokenHash] = s
	return nil
}

func (m *memory) Session(_ context.Context, hash [32]byte) (appliance.SessionRecord, appliance.Operator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, exists := m.sessions[hash]
	if !exists {
		return s, appliance.Operator{}, absent()
	}
	return s, m.people[s.Operator], nil
}

func (m *memory) Sessions(_ context.Context, name string) ([]appliance.SessionRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []appliance.SessionRecord
	for _, s := range m.sessions {
		if s.Operator == name {
			out = append(out, s)
		}
	}
	return out, nil
}

func (m *memory) TouchSession(_ context.Context, hash [32]byte, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[hash]
	s.Seen = at
	m.sessions[hash] = s
	return nil
}

func (m *memory) SessionReplaced(context.Context, [32]byte) (bool, error) { return false, nil }

func (m *memory) DeleteSession(_ context.Context, hash [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, hash)
	return nil
}

func (m *memory) DeleteSessionsOf(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.sessions, func(_ [32]byte, s appliance.SessionRecord) bool { return s.Operator == name })
	return nil
}

func (m *memory) CreateToken(_ context.Context, _ appliance.Origin, t appliance.TokenRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens[t.Hash] = t
	return nil
}

func (m *memory) Token(_ context.Context, hash [32]byte) (appliance.TokenRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, exists := m.tokens[hash]
	if !exists {
		return t, absent()
	}
	return t, nil
}

func (m *memory) Audit(_ context.Context, e appliance.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.audit = append(m.audit, e)
	return nil
}
