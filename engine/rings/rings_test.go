package rings

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
	"evenkeel/engine/wire"

	"pgregory.net/rapid"
)

func TestFiguresArePackedWithinAThousandth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Ldexp(rapid.Float64Range(1, 2).Draw(t, "m"), rapid.IntRange(-18, 42).Draw(t, "e"))
		if got := unpack(pack(v)); math.Abs(got-v) > v/1000 {
			t.Fatalf("%v became %v", v, got)
		}
	})
	for _, v := range []float64{0, -1, math.NaN(), 1e-9} {
		if pack(v) != 0 {
			t.Errorf("%v became %v", v, unpack(pack(v)))
		}
	}
	if v := unpack(pack(math.Inf(1))); v < 1e13 {
		t.Error(v)
	}
}

// world counts as an engine does: ten requests a second.
type world struct {
	began   time.Time
	up      float32
	traffic stats.Traffic
	counted uint64
}

func (w *world) measure() []stats.Measure {
	n := uint64(time.Since(w.began) / (100 * time.Millisecond))
	for ; w.counted < n; w.counted++ {
		w.traffic.Add(&wire.Record{Began: 1, FirstByte: wire.Time(1 + 10*time.Millisecond), Status: 200, End: wire.EndDone})
	}
	m := stats.Measure{Service: "web", Up: w.up, Counters: wire.Counters{Open: 5, Total: n, Requests: n, BytesIn: 100 * n, BytesOut: 1000 * n}}
	w.traffic.AddTo(&m.Sums)
	server := m
	server.Server = "one"
	return []stats.Measure{server, m}
}

func TestRingsOverThreeDaysAndARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "statistics.rings")
	synctest.Test(t, func(t *testing.T) {
		w := &world{began: time.Now(), up: 1}
		run := func(d time.Duration) *Rings {
			r := New(Options{Path: path, Source: w.measure})
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			time.Sleep(d - time.Second)
			synctest.Wait()
			hour, kept, err := r.Points("web", "", appliance.LastHour)
			if err != nil || !kept || len(hour) < 300 {
				t.Errorf("%d points of the last hour, kept %v, %v", len(hour), kept, err)
			}
			for _, p := range hour[max(len(hour)-300, 0):] {
				if math.Abs(p.Requests-10) > 0.05 || math.Abs(p.BytesOut-10000) > 50 || p.Connections != 5 || p.Up != 1 && p.Up != 0 || p.P99 < 10*time.Millisecond || p.P99 > 13*time.Millisecond {
					t.Fatalf("%+v", p)
				}
			}
			for period, least := range map[appliance.Period]int{appliance.LastDay: 1430, appliance.LastWeek: int(d/(10*time.Minute)) - 5, appliance.LastYear: int(d/(2*time.Hour)) - 2} {
				points, _, err := r.Points("web", "one", period)
				if err != nil || len(points) < least {
					t.Errorf("%d points of the last %s, want %d, %v", len(points), period, least, err)
				}
				for i := 1; i < len(points); i++ {
					if !points[i].At.After(points[i-1].At) {
						t.Fatalf("%v stands behind %v", points[i].At, points[i-1].At)
					}
				}
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			return r
		}
		run(36 * time.Hour)
		w.up = 0
		time.Sleep(time.Hour) // it was off
		run(36 * time.Hour)
		r := New(Options{Path: path, Source: w.measure}) // what is kept can be asked for before anything is counted
		defer r.close()
		week, _, _ := r.Points("web", "", appliance.LastWeek)
		up, down := 0, 0
		for _, p := range week {
			switch p.Up {
			case 1:
				up++
			case 0:
				down++
			}
		}
		if up < 210 || down < 210 || len(week) > 6*73+2 {
			t.Errorf("%d points, %d up, %d down", len(week), up, down)
		}
		if points, kept, err := r.Points("other", "", appliance.LastHour); points != nil || kept || err != nil {
			t.Errorf("%v %v %v", points, kept, err)
		}
	})
}

func TestFoldedPointsAreAveragesOfWhatIsKnown(t *testing.T) {
	got := fold(7, []point{{figures: [6]float64{1, 2}, p50: 10, p99: 40, up: 1}, {figures: [6]float64{3, 4}, p99: 60, up: -1}, {figures: [6]float64{2}, p50: 20, p99: 50, up: 0}})
	if got.stamp != 7 || got.figures != [6]float64{2, 2} || got.p50 != 15 || got.p99 != 60 || got.up != 0.5 {
		t.Errorf("%+v", got)
	}
	if unknown := fold(1, []point{{up: -1}}); unknown.up != -1 || unknown.p50 != 0 {
		t.Errorf("%+v", unknown)
	}
	var b [pointSize]byte
	got.encode(b[:])
	if back := decode(b[:]); back != got {
		t.Errorf("%+v is read back as %+v", got, back)
	}
}

