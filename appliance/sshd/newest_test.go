package sshd

import (
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestConnectionsThatTheNetworkCutOffMakeRoom opens more than may be behind a door, and closes none: where the newest counts, the oldest ends; elsewhere the next is refused.
func TestConnectionsThatTheNetworkCutOffMakeRoom(t *testing.T) {
	e := open(t, func(o *Options) { o.Doors[1].Newest = true })
	var held []*ssh.Client
	for range 2*mostInDoor + 1 {
		held = append(held, e.inside("pair", ssh.PublicKeys(e.key)))
	}
	for _, c := range held[:mostInDoor+1] {
		_ = c.Wait() // it was ended
	}
	for _, c := range held[mostInDoor+1:] {
		subsystem(t, c)
	}
	for range mostInDoor {
		e.inside("door", ssh.Password("right"))
	}
	refused := e.inside("door", ssh.Password("right"))
	_ = refused.Wait()
	e.told("refused", "Too many connections of this user")
}
