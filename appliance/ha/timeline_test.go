package ha

import (
	"reflect"
	"testing"

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
