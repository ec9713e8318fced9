package tlsterm

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"evenkeel/engine/wire"
)

func TestBytesPassBothWaysWhateverTheirPieces(t *testing.T) {
	for _, size := range []int{1, 7, 1460, 1 << 20} {
		p := simple(t)
		up, down := make([]byte, 200_000), make([]byte, 300_000)
		_, _ = rand.Read(up)
		_, _ = rand.Read(down)
		if size < 100 {
			up, down = up[:2000], down[:3000]
		}
		p.client.Send(up)
		p.server.Send(down)
		p.carry(size)
		if !bytes.Equal(p.inner.got, up) || !bytes.Equal(p.outer.got, down) {
			t.Fatalf("in pieces of %d: %d of %d up, %d of %d down", size, len(p.inner.got), len(up), len(p.outer.got), len(down))
		}
	}
}

func TestAHandshakeInSingleBytesSucceeds(t *testing.T) {
	p := simple(t)
	q := newPair(t, p.serverConfig, p.clientConfig, nil)
	q.clientIn.Connect()
	q.carry(1)
	if q.outer.connected != 1 {
		t.Fatal(q.failures)
	}
	q.client.Send([]byte("hello"))
	q.carry(1)
	if string(q.inner.got) != "hello" {
		t.Errorf("%q", q.inner.got)
	}
}

func TestAPausedCoreIsOfferedNothingAndLosesNothing(t *testing.T) {
	p := simple(t)
	sent := make([]byte, 400_000)
	_, _ = rand.Read(sent)
	p.inner.hungry = func(b []byte) int {
		p.server.Pause()
		return min(len(b), 1000)
	}
	p.client.Send(sent)
	p.carry(5000)
	p.client.CloseWrite()
	p.carry(5000)
	p.serverIn.Finish()
	if len(p.inner.got) != 1000 || p.inner.ended != 0 {
		t.Fatalf("a paused core got %d bytes", len(p.inner.got))
	}
	if held := len(p.server.kept); held > wire.KeepLimit {
		t.Errorf("%d bytes of plaintext are held", held)
	}
	for rounds := 0; len(p.inner.got) < len(sent); rounds++ {
		before := len(p.inner.got)
		p.server.Resume()
		if len(p.inner.got) != before {
			t.Fatal("bytes were offered within Resume")
		}
		p.loop.Settle()
		p.carry(5000)
		if rounds > 500 {
			t.Fatalf("stuck at %d of %d", len(p.inner.got), len(sent))
		}
	}
	if p.inner.ended != 0 {
		t.Error("the end was told while paused")
	}
	p.server.Resume()
	p.loop.Settle()
	if p.inner.ended != 1 || !bytes.Equal(p.inner.got, sent) {
		t.Errorf("ended %d times, %d of %d bytes", p.inner.ended, len(p.inner.got), len(sent))
	}
}

func TestWhatACoreDoesNotTakeIsOfferedAgainWithWhatComes(t *testing.T) {
	p := simple(t)
	var offers []string
	p.inner.hungry = func(b []byte) int {
		offers = append(offers, string(b))
		if len(b) < 6 {
			return 0
		}
		return len(b)
	}
	p.client.Send([]byte("abc"))
	p.carry(1 << 20)
	p.client.Send([]byte("def"))
	p.carry(1 << 20)
	if len(offers) != 2 || offers[1] != "abcdef" || string(p.inner.got) != "abcdef" {
		t.Errorf("%q", offers)
	}
}

func TestHalfCloseIsCloseNotifyThenFIN(t *testing.T) {
	p := simple(t)
	p.client.Send([]byte("last words"))
	p.client.CloseWrite()
	p.carry(1 << 20)
	if p.inner.ended != 1 || string(p.inner.got) != "last words" || !p.clientIn.FIN {
		t.Fatalf("ended %d, %q", p.inner.ended, p.inner.got)
	}
	p.serverIn.Finish()
	if p.inner.ended != 1 {
		t.Error("the end was told twice")
	}
	p.server.Send([]byte("answer"))
	p.server.Close()
	p.carry(1 << 20)
	if string(p.outer.got) != "answer" || p.outer.ended != 1 || !p.serverIn.Closed {
		t.Errorf("%q, ended %d", p.outer.got, p.outer.ended)
	}
}

func TestAForgedRecordEndsTheConnection(t *testing.T) {
	p := simple(t)
	p.client.Send([]byte("secret"))
	p.clientIn.Sent[8] ^= 1
	p.carry(1 << 20)
	if len(p.inner.got) != 0 || p.inner.broken == nil || !p.serverIn.Closed {
		t.Errorf("got %q, broken %v", p.inner.got, p.inner.broken)
	}
}

func TestATruncatedRecordIsNoEnd(t *testing.T) {
	p := simple(t)
	p.client.Send([]byte("secret"))
	p.clientIn.Sent = p.clientIn.Sent[:10]
	p.carry(1 << 20)
	p.serverIn.Finish()
	if p.inner.ended != 0 || p.inner.broken == nil {
		t.Errorf("ended %d, broken %v", p.inner.ended, p.inner.broken)
	}
}

func TestBreakTimerAndEvictionReachTheCore(t *testing.T) {
	p := simple(t)
	p.server.WakeAt(p.loop.Now().Add(time.Second))
	p.loop.Advance(2 * time.Second)
	p.server.Evict(nil)
	p.serverIn.Break(nil)
	if p.inner.woken != 1 || p.inner.evicted != 1 || p.inner.broken == nil {
		t.Errorf("%+v", p.inner)
	}
	p.server.Send([]byte("x")) // of a core that does not know yet
	p.server.Close()
	p.server.Abort()
	p.server.Resume()
	p.loop.Settle()
}

func TestAFullKernelQueuesAndDrains(t *testing.T) {
	p := simple(t)
	p.serverIn.Room = 100
	if queued := p.server.Send(make([]byte, 50_000)); queued < 49_900 || p.server.Queued() != queued {
		t.Fatalf("%d queued", queued)
	}
	p.serverIn.Unblock(-1)
	p.carry(1 << 20)
	if p.inner.drained != 1 || len(p.outer.got) != 50_000 {
		t.Errorf("drained %d, %d bytes", p.inner.drained, len(p.outer.got))
	}
}

func TestADefectBehindResumeEndsItsConnection(t *testing.T) {
	p := simple(t)
	p.inner.hungry = func([]byte) int { p.server.Pause(); return 0 }
	p.client.Send([]byte("x"))
	p.carry(1 << 20)
	p.inner.hungry = func([]byte) int { panic("defect") }
	p.server.Resume()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the loop is not told of the defect")
			}
		}()
		p.loop.Settle()
	}()
	if !p.serverIn.Aborted || p.inner.broken == nil {
		t.Error("the connection outlives the defect")
	}
}
