package loop

import "testing"

func TestAChunkIsNotMuchLargerThanWhatWaitsInIt(t *testing.T) {
	var p buffers
	for _, c := range []struct{ size, room int }{{1, 4 << 10}, {4 << 10, 4 << 10}, {4<<10 + 1, 8 << 10}, {20 << 10, 20 << 10}, {27 << 10, 28 << 10}, {64 << 10, 64 << 10}, {64<<10 + 1, 64<<10 + 1}} {
		k := p.get(c.size)
		if cap(k.b) < c.size || c.size > 64<<10 && cap(k.b) > 80<<10 || c.size <= 64<<10 && cap(k.b) != c.room {
			t.Errorf("%d bytes have a chunk of %d", c.size, cap(k.b))
		}
		if p.used != cap(k.b) {
			t.Errorf("%d bytes are in use, not %d", p.used, cap(k.b))
		}
		p.put(k)
		if again := p.get(c.size); c.size <= 64<<10 && again != k {
			t.Errorf("a free chunk for %d bytes is not used again", c.size)
		} else {
			p.put(again)
		}
	}
	var many []*chunk
	for range 1000 {
		many = append(many, p.get(10))
	}
	for _, k := range many {
		p.put(k)
	}
	if n := len(p.free[0]); n != 128 || p.used != 0 {
		t.Errorf("%d free chunks are kept, %d bytes are in use", n, p.used)
	}
	k := p.add(nil, make([]byte, 3000))
	if k = p.add(k, make([]byte, 3000)); len(k.waiting()) != 6000 || p.used != cap(k.b) {
		t.Errorf("%d bytes wait, %d are in use", len(k.waiting()), p.used)
	}
}

func TestPipesInUseAreFew(t *testing.T) {
	l, err := Open(Options{Driver: driver})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var all []pipe
	for range mostPipes {
		p, ok := l.getPipe()
		if !ok {
			t.Fatalf("only %d pipes", len(all))
		}
		all = append(all, p)
	}
	if _, ok := l.getPipe(); ok {
		t.Error("one pipe too many")
	}
	l.dropPipe(all[0])
	p, ok := l.getPipe()
	if !ok {
		t.Error("a closed pipe makes no room")
	}
	all[0] = p
	for _, p := range all {
		l.putPipe(p)
	}
	if l.piped != 0 || len(l.pipes) != keptPipes {
		t.Errorf("%d in use, %d kept", l.piped, len(l.pipes))
	}
}
