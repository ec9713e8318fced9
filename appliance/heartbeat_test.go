package appliance

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"
)

func TestHeartbeatDefaultsAreTheZeroValue(t *testing.T) {
	c := Cluster{Heartbeat: NewHeartbeat()}
	c.Normalize()
	if !c.Heartbeat.isZero() {
		t.Fatalf("the defaults are stored: %+v", c.Heartbeat)
	}
	if b, err := json.Marshal(c); err != nil || string(b) != `{"virtual_services":null,"settings":{"allow_loopback":false,"apply_at_once":false}}` {
		t.Fatalf("%s %v", b, err)
	}
	if got := c.Heartbeat.OrDefault(); got.Interval != Duration(10*time.Millisecond) || got.Dead != Duration(150*time.Millisecond) || got.Witness != WitnessGateway {
		t.Fatalf("%+v", got)
	}
}

func TestHeartbeatIsValidated(t *testing.T) {
	with := func(change func(*Heartbeat)) Config {
		h := NewHeartbeat()
		change(&h)
		return Config{Cluster: Cluster{Heartbeat: h}}
	}
	gateway := netip.MustParseAddr("192.168.0.1")
	for name, c := range map[string]struct {
		change func(*Heartbeat)
		field  string
	}{
		"defaults":           {func(*Heartbeat) {}, ""},
		"no witness":         {func(h *Heartbeat) { h.Witness = WitnessNone }, ""},
		"another machine":    {func(h *Heartbeat) { h.Witness, h.Asked = WitnessAddresses, []netip.Addr{gateway} }, ""},
		"nobody named":       {func(h *Heartbeat) { h.Witness = WitnessNode }, "heartbeat.witness_addresses"},
		"loopback":           {func(h *Heartbeat) { h.Asked = []netip.Addr{netip.MustParseAddr("127.0.0.1")} }, "heartbeat.witness_addresses"},
		"below the lease":    {func(h *Heartbeat) { h.Dead = Duration(100 * time.Millisecond) }, "heartbeat.dead_time"},
		"one lost datagram":  {func(h *Heartbeat) { h.Interval, h.Dead = Duration(50*time.Millisecond), Duration(Lease-1) }, "heartbeat.dead_time"},
		"too often":          {func(h *Heartbeat) { h.Interval = Duration(time.Millisecond) }, "heartbeat.interval"},
		"no such witness":    {func(h *Heartbeat) { h.Witness = "moon" }, "heartbeat.witness"},
		"too many addresses": {func(h *Heartbeat) { h.Asked = make([]netip.Addr, mostWitnesses+1) }, "heartbeat.witness_addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			list := ErrorsOf(Validate(with(c.change), Site{}))
			if c.field == "" {
				if len(list) > 0 {
					t.Fatal(list)
				}
				return
			}
			if len(list) == 0 || list[0].Field != c.field {
				t.Fatalf("%v, want one at %s", list, c.field)
			}
		})
	}
}

func TestPlanTellsOfTheHeartbeat(t *testing.T) {
	h := NewHeartbeat()
	h.Failback = true
	p := Diff(Config{}, Config{Cluster: Cluster{Heartbeat: h}})
	if got, want := p.Summary(), "Heartbeat: automatic failback false → true"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
}
