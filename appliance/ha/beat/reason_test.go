package beat

import (
	"testing"

	"evenkeel/appliance"
)

func TestEveryReasonIsSaidInWords(t *testing.T) {
	seen := map[string]bool{}
	for r := Length; r < reasons; r++ {
		words := appliance.RejectedWords(r.String())
		if words == r.String() || seen[words] {
			t.Errorf("%s: %q", r, words)
		}
		seen[words] = true
	}
	if got := appliance.RejectedWords("of_tomorrow"); got != "of tomorrow" {
		t.Errorf("%q", got)
	}
}
