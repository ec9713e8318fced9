package control

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"evenkeel/appliance"
)

// model is what Control should be, in the simplest words: two configurations and a list of what they were.
type model struct {
	saved, running appliance.Config
	history        []string        // hashes of the cluster line; number 1 is first
	read           map[string]Base // what editors have before them, by label
	next           int
}

func (m *model) remember(c appliance.Config) {
	m.history = append(m.history, appliance.Hash(c.Cluster))
}

// save is the model's commit: a revision if something differs.
func (m *model) save(c appliance.Config) {
	if appliance.Hash(c) != appliance.Hash(m.saved) {
		m.remember(c)
	}
	m.saved = c
}

func (m *model) labels(c appliance.Config) []string {
	var out []string
	for _, s := range c.Cluster.VirtualServices {
		out = append(out, s.Label)
	}
	return out
}

func (m *model) pick(t *rapid.T, c appliance.Config) (string, bool) {
	if labels := m.labels(c); len(labels) > 0 {
		return rapid.SampledFrom(labels).Draw(t, "service"), true
	}
	return "", false
}

func edited(c appliance.Config, edit Edit) appliance.Config {
	c = c.Clone()
	if err := edit(&c); err != nil {
		panic(err)
	}
	canonical(&c)
	return c
}

func TestRandomChangesFollowTheModel(t *testing.T) {
	if err := flag.Set("rapid.checks", "25"); err != nil { // each has a database of its own
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		defer b.store.Close()
		m := &model{read: map[string]Base{}, saved: b.Saved().Config, running: b.Saved().Config}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			step(rt, b, m)
			compare(rt, b, m)
		}
		b.restart()
		b.must(b.Boot(t.Context()))
		m.running = m.saved
		compare(rt, b, m)
	})
}

func step(t *rapid.T, b *bench, m *model) {
	ctx := b.t.Context()
	switch rapid.SampledFrom([]string{"add", "add", "remove", "edit", "edit", "read", "save", "save", "act", "act", "apply", "refuse", "discard", "rollback"}).Draw(t, "step") {
	case "add":
		m.next++
		n := m.next
		edit := func(c *appliance.Config) error {
			s := service(fmt.Sprint("S", n), appliance.TCP, "10.0.0.1", uint16(n))
			s.ID = fmt.Sprint("s", n)
			s.RealServers = []appliance.RealServer{realServer("R", "10.1.0.1")}
			s.RealServers[0].ID = fmt.Sprint("r", n)
			c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
			return nil
		}
		b.commit(edit)
		m.save(edited(m.saved, edit))
	case "remove":
		if label, ok := m.pick(t, m.saved); ok {
			edit := func(c *appliance.Config) error {
				c.Cluster.VirtualServices = slices.DeleteFunc(c.Cluster.VirtualServices, func(s appliance.VirtualService) bool { return s.Label == label })
				return nil
			}
			b.commit(edit)
			m.save(edited(m.saved, edit))
		}
	case "edit":
		if label, ok := m.pick(t, m.saved); ok {
			n := rapid.IntRange(1, 3).Draw(t, "limit")
			edit := change(label, func(s *appliance.VirtualService) { s.Limits.MaxConnections = n })
			b.commit(edit)
			m.save(edited(m.saved, edit))
		}
	case "read":
		if label, ok := m.pick(t, m.saved); ok {
			m.read[label] = baseOf(b, label)
		}
	case "save":
		m.saveForm(t, b)
	case "act":
		m.act(t, b)
	case "apply":
		b.apply()
		m.running = m.saved
	case "refuse":
		b.engine.refuse = func(appliance.Config) error { return &appliance.Error{Kind: appliance.Conflict, Message: "no"} }
		if _, err := b.Apply(ctx, anna()); appliance.KindOf(err) != appliance.Conflict {
			t.Fatalf("applied: %v", err)
		}
		b.engine.refuse = nil
	case "discard":
		_, err := b.Discard(ctx, anna())
		b.must(err)
		m.save(m.running)
	case "rollback":
		if len(m.history) > 0 {
			n := rapid.IntRange(1, len(m.history)).Draw(t, "number")
			then, err := b.Revision(ctx, int64(n))
			b.must(err)
			if appliance.Hash(then.Config.Cluster) != m.history[n-1] {
				t.Fatalf("revision %d is another one", n)
			}
			_, err = b.Rollback(ctx, anna(), int64(n))
			b.must(err)
			m.save(appliance.Config{Cluster: then.Config.Cluster, Local: m.saved.Local})
		}
	}
}

