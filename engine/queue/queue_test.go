package queue

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

const a, b, c = 1, 2, 3

// joined puts tickets in a queue, in order; each is named by its position.
func joined(q *Queue[int], list ...*Ticket[int]) {
	for i, t := range list {
		t.Holder = i
		q.Join(t, 100)
	}
}

func always() bool { return true }

func TestAPlaceGoesToTheFirstWhoWantsIt(t *testing.T) {
	anybody := func(tried ...int) *Ticket[int] { return &Ticket[int]{Tried: tried} }
	of := func(s int) *Ticket[int] { return &Ticket[int]{Own: s} }
	for name, tc := range map[string]struct {
		wait   []*Ticket[int]
		on     int
		own    bool
		anyone bool
		want   int // position; -1: nobody
	}{
		"in order":                       {[]*Ticket[int]{anybody(), anybody()}, a, true, true, 0},
		"own before any":                 {[]*Ticket[int]{of(a), anybody()}, a, true, true, 0},
		"any before own":                 {[]*Ticket[int]{anybody(), of(a)}, a, true, true, 0},
		"others are passed over":         {[]*Ticket[int]{of(b), of(b), anybody()}, a, true, true, 2},
		"nobody wants it":                {[]*Ticket[int]{of(b)}, a, true, true, -1},
		"who tried it is passed over":    {[]*Ticket[int]{anybody(a), anybody(b), anybody()}, a, true, true, 1},
		"everybody tried it":             {[]*Ticket[int]{anybody(a, b), anybody(b, a)}, a, true, true, -1},
		"own behind those who tried":     {[]*Ticket[int]{anybody(a), of(a), anybody()}, a, true, true, 1},
		"a drained server: own alone":    {[]*Ticket[int]{anybody(), of(a)}, a, true, false, 1},
		"a server without returning one": {[]*Ticket[int]{of(a), anybody()}, a, false, true, 1},
		"nobody waits":                   {nil, a, true, true, -1},
	} {
		t.Run(name, func(t *testing.T) {
			var q Queue[int]
			joined(&q, tc.wait...)
			if q.Offer(tc.on, tc.own, tc.anyone, func() bool { return false }) != nil || q.Waiting() != int64(len(tc.wait)) {
				t.Fatal("somebody got a place that there was not")
			}
			got := -1
			if ticket := q.Offer(tc.on, tc.own, tc.anyone, always); ticket != nil {
				got = ticket.Holder.(int)
				if q.Leave(ticket) || q.Waiting() != int64(len(tc.wait)-1) {
					t.Error("who got a place is in the line still")
				}
			}
			if got != tc.want {
				t.Errorf("%d got the place, want %d", got, tc.want)
			}
		})
	}
}

func TestTheLineHasAnEndAndOldPlacesAreKept(t *testing.T) {
	var q Queue[int]
	first, second, third, late := &Ticket[int]{Holder: 1}, &Ticket[int]{Holder: 2}, &Ticket[int]{Holder: 3}, &Ticket[int]{Holder: 4}
	for _, one := range []*Ticket[int]{first, second, third} {
		if !q.Join(one, 3) {
			t.Fatal("there was room")
		}
	}
	if q.Join(late, 3) || q.Waiting() != 3 {
		t.Fatal("a full line took one more")
	}
	if q.Offer(a, true, true, always) != first || !q.Join(late, 3) {
		t.Fatal("a place in the line was not free again")
	}
	first.Own = a // it comes back for another reason, though the line is full
	if !q.Join(first, 3) || q.Offer(b, true, true, always) != second || q.Offer(a, true, true, always) != first {
		t.Error("who returned lost the old place")
	}
	first.Own = 0
	q.Join(first, 3)
	q.Join(second, 3)
	var order []any
	for q.Waiting() > 0 {
		order = append(order, q.Offer(c, true, true, always).Holder)
	}
	if !slices.Equal(order, []any{1, 2, 3, 4}) {
		t.Error(order)
	}
}