func TestCountersThatBeginAnewMakeNoSpike(t *testing.T) {
	before := stats.Measure{Counters: wire.Counters{Total: 1e9, BytesIn: 1e12}}
	now := stats.Measure{Counters: wire.Counters{Total: 20, BytesIn: 100}}
	if p := between(1, &before, &now, 10); p.figures[1] != 2 || p.figures[3] != 10 {
		t.Errorf("%+v", p)
	}
}

func looking(t *testing.T, path string, measures func() []stats.Measure) (*Rings, *[]appliance.Alert) {
	t.Helper()
	var said []appliance.Alert
	r := New(Options{
		Path: path, Source: measures, Now: func() time.Time { return time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC) },
		Alert: func(a appliance.Alert) { said = append(said, a) }, Clear: func(code string) { said = append(said, appliance.Alert{Code: "clear " + code}) },
	})
	t.Cleanup(r.close)
	return r, &said
}

func TestDamagedFileIsSetAsideAndSaid(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"junk":      func([]byte) []byte { return []byte("not rings at all") },
		"cut":       func(b []byte) []byte { return b[:headSize+10] },
		"directory": func(b []byte) []byte { copy(b[headSize:], "../x"); b[headSize+2*idSize] = 1; return b },
		"twice":     func(b []byte) []byte { copy(b[headSize+5*entrySize:], b[headSize:headSize+entrySize]); return b },
	} {
		path := filepath.Join(t.TempDir(), "statistics.rings")
		one := func() []stats.Measure { return []stats.Measure{{Service: "web"}} }
		r, _ := looking(t, path, one)
		r.look()
		r.close()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(b), 0o600); err != nil {
			t.Fatal(err)
		}
		again, said := looking(t, path, one)
		again.look()
		aside, _ := filepath.Glob(path + ".damaged-*")
		if len(*said) != 1 || (*said)[0].Code != codeDamaged || len(aside) != 1 {
			t.Errorf("%s: said %+v, aside %v", name, *said, aside)
		}
		if _, kept, err := again.Points("web", "", appliance.LastHour); !kept || err != nil {
			t.Errorf("%s: not begun anew: %v", name, err)
		}
	}
}

func TestFaultOfTheDiskIsSaidOnceAndOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, said := looking(t, filepath.Join(dir, "statistics.rings"), func() []stats.Measure { return nil })
	r.look()
	r.look()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	r.look()
	if len(*said) != 2 || !strings.Contains((*said)[0].Sentence, "not a directory") || (*said)[1].Code != "clear "+codeFile {
		t.Errorf("%+v", *said)
	}
}

func TestServicesComeBeforeServersAndTheFileStaysWithinItsBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "statistics.rings")
	measures := func() []stats.Measure {
		var out []stats.Measure
		for i := range 300 {
			service := "s" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)) + string(rune('a'+i/676))
			out = append(out, stats.Measure{Service: service})
			for k := range 10 {
				out = append(out, stats.Measure{Service: service, Server: service + string(rune('a'+k))})
			}
		}
		return out
	}
	r, said := looking(t, path, measures)
	r.look()
	services, servers := 0, 0
	for k := range r.file.places {
		if k.server == "" {
			services++
		} else {
			servers++
		}
	}
	stat, err := os.Stat(path)
	if services != 300 || servers != MaxSeries-300 || len(*said) != 0 || err != nil || stat.Size() > MaxSize || stat.Mode().Perm() != 0o600 {
		t.Errorf("%d services, %d servers, said %v, %v", services, servers, *said, err)
	}
	i, err := r.file.place(key{"fresh", ""}, uint32(r.options.Now().Unix()/86400)+1) // tomorrow, the places of those who are gone are free
	if i < 0 || err != nil {
		t.Errorf("place %d, %v", i, err)
	}
}

// TestTheMachineHasASeriesOfItsOwn: its name is one that the file can hold, and what it cannot hold is not written, so that a restart finds the file good.
func TestTheMachineHasASeriesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "rings")
		open := func() *Rings {
			return New(Options{Path: path, Alert: func(a appliance.Alert) { t.Errorf("%+v", a) }, Source: func() []stats.Measure {
				busy, odd := stats.Measure{Service: appliance.MachineSeries, Up: -1}, stats.Measure{Service: ".odd name"}
				busy.Open = 250_000
				return []stats.Measure{busy, odd}
			}})
		}
		for range 2 {
			r := open()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		}
		r := open()
		defer r.close()
		points, kept, err := r.Points(appliance.MachineSeries, "", appliance.LastHour)
		if err != nil || !kept || len(points) < 8 || points[0].Connections < 249_000 || points[0].Connections > 251_000 || points[0].Up != -1 {
			t.Errorf("%+v %v %v", points, kept, err)
		}
		if _, kept, _ := r.Points(".odd name", "", appliance.LastHour); kept {
			t.Error("an odd name is kept")
		}
	})
}
