package ha

import (
	"reflect"
	"testing"
	"time"

	"evenkeel/appliance"
)

func TestTimelineIsReadWithoutANode(t *testing.T) {
	dir := t.TempDir()
	if list := ReadTimeline(dir); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	line := openTimeline(dir)
	for _, code := range []string{"paired", "took_over", "broken"} {
		line.add(appliance.PairEvent{Node: "lb1", Code: code, Sentence: code + "."})
	}
	if err := line.save(); err != nil {
		t.Fatal(err)
	}
	if got := ReadTimeline(dir); len(got) != 3 || !reflect.DeepEqual(got, line.all()) {
		t.Errorf("%+v", got)
	}
}

func TestAddToTimelineAddsALineOnce(t *testing.T) {
	dir := t.TempDir()
	e := appliance.PairEvent{At: time.Unix(1_800_000_000, 5).UTC(), Node: "lb2", Code: appliance.CodePairEnded, Sentence: "lb1 broke the pair."}
	for range 2 {
		if list, err := AddToTimeline(dir, e); err != nil || len(list) != 1 || list[0] != e {
			t.Errorf("%+v, %v", list, err)
		}
	}
	e.At = e.At.Add(time.Hour)
	if list, err := AddToTimeline(dir, e); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if list := ReadTimeline(dir); len(list) != 2 {
		t.Errorf("kept: %+v", list)
	}
}