func TestAheadTellsWhoMayNotBePassed(t *testing.T) {
	var q Queue[int]
	own, anybody := &Ticket[int]{Own: a}, &Ticket[int]{}
	if q.Ahead(a) {
		t.Error("nobody waits")
	}
	q.Join(own, 9)
	if !q.Ahead(a) || q.Ahead(b) {
		t.Error("one waits for a")
	}
	q.Join(anybody, 9)
	if !q.Ahead(b) {
		t.Error("one waits for any")
	}
	if !q.Leave(own) || !q.Leave(anybody) || q.Leave(own) || q.Ahead(a) || q.Waiting() != 0 {
		t.Error("all have left")
	}
}

func TestSiftTakesTheHopelessInTheirOrder(t *testing.T) {
	var q Queue[int]
	list := []*Ticket[int]{{}, {Own: a}, {Own: b}, {Own: a}, {}}
	joined(&q, list...)
	out := q.Sift(func(t *Ticket[int]) bool { return t.Own != b })
	if !slices.Equal(out, []*Ticket[int]{list[0], list[1], list[3], list[4]}) || q.Waiting() != 1 || q.Ahead(a) || !q.Ahead(b) {
		t.Error(out, q.Waiting())
	}
}

// TestNoPlaceIsIdleWhileSomebodyWaits compares the queue to a plain list, over any sequence of events.
func TestNoPlaceIsIdleWhileSomebodyWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[int]
		var model []*Ticket[int]
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			switch rapid.IntRange(0, 3).Draw(t, "event") {
			case 0, 1:
				one := &Ticket[int]{Own: rapid.IntRange(0, 2).Draw(t, "own")}
				if one.Own == 0 {
					one.Tried = rapid.SliceOfNDistinct(rapid.IntRange(1, 2), 0, 1, func(i int) int { return i }).Draw(t, "tried")
				}
				q.Join(one, 1000)
				model = append(model, one)
			case 2:
				s := rapid.IntRange(1, 2).Draw(t, "server")
				i := slices.IndexFunc(model, func(o *Ticket[int]) bool { return o.Own == s || o.Own == 0 && !slices.Contains(o.Tried, s) })
				got := q.Offer(s, true, true, always)
				if (i < 0) != (got == nil) || i >= 0 && got != model[i] {
					t.Fatalf("the place on %d went to another", s)
				}
				if i >= 0 {
					model = slices.Delete(model, i, i+1)
				}
			case 3:
				if len(model) > 0 {
					i := rapid.IntRange(0, len(model)-1).Draw(t, "leaver")
					if !q.Leave(model[i]) {
						t.Fatal("it was not in the line")
					}
					model = slices.Delete(model, i, i+1)
				}
			}
			if q.Waiting() != int64(len(model)) {
				t.Fatal(q.Waiting(), len(model))
			}
		}
	})
}

// TestEverybodyIsServedByManyAtOnce has threads take and give back the places of three servers as an engine does: nobody is forgotten, no limit is passed.
func TestEverybodyIsServedByManyAtOnce(t *testing.T) {
	const threads, each = 8, 2000
	var q Queue[int]
	var taken, served [4]atomic.Int64
	limits := [4]int64{0, 1, 2, 3}
	take := func(s int) func() bool {
		return func() bool {
			for {
				n := taken[s].Load()
				if n >= limits[s] {
					return false
				}
				if taken[s].CompareAndSwap(n, n+1) {
					return true
				}
			}
		}
	}
	var all sync.WaitGroup
	for thread := range threads {
		all.Go(func() {
			for i := range each {
				mine := make(chan int, 1)
				one := &Ticket[int]{Own: (thread + i) % 4, Holder: mine}
				if !q.Join(one, 1e9) {
					panic("no room")
				}
				for s := 1; s < 4; s++ {
					if got := q.Offer(s, true, true, take(s)); got != nil {
						got.Holder.(chan int) <- s
					}
				}
				s := <-mine
				if n := taken[s].Load(); n > limits[s] || one.Own != 0 && one.Own != s {
					panic(fmt.Sprint(s, n))
				}
				served[s].Add(1)
				taken[s].Add(-1)
				if got := q.Offer(s, true, true, take(s)); got != nil {
					got.Holder.(chan int) <- s
				}
			}
		})
	}
	all.Wait()
	if n := served[1].Load() + served[2].Load() + served[3].Load(); n != threads*each || q.Waiting() != 0 {
		t.Error(n, q.Waiting())
	}
}
