package main

import (
	"net/netip"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestAddressThatNoNodeOfThePairPutsOnIsTold(t *testing.T) {
	list := func() []appliance.FloatingAddress {
		return []appliance.FloatingAddress{
			{Address: netip.MustParseAddr("192.168.0.188"), Interface: "eth0", Services: []string{"VNA"}},
			{Address: netip.MustParseAddr("fd77::9"), Services: []string{"WEB", "WEB6"}},
			{Address: netip.MustParseAddr("192.168.0.190"), Sentence: "Saved, and not yet applied."},
		}
	}
	if _, some := nowhere(settled(list()[:1], true)); some {
		t.Error("an address that is there is told")
	}
	got := settled(list(), true)
	if !got[0].Here || !strings.Contains(got[0].Sentence, "stays on this node") || got[1].Here || !strings.Contains(got[1].Sentence, "no interface") || got[2].Sentence != "Saved, and not yet applied." {
		t.Errorf("%+v", got)
	}
	a, some := nowhere(got)
	if !some || !strings.HasPrefix(a.Sentence, "fd77::9 (WEB, WEB6) is on no interface of this node and will not float") || !strings.Contains(a.Hint, "ip addr add fd77::9/128 dev") {
		t.Errorf("%+v", a)
	}
	if got := settled(list(), false); got[1].Here || got[1].Sentence != "" {
		t.Errorf("the other node's business: %+v", got[1])
	}
}
