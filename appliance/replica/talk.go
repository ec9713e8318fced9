package replica

import (
	"io"

	"golang.org/x/crypto/ssh"
)

// talk is the subsystem for pairing, from the side that asks.
type talk struct {
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
}

func openTalk(c *ssh.Client) (*talk, error) {
	s, err := begin(c, c.NewSession)
	if err != nil {
		return nil, err
	}
	t := &talk{session: s}
	if t.in, err = s.StdinPipe(); err == nil {
		if t.out, err = s.StdoutPipe(); err == nil {
			err = s.RequestSubsystem(PairingSubsystem)
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return t, nil
}

func (t *talk) ask(message, answer any) error {
	if err := say(t.in, message); err != nil {
		return err
	}
	return hear(t.out, answer)
}

// Close ends the session.
func (t *talk) Close() { t.session.Close() }
