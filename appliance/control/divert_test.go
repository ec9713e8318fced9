package control

import (
	"slices"
	"strings"
	"testing"

	"evenkeel/appliance"
)

// transparent says whether the servers of HL7 see their clients.
func transparent(on bool) Edit {
	return func(c *appliance.Config) error {
		c.Cluster.VirtualServices[0].SourceAddress.Transparent = on
		return nil
	}
}

func TestRulesForTransparentSourcesComeBeforeTheEngineAndGoBehindIt(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.calls = nil
	b.commit(transparent(true))
	b.apply()
	b.apply()
	b.commit(transparent(false))
	b.apply()
	if want := []string{"divert true", "engine", "engine", "engine", "divert false"}; !slices.Equal(b.calls, want) {
		t.Errorf("order %q, want %q", b.calls, want)
	}
}

func TestWithoutTheRightTransparencyIsRefusedAtItsField(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.apply()
	b.host.denied = &appliance.Error{Kind: appliance.Denied, Message: "CAP_NET_ADMIN is missing.", Hint: "Run it as root."}
	_, err := b.Commit(t.Context(), anna(), nil, transparent(true))
	list := appliance.ErrorsOf(err)
	if len(list) != 1 || list[0].Kind != appliance.Denied || list[0].Field != "virtual_services[HL7].source_address" || list[0].Hint == "" {
		t.Errorf("%v", err)
	}
	b.host.denied = nil
	b.commit(transparent(true))
	b.host.denied = &appliance.Error{Kind: appliance.Unsupported, Message: "This kernel cannot."} // Check could not know it
	_, err = b.Apply(t.Context(), anna())
	if list := appliance.ErrorsOf(err); len(list) != 1 || list[0].Field != "virtual_services[HL7].source_address" {
		t.Errorf("%v", err)
	}
	if b.engine.running.Transparent() || b.host.diverting {
		t.Error("what was refused runs")
	}
}

func TestRulesAreKeptWhileTheyAreNeededAndLetGoLater(t *testing.T) {
	b := newBench(t)
	b.commit(imaging)
	b.commit(transparent(true))
	b.apply()
	b.host.diverting = false // somebody flushed them
	b.keepDiverted(t.Context())
	if !b.host.diverting {
		t.Error("the rules were not made again")
	}
	b.host.denied = &appliance.Error{Kind: appliance.Denied, Message: "CAP_NET_ADMIN is missing."}
	b.keepDiverted(t.Context())
	if list := b.Alerts(); len(list) != 1 || list[0].Code != codeDivertLost || !strings.Contains(list[0].Sentence, "CAP_NET_ADMIN is missing.") {
		t.Errorf("%+v", list)
	}
	b.host.denied = nil
	b.keepDiverted(t.Context())
	if list := b.Alerts(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	b.commit(transparent(false))
	b.apply()
	b.host.diverting = true // the host kept them for a connection
	b.keepDiverted(t.Context())
	if b.host.diverting {
		t.Error("the rules were not let go")
	}
}
