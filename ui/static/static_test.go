package static

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

// TestEveryKindOfCheckShowsItsFields: the style sheet hides the fields of kinds that are not chosen, so it must know each of them by name.
func TestEveryKindOfCheckShowsItsFields(t *testing.T) {
	css, err := files.ReadFile("app.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range appliance.MonitorKinds() {
		if k != appliance.MonitorNone && !strings.Contains(string(css), ".fold-section:has([value="+string(k)+"]:checked) .f[data-for~="+string(k)+"]") {
			t.Errorf("the fields of the check %q stay hidden", k)
		}
	}
}
