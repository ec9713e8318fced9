package ha

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNodeWithoutItsAddressSaysWhatItMayBe(t *testing.T) {
	own := netip.MustParseAddr("192.0.2.77") // of no machine
	s, err := openSocket(netip.AddrPortFrom(own, Port), netip.MustParseAddrPort("192.0.2.78:6694"), nil)
	if err == nil {
		s.close()
		t.Fatal("the address can be used")
	}
	if text := closedSentence(err, own); !strings.HasPrefix(text, "This machine does not have the address 192.0.2.77") || !strings.Contains(text, "a copy of the node") {
		t.Error(text)
	}
	if text := closedSentence(err, netip.MustParseAddr("192.0.2.1")); text != "A heartbeat path is closed: this machine does not have the address 192.0.2.77. It is opened when that ends." {
		t.Error(text)
	}
}
