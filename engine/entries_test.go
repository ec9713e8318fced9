package engine

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/persist"
)

// crowded returns an engine whose two services remember n clients each, s0 and s1 in turn, one a second.
func crowded(t *testing.T, n int) (*rig, appliance.VirtualService, appliance.VirtualService) {
	t.Helper()
	r := start(t, Options{Loops: 1})
	server := netip.MustParseAddrPort("127.0.0.1:1")
	a, b := sticky(t, server, server), sticky(t, server, server)
	b.ID, b.Label = "other-id", "other"
	for i := range b.RealServers {
		b.RealServers[i].ID = fmt.Sprint("other-s", i)
	}
	a.Persistence.TableSize, b.Persistence.TableSize = max(n, 16), max(n, 16)
	r.apply(a, b)
	for _, v := range []appliance.VirtualService{a, b} {
		table := r.tables(appliance.PersistenceQuery{Service: v.ID})[0].table
		for i := range n {
			client := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			table.Put(table.KeyOf(client), v.RealServers[i%2].ID, r.now()-int64(time.Duration(n-i)*time.Second)%int64(20*time.Minute))
		}
	}
	return r, a, b
}

func TestEntriesAreChosenOrderedAndPaged(t *testing.T) {
	r, a, b := crowded(t, 300)
	type q = appliance.PersistenceQuery
	for _, c := range []struct {
		query q
		total int
		first string
	}{
		{q{}, 600, "10.0.1.43"},
		{q{Service: a.ID}, 300, "10.0.1.43"},
		{q{Service: a.ID, Sort: appliance.SortByExpiry}, 300, "10.0.0.0"},
		{q{Service: a.ID, Sort: appliance.SortByAge, Reverse: true}, 300, "10.0.0.0"},
		{q{Service: b.ID, Sort: appliance.SortByKey, Offset: 256, Limit: 3}, 300, "10.0.1.0"},
		{q{Service: b.ID, Sort: appliance.SortByServer}, 300, "10.0.0.0"},
		{q{Service: b.ID, Sort: appliance.SortByServer, Reverse: true}, 300, "10.0.0.1"},
		{q{Sort: appliance.SortByService}, 600, "10.0.0.0"},
		{q{Server: a.RealServers[1].ID, Sort: appliance.SortByKey}, 150, "10.0.0.1"},
		{q{Client: netip.MustParsePrefix("10.0.1.0/24"), Sort: appliance.SortByKey}, 88, "10.0.1.0"},
		{q{Text: "10.0.1.4", Service: a.ID, Sort: appliance.SortByKey}, 5, "10.0.1.4"},
		{q{Text: "10.0.1.0/30", Service: a.ID, Sort: appliance.SortByKey}, 4, "10.0.1.0"},
		{q{Text: "OTHER", Sort: appliance.SortByKey}, 300, "10.0.0.0"},
		{q{Text: "s1", Service: a.ID, Sort: appliance.SortByKey}, 150, "10.0.0.1"},
		{q{Key: "10.0.0.7"}, 2, "10.0.0.7"},
		{q{Key: "nonsense"}, 0, ""},
		{q{Offset: 5000}, 600, ""},
	} {
		list := r.Persistence(c.query)
		got := ""
		if len(list.Entries) > 0 {
			got = list.Entries[0].Key
		}
		if list.Total != c.total || got != c.first || c.query.Limit > 0 && len(list.Entries) != c.query.Limit {
			t.Errorf("%+v: %d, first %q of %d shown", c.query, list.Total, got, len(list.Entries))
		}
	}
}

func TestWhatAClientShowedFindsItsEntry(t *testing.T) {
	r, a, _ := crowded(t, 3)
	table := r.tables(appliance.PersistenceQuery{Service: a.ID})[0].table
	table.Put(persist.DigestKey(persist.Cookie, []byte("A1B2C3")), a.RealServers[0].ID, r.now())
	list := r.Persistence(appliance.PersistenceQuery{Text: "A1B2C3"})
	if list.Total != 1 || list.Entries[0].Kind != "cookie" || list.Entries[0].Client.IsValid() {
		t.Fatalf("%+v", list)
	}
	if n := r.ClearPersistence(appliance.PersistenceQuery{Service: a.ID, Key: list.Entries[0].Key}); n != 1 || r.Persistence(appliance.PersistenceQuery{Text: "A1B2C3"}).Total != 0 {
		t.Errorf("%d cleared", n)
	}
}

func TestEntriesAreClearedAsTheyAreChosen(t *testing.T) {
	for query, left := range map[appliance.PersistenceQuery]int{
		{Client: netip.MustParsePrefix("10.0.0.0/28")}: 568, {Server: "svc-s0"}: 450, {Service: "other-id"}: 300, {Text: "10.0.1.4"}: 590, {}: 0,
	} {
		r, _, _ := crowded(t, 300)
		if n := r.ClearPersistence(query); n != 600-left || r.Persistence(appliance.PersistenceQuery{}).Total != left {
			t.Errorf("%+v: %d cleared", query, n)
		}
		r.stop()
	}
}
