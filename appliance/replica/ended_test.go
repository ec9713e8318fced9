package replica

import (
	"context"
	"testing"

	"evenkeel/appliance"
)

// told has the alerts of a node in a map from now on.
func told(r *rig) map[string]appliance.Alert {
	alerts := map[string]appliance.Alert{}
	r.members.o.Alert = func(a appliance.Alert) { alerts[a.Code] = a }
	r.members.o.Clear = func(code string) { delete(alerts, code) }
	return alerts
}

// TestPairThatThePeerBrokeIsToldUntilItIsDismissed: also behind a restart, and never on the node where it was broken.
func TestPairThatThePeerBrokeIsToldUntilItIsDismissed(t *testing.T) {
	for name, breakerActive := range map[string]bool{"gave its services up": true, "keeps the services": false} {
		t.Run(name, func(t *testing.T) {
			a, b := newRig(t, "lb1"), newRig(t, "lb2")
			must(t, a.pair(b))
			ofA, ofB := told(a), told(b)
			a.active.Store(breakerActive)
			b.active.Store(!breakerActive)
			_, err := a.members.Break(t.Context(), anna(), nil)
			must(t, err)
			if end, some := a.members.Last(); some || len(ofA) > 0 {
				t.Errorf("the node that broke it is told %+v, %v", end, ofA)
			}
			end, some := b.members.Ended()
			if !some || end.By != "lb1" || end.Away || end.Kept == breakerActive || end.At.IsZero() || ofB[appliance.CodePairEnded].Sentence != end.Sentence() {
				t.Fatalf("%+v, %v", end, ofB)
			}
			b.restart()
			ofB = told(b)
			b.members.tellEnded()
			if again, some := b.members.Ended(); !some || again != end || len(ofB) != 1 {
				t.Errorf("after a restart: %+v, %v", again, ofB)
			}
			must(t, b.members.Dismiss(t.Context(), anna()))
			if _, some := b.members.Ended(); some || len(ofB) > 0 {
				t.Errorf("it is told after it was dismissed: %v", ofB)
			}
			b.restart()
			if _, some := b.members.Ended(); some {
				t.Error("it is told again after a restart")
			}
			if last, some := b.members.Last(); !some || last != end {
				t.Errorf("forgotten: %+v", last)
			}
			if err := b.members.Dismiss(t.Context(), anna()); appliance.KindOf(err) != appliance.NotFound {
				t.Errorf("dismissed twice: %v", err)
			}
		})
	}
}

func TestNextPairEndsWhatIsSaidOfTheLast(t *testing.T) {
	a, b, c := newRig(t, "lb1"), newRig(t, "lb2"), newRig(t, "lb3")
	must(t, a.pair(b))
	ofB := told(b)
	a.active.Store(true)
	_, err := a.members.Break(t.Context(), anna(), nil)
	must(t, err)
	if len(ofB) != 1 {
		t.Fatalf("%v", ofB)
	}
	must(t, c.pair(b))
	if _, some := b.members.Last(); some || len(ofB) > 0 {
		t.Errorf("in a pair again: %v", ofB)
	}
	b.active.Store(true)
	_, err = b.members.Break(t.Context(), anna(), nil)
	must(t, err)
	if end, some := b.members.Last(); some {
		t.Errorf("the pair before the last is told: %+v", end)
	}
}

// TestOpenTellsOfTheEndThatIsKept: the alert of a process that starts is raised by what is stored.
func TestOpenTellsOfTheEndThatIsKept(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	must(t, a.pair(b))
	a.active.Store(true)
	_, err := a.members.Break(context.WithoutCancel(t.Context()), anna(), nil)
	must(t, err)
	o := b.members.o
	var raised []appliance.Alert
	o.Alert = func(x appliance.Alert) { raised = append(raised, x) }
	_, err = Open(t.Context(), o)
	must(t, err)
	if len(raised) != 1 || raised[0].Code != appliance.CodePairEnded {
		t.Errorf("%+v", raised)
	}
}
