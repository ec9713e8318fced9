package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"evenkeel/engine/wire"
)

func TestOnlyWhatIsAllowedIsKeptAndForSoLong(t *testing.T) {
	const date, later = "Sat, 21 Nov 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:05:00 GMT"
	for _, c := range []struct {
		control, date, expires string
		want                   time.Duration
	}{
		{"max-age=60", "", "", time.Minute},
		{"max-age=60, s-maxage=10", "", "", 10 * time.Second},
		{"s-maxage=0, max-age=60", "", "", 0},
		{"max-age=60, private", "", "", 0},
		{`private="set-cookie", max-age=60`, "", "", 0},
		{"no-store, max-age=60", "", "", 0},
		{"no-cache, max-age=60", "", "", 0},
		{"No-Cache=\"a, b\",max-age=60", "", "", 0},
		{"max-age=60, max-age=5", "", "", 5 * time.Second},
		{"max-age=\"60\"", "", "", time.Minute},
		{"max-age=-1", "", "", 0},
		{"max-age=6x", "", "", 0},
		{"max-age=99999999999999999999", "", "", longest},
		{"public", "", "", 0},
		{"", date, later, 5 * time.Minute},
		{"", later, date, 0},
		{"", "", later, 0},
		{"", date, "0", 0},
		{"max-age=1", date, later, time.Second},
		{"<, max-age=60", "", "", 0},
		{"extension=\"a,max-age=60\"", "", "", 0},
	} {
		d := NewDirectives()
		d.Read([]byte(c.control))
		value := func(s string) []byte {
			if s == "" {
				return nil
			}
			return []byte(s)
		}
		if got := d.Freshness(value(c.date), value(c.expires)); got != c.want {
			t.Errorf("%q, Expires %q: %v, not %v", c.control, c.expires, got, c.want)
		}
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		condition, tag string
		want           bool
	}{
		{`"a"`, `"a"`, true},
		{`W/"a"`, `"a"`, true},
		{`"b", "a"`, `W/"a"`, true},
		{`*`, `"a"`, true},
		{`"b"`, `"a"`, false},
		{`*`, ``, false},
		{`"a,b"`, `"a"`, false},
		{``, `"a"`, false},
	} {
		if got := Unchanged([]byte(c.condition), []byte(c.tag)); got != c.want {
			t.Errorf("%s of %s: %v", c.condition, c.tag, got)
		}
	}
}

func none(string) []byte { return nil }

func TestEntriesAgeAndAreChosenByTheirFields(t *testing.T) {
	s := New(1 << 20)
	now := wire.Time(1e9)
	language := func(l string) func(string) []byte { return func(string) []byte { return []byte(l) } }
	for _, l := range []string{"de", "en"} {
		s.Put("k", &Entry{Body: []byte(l), Made: now, Fresh: now.Add(time.Minute), Vary: []Varied{{"accept-language", l}}})
	}
	if e := s.Get([]byte("k"), now, language("de")); e == nil || string(e.Body) != "de" || e.Age(now.Add(5*time.Second)) != 5 {
		t.Errorf("%+v", e)
	}
	if s.Get([]byte("k"), now, language("fr")) != nil || s.Get([]byte("other"), now, language("de")) != nil {
		t.Error("a response for somebody else")
	}
	s.Put("k", &Entry{Body: []byte("neu"), Fresh: now.Add(time.Minute), Vary: []Varied{{"accept-language", "de"}}})
	if e := s.Get([]byte("k"), now, language("de")); string(e.Body) != "neu" || s.Len() != 2 {
		t.Errorf("%+v of %d", e, s.Len())
	}
	if s.Get([]byte("k"), now.Add(time.Minute), language("de")) != nil || s.Len() != 1 {
		t.Error("a stale response")
	}
	told := ""
	s.Forgotten = func(key string) { told = key }
	s.Forget("k", true)
	if s.Len() != 0 || s.Used() != 0 || told != "k" {
		t.Errorf("%d left, %d bytes, told %q", s.Len(), s.Used(), told)
	}
}

func TestTheBoundHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	s := New(100_000)
	for i := range 20_000 {
		s.Put(fmt.Sprint("k", random.IntN(3000)), &Entry{Body: make([]byte, random.IntN(30_000)), Fresh: 1 << 60, Vary: []Varied{{"a", fmt.Sprint(random.IntN(20))}}})
		if s.Used() > s.Limit() {
			t.Fatalf("%d bytes after %d", s.Used(), i)
		}
	}
	sum := 0
	for _, list := range s.entries {
		for _, e := range list {
			sum += e.size
		}
	}
	if sum != s.Used() || s.Len() == 0 {
		t.Errorf("counted %d, kept %d in %d", s.Used(), sum, s.Len())
	}
	s.Clear()
	if s.Used() != 0 || len(s.entries) != 0 {
		t.Error("not empty")
	}
}

func TestOneFetchesAndTheOthersWait(t *testing.T) {
	s, now, woken := New(1<<20), wire.Time(1e9), 0
	wake := func() { woken++ }
	f, waits := s.Begin([]byte("k"), now, wake)
	if f == nil || waits {
		t.Fatal("the first does not fetch")
	}
	for range 3 {
		if f, waits := s.Begin([]byte("k"), now, wake); f != nil || !waits {
			t.Fatal("a further one does not wait")
		}
	}
	f.End(now, false)
	f.End(now, true) // a second time is nothing
	if woken != 3 {
		t.Errorf("%d were woken", woken)
	}
	if f, waits := s.Begin([]byte("k"), now.Add(time.Second), wake); f != nil || waits {
		t.Error("somebody waits for what could not be kept")
	}
	if f, _ := s.Begin([]byte("k"), now.Add(passedTime), wake); f == nil {
		t.Error("nobody tries again")
	}
	if s.Get([]byte("k"), now, none) != nil {
		t.Error("found what nobody kept")
	}
}

func FuzzDirectives(f *testing.F) {
	f.Add([]byte(`max-age=60, private="a,b", no-cache`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDirectives()
		d.Read(b)
		if n := d.Freshness(b, b); n < 0 || n > longest {
			t.Error(n)
		}
		Unchanged(b, b)
	})
}
