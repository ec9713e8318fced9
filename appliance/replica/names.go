package replica

import "context"

// A node may get another name while it is in a pair. It says its name with everything that it sends, and the passive one is asked by which name it knows the other.

// own is what this node is called, as other nodes may show it.
func (m *Members) own() string { return clean(m.o.Name()) }

// known is the name by which this node knows its peer; empty without a pair.
func (m *Members) known() string {
	if c := m.current.Load(); c != nil {
		return c.Peer.Name
	}
	return ""
}

// NamePeer keeps what the other node says that it is called. An empty name is none, and changes nothing.
func (m *Members) NamePeer(ctx context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.current.Load()
	if name = clean(name); name == "" || len(name) > longestName || current == nil || current.Peer.Name == name {
		return nil
	}
	next := *current
	next.Peer.Name = name
	if err := m.write(ctx, map[string]any{secretPair: next}, nil); err != nil {
		return err
	}
	m.current.Store(&next)
	return nil
}

const longestName = 255
