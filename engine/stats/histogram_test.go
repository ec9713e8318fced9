package stats

import (
	"testing"
	"time"

	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

func TestEveryTimeFallsIntoABucketThatHoldsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(200*time.Second)).Draw(t, "d"))
		i := bucketOf(d)
		if i < Buckets-1 && d >= Below(i) || i > 0 && d < Below(i-1) {
			t.Fatalf("%v is in bucket %d, which ends at %v; the one before ends at %v", d, i, Below(i), Below(max(i-1, 0)))
		}
	})
	for i := 1; i < Buckets-1; i++ {
		if Below(i) <= Below(i-1) || float64(Below(i)) > 1.26*float64(Below(i-1)) {
			t.Errorf("bucket %d ends at %v, the one before at %v", i, Below(i), Below(i-1))
		}
	}
}

func TestQuantilesAreRightWithinAQuarter(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	h.Add(-1)
	var c Counts
	h.AddTo(&c)
	if c.Total() != 1000 || c.Sum != uint64(500500*time.Millisecond) {
		t.Errorf("%d times, %v in all", c.Total(), time.Duration(c.Sum))
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := Below(c.Quantile(q)); got < want || float64(got) > 1.26*float64(want) {
			t.Errorf("the %v quantile is below %v, want %v", q, got, want)
		}
	}
	if (&Counts{}).Quantile(0.5) != -1 {
		t.Error("nothing has a quantile")
	}
}

func TestSinceCountsWholeWhatBeganAnew(t *testing.T) {
	var h, anew Histogram
	h.Add(time.Millisecond)
	h.Add(time.Second)
	anew.Add(time.Millisecond)
	var before, now, fresh Counts
	h.AddTo(&before)
	h.Add(time.Millisecond)
	h.AddTo(&now)
	anew.AddTo(&fresh)
	if d := now.Since(&before); d.Total() != 1 || d.Sum != uint64(time.Millisecond) {
		t.Errorf("%d", d.Total())
	}
	if d := fresh.Since(&before); d.Total() != 1 {
		t.Errorf("%d", d.Total())
	}
}

func TestTrafficCountsCodesEndsRetriesAndLatency(t *testing.T) {
	var traffic Traffic
	began := wire.Time(time.Second)
	traffic.Add(&wire.Record{Began: began, FirstByte: began.Add(time.Millisecond), Status: 204, End: wire.EndDone})
	traffic.Add(&wire.Record{Began: began, Status: 503, End: wire.EndConnectFailed, Tries: 3})
	traffic.Add(&wire.Record{Began: began, Connected: began.Add(time.Second), FirstByte: began.Add(time.Hour), Session: true, End: wire.EndClientClosed})
	traffic.Add(&wire.Record{Status: 999, End: 99})
	var s Sums
	traffic.AddTo(&s)
	if s.Codes != [6]uint64{2: 1, 5: 1} || s.Retries != 3 || s.Failed() != 2 || s.Latency.Total() != 2 || s.Latency.Sum != uint64(time.Second+time.Millisecond) {
		t.Errorf("%+v", s)
	}
	r := &wire.Record{Began: began, FirstByte: began.Add(time.Millisecond), Status: 200, End: wire.EndDone}
	if n := testing.AllocsPerRun(100, func() { traffic.Add(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
