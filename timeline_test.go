package main

import (
	"testing"

	"evenkeel/appliance"
)

func TestTimelineOfAPairThatEndedStaysReadable(t *testing.T) {
	p := &pair{}
	if list := p.Timeline(); list == nil || len(list) > 0 {
		t.Errorf("%+v", list)
	}
	told := []appliance.PairEvent{{Code: "paired"}, {Code: "broken"}}
	p.decided.Store(&told)
	if list := p.Timeline(); len(list) != 2 || list[0].Code != "broken" || list[1].Code != "paired" {
		t.Errorf("%+v", list)
	}
}