// saveForm saves what an editor once read: it is stale exactly when the object is not as it was.
func (m *model) saveForm(t *rapid.T, b *bench) {
	if len(m.read) == 0 {
		return
	}
	label := rapid.SampledFrom(slices.Sorted(maps.Keys(m.read))).Draw(t, "form")
	base, now := m.read[label], named(&m.saved, label)
	n := rapid.IntRange(4, 9).Draw(t, "limit")
	edit := change(label, func(s *appliance.VirtualService) { s.Limits.MaxConnections = n })
	_, err := b.Commit(b.t.Context(), ben(), []Base{base}, edit)
	if now == nil || appliance.Hash(now) != base.Hash {
		if appliance.KindOf(err) != appliance.Stale {
			t.Fatalf("%s changed, and the form was saved: %v", label, err)
		}
		return
	}
	b.must(err)
	m.save(edited(m.saved, edit))
}

// act changes the weight of a server that is saved, runs, or both.
func (m *model) act(t *rapid.T, b *bench) {
	from := m.running
	if rapid.Bool().Draw(t, "saved") {
		from = m.saved
	}
	label, ok := m.pick(t, from)
	if !ok {
		return
	}
	s := named(&from, label)
	n := rapid.IntRange(0, 3).Draw(t, "weight")
	_, err := b.Act(b.t.Context(), anna(), []Act{{Service: s.ID, Server: s.RealServers[0].ID, Weight: &n}})
	b.must(err)
	weigh := func(c *appliance.Config) error {
		if s := named(c, label); s != nil {
			s.RealServers[0].Weight = n
		}
		return nil
	}
	running, saved := edited(m.running, weigh), edited(m.saved, weigh)
	runs := appliance.Hash(running) != appliance.Hash(m.running)
	if runs {
		m.remember(running)
	}
	if appliance.Hash(saved) != appliance.Hash(running) && (runs || appliance.Hash(saved) != appliance.Hash(m.saved)) ||
		!runs && appliance.Hash(saved) != appliance.Hash(m.saved) {
		m.remember(saved)
	}
	m.running, m.saved = running, saved
}

func compare(t *rapid.T, b *bench, m *model) {
	saved, running := b.Saved(), b.Running()
	if appliance.Hash(saved.Config) != appliance.Hash(m.saved) {
		t.Fatalf("saved differs: %s", appliance.Diff(m.saved, saved.Config).Summary())
	}
	if appliance.Hash(running.Config) != appliance.Hash(m.running) || appliance.Hash(b.engine.running.Cluster) != appliance.Hash(m.running.Cluster) {
		t.Fatalf("running differs: %s", appliance.Diff(m.running, running.Config).Summary())
	}
	if int(saved.Revision.Number) != len(m.history) {
		t.Fatalf("newest revision %d, the model has %d", saved.Revision.Number, len(m.history))
	}
	if b.Pending().Empty() != (appliance.Hash(m.saved) == appliance.Hash(m.running)) {
		t.Fatalf("pending: %s", b.Pending().Summary())
	}
	r, content, err := b.store.Latest(b.t.Context(), appliance.ClusterLine)
	if len(m.history) > 0 && (err != nil || r.Hash != appliance.Hash(m.saved.Cluster) || string(content) != string(encode(m.saved.Cluster))) {
		t.Fatalf("the store's newest is another one: %v", err)
	}
}
