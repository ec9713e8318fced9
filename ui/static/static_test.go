package static

import (
	"strings"
	"testing"

	"evenkeel/appliance"
)

// TestEveryKindShowsItsFields, of check and of persistence: the style sheet hides the fields of kinds that are not chosen, so it must know each of them by name.
func TestEveryKindShowsItsFields(t *testing.T) {
	css, err := files.ReadFile("app.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range appliance.MonitorKinds() {
		if k != appliance.MonitorNone && !strings.Contains(string(css), ".fold-section:has([value="+string(k)+"]:checked) .f[data-for~="+string(k)+"]") {
			t.Errorf("the fields of the check %q stay hidden", k)
		}
	}
	for _, k := range appliance.PersistenceKinds() {
		if k != appliance.PersistNone && !strings.Contains(string(css), ".fold-section:has([value="+string(k)+"]:checked) .f[data-for~="+string(k)+"]") {
			t.Errorf("the fields of the persistence %q stay hidden", k)
		}
	}
}
