package engine

import (
	"net/netip"
	"testing"

	"evenkeel/appliance"
)

func sticky(t *testing.T, servers ...netip.AddrPort) appliance.VirtualService {
	v := tcp(t, "svc", servers...)
	v.Persistence.Kind = appliance.PersistSourceIP
	v.Scheduler = appliance.RoundRobin
	return v
}

// remembered lists the entries of a service.
func (r *rig) remembered(id string) []appliance.PersistenceEntry {
	return r.Persistence(appliance.PersistenceQuery{Service: id}).Entries
}

func TestSourceIPPersistenceKeepsAClientOnItsServer(t *testing.T) {
	r := start(t, Options{Loops: 1})
	v := sticky(t, serve(t, echo("a")).address, serve(t, echo("b")).address)
	r.apply(v)
	home := map[string]string{}
	for range 3 {
		for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"} {
			name := readName(t, dialFrom(t, from, address(v)))
			if before, known := home[from]; known && before != name {
				t.Fatalf("%s moved from %s to %s", from, before, name)
			}
			home[from] = name
		}
	}
	rows := r.remembered(v.ID)
	if len(rows) != 4 || rows[0].ServiceID != v.ID || rows[0].Remaining <= 0 || !rows[0].Client.IsSingleIP() {
		t.Fatalf("%+v", rows)
	}
	st := r.status(v.ID)
	if st.Servers[0].PersistenceEntries != 2 || st.Servers[1].PersistenceEntries != 2 {
		t.Errorf("%+v", st.Servers)
	}
	if n := r.ClearPersistence(appliance.PersistenceQuery{Service: v.ID, Key: "127.0.0.2"}); n != 1 || len(r.remembered(v.ID)) != 3 {
		t.Errorf("%d cleared", n)
	}
	if n := r.ClearPersistence(appliance.PersistenceQuery{Service: v.ID, Server: st.Servers[0].ID}) + r.ClearPersistence(appliance.PersistenceQuery{Service: v.ID}); n != 3 || len(r.remembered(v.ID)) != 0 {
		t.Errorf("%d cleared", n)
	}
	if r.ClearPersistence(appliance.PersistenceQuery{Service: "nobody"}) != 0 || len(r.remembered("nobody")) != 0 {
		t.Error("a service that is not there has clients")
	}
}

func TestADrainedServerKeepsItsReturningClientsUnlessTheyAreCleared(t *testing.T) {
	r := start(t, Options{})
	v := sticky(t, serve(t, echo("a")).address, serve(t, echo("b")).address)
	v.Mode = appliance.Failover
	r.apply(v)
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "a" {
		t.Fatal(name)
	}
	v.RealServers[0].State = appliance.Drain
	r.apply(v)
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "a" {
		t.Errorf("the returning client got %s", name)
	}
	if name := readName(t, dialFrom(t, "127.0.0.3", address(v))); name != "b" {
		t.Errorf("a new client got %s", name)
	}
	v.RealServers[0].State = appliance.Online
	r.apply(v)
	v.RealServers[0].State, v.Persistence.ClearOnDrain = appliance.Drain, true
	r.apply(v)
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "b" {
		t.Errorf("behind the clearing the client got %s", name)
	}
}

func TestWeightZeroTakesReturningClientsOnly(t *testing.T) {
	r := start(t, Options{})
	v := sticky(t, serve(t, echo("a")).address, serve(t, echo("b")).address)
	v.Mode = appliance.Failover
	r.apply(v)
	readName(t, dialFrom(t, "127.0.0.2", address(v)))
	v.RealServers[0].Weight = 0
	r.apply(v)
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "a" {
		t.Errorf("the returning client got %s", name)
	}
	if name := readName(t, dialFrom(t, "127.0.0.3", address(v))); name != "b" {
		t.Errorf("a new client got %s", name)
	}
}

func TestARefusedConnectRewritesTheEntry(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := sticky(t, a.address, b.address)
	v.Mode = appliance.Failover
	r.apply(v)
	readName(t, dialFrom(t, "127.0.0.2", address(v)))
	a.close()
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "b" {
		t.Fatal(name)
	}
	serveOn(t, a.address.String(), echo("a"))
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "b" {
		t.Errorf("the entry was not rewritten: back on %s", name)
	}
	if rows := r.remembered(v.ID); len(rows) != 1 || rows[0].ServerID != v.RealServers[1].ID {
		t.Errorf("%+v", rows)
	}
}

func TestTheTableOutlivesRevisionsAndForgetsRemovedServers(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	r := start(t, Options{})
	v := sticky(t, a.address, b.address)
	v.Mode = appliance.Failover
	r.apply(v)
	readName(t, dialFrom(t, "127.0.0.2", address(v)))
	swapped := v.Clone()
	swapped.RealServers[0], swapped.RealServers[1] = v.RealServers[1], v.RealServers[0]
	r.apply(swapped)
	if name := readName(t, dialFrom(t, "127.0.0.2", address(v))); name != "a" {
		t.Errorf("behind a change the client got %s", name)
	}
	swapped.RealServers = swapped.RealServers[:1]
	r.apply(swapped)
	if rows := r.remembered(v.ID); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
}

func TestTheTableSurvivesARestart(t *testing.T) {
	a, b := serve(t, echo("a")), serve(t, echo("b"))
	v := sticky(t, a.address, b.address)
	first := start(t, Options{Loops: 1})
	first.apply(v)
	home := map[string]string{}
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		home[from] = readName(t, dialFrom(t, from, address(v)))
	}
	saved := first.SavePersistence()
	first.stop()
	second := start(t, Options{Loops: 1})
	second.RestorePersistence(map[string][]byte{v.ID: saved[v.ID], "other": []byte("damaged")})
	other := sticky(t, a.address)
	other.ID, other.Label, other.RealServers[0].ID = "other", "other", "other-server"
	second.apply(v, other)
	for from, name := range home {
		if got := readName(t, dialFrom(t, from, address(v))); got != name {
			t.Errorf("%s moved from %s to %s", from, name, got)
		}
	}
}
