package sshd

import (
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
)

// stream is a channel whose end waits for nobody: what works on it may have goroutines that still write when it has returned, and the end of writing must not meet them.
type stream struct {
	ssh.Channel

	mu   sync.Mutex // held while something is written
	over bool
}

// Write implements io.Writer; after end it is io.ErrClosedPipe.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return 0, io.ErrClosedPipe
	}
	return s.Channel.Write(b)
}

// end tells the client that nothing more comes, unless somebody is writing at this moment: then the close tells.
func (s *stream) end() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	s.over = true
	_ = s.CloseWrite()
}
