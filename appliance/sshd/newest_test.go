package sshd

import (
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestConnectionsThatTheNetworkCutOffMakeRoom opens more than may be behind a door, and closes none: where the newest counts, the oldest ends; elsewhere the next is refused.
func TestConnectionsThatTheNetworkCutOffMakeRoom(t *testing.T) {
	e := open(t, func(o *Options) { o.Doors[1].Newest = true })
	var held []*ssh.Client
	for range 2*mostInDoor + 1 {
		held = append(held, e.inside("pair", ssh.PublicKeys(e.key)))
		e.entered(len(held)) // the client may know that it is signed in before the server has counted it
	}
	for _, c := range held[:mostInDoor+1] {
		_ = c.Wait() // it was ended
	}
	for _, c := range held[mostInDoor+1:] {
		subsystem(t, c)
	}
	for i := range mostInDoor {
		e.inside("door", ssh.Password("right"))
		e.entered(len(held) + i + 1)
	}
	refused := e.inside("door", ssh.Password("right"))
	_ = refused.Wait()
	e.told("refused", "Too many connections of this user")
}

// entered waits until so many have signed in.
func (e *endpoint) entered(n int) {
	e.t.Helper()
	for end := time.Now().Add(time.Minute); ; wait(e.t.Context(), time.Millisecond) {
		e.Server.mu.Lock()
		have := e.Server.entered
		e.Server.mu.Unlock()
		if have == uint64(n) {
			return
		}
		if time.Now().After(end) {
			e.t.Fatalf("%d have signed in, want %d", have, n)
		}
	}
}
