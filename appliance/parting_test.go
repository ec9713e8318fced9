package appliance

import (
	"strings"
	"testing"
	"time"
)

func TestPairEndSaysWhoWhenAndWhatThisNodeDoesNow(t *testing.T) {
	at := time.Date(2026, 11, 21, 23, 10, 0, 0, time.FixedZone("CET", 3600))
	for name, c := range map[string]struct {
		end   PairEnd
		wants []string
	}{
		"left":          {PairEnd{At: at, By: "lb1"}, []string{"lb1 broke the pair on 21 November 2026 at 22:10 UTC: lb1 keeps the virtual services, and this node has given up its own and is alone.", "to a pair again on lb1", "History"}},
		"kept":          {PairEnd{At: at, By: "lb1", Kept: true}, []string{"lb1 broke the pair on 21 November 2026 at 22:10 UTC: this node keeps the virtual services with their addresses, and is alone.", "its services fail", "!History"}},
		"left, was off": {PairEnd{At: at, By: "lb1", Away: true}, []string{"lb1 broke the pair while this node was away, as it learned on 21 November 2026 at 22:10 UTC: lb1 keeps"}},
	} {
		a := c.end.Alert()
		for _, want := range c.wants {
			text, not := strings.CutPrefix(want, "!")
			if strings.Contains(a.Sentence+" "+a.Hint, text) == not {
				t.Errorf("%s: %q of %q %q", name, want, a.Sentence, a.Hint)
			}
		}
		if a.Code != CodePairEnded || a.Severity != Warning || !a.Since.Equal(at) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
