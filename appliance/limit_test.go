package appliance

import (
	"strings"
	"testing"
)

func TestHeadLimitHasBoundsAndADefaultForOldConfigurations(t *testing.T) {
	var s VirtualService
	if err := s.UnmarshalJSON([]byte(`{"label":"x","protocol":"http","http":{"keep_alive":"close"}}`)); err != nil || s.HTTP.HeadLimit != 48<<10 || s.HTTP.TraceAndOptions {
		t.Errorf("%v, %d", err, s.HTTP.HeadLimit)
	}
	for n, ok := range map[int]bool{-1: false, 0: false, 1023: false, 1024: true, 49152: true, 49153: false} {
		s.HTTP.HeadLimit = n
		err := Validate(Config{Cluster: Cluster{VirtualServices: []VirtualService{s}}}, Site{})
		if refused := err != nil && strings.Contains(err.Error(), "This must be 1024 to 49152."); refused == ok {
			t.Errorf("%d: %v", n, err)
		}
	}
	before, after := s, s
	before.HTTP.HeadLimit, after.HTTP.HeadLimit = 49152, 8192
	if got := Diff(Config{Cluster: Cluster{VirtualServices: []VirtualService{before}}}, Config{Cluster: Cluster{VirtualServices: []VirtualService{after}}}).Summary(); got != "x: head limit 49152 → 8192" {
		t.Error(got)
	}
}
