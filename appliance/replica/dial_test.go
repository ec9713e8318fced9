package replica

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"
)

// ends returns a connection whose other end is closed by hang.
func ends(t *testing.T) (c *ssh.Client, hang func()) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan *ssh.ServerConn, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			close(served)
			return
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		s, _, _, err := ssh.NewServerConn(raw, config)
		if err != nil {
			close(served)
			return
		}
		served <- s
	}()
	c, err = ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{User: "x", HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := <-served
	t.Cleanup(func() { s.Close() })
	return c, func() { s.Close() }
}

func TestNothingThatIsOpenedOutlivesItsConnection(t *testing.T) {
	c, hang := ends(t)
	waits := make(chan struct{})
	defer close(waits)
	asked := make(chan struct{})
	go func() {
		<-asked
		hang()
	}()
	_, err := begin(c, func() (int, error) {
		close(asked)
		<-waits // as the library does when it misses the end
		return 1, nil
	})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	c, _ = ends(t)
	if n, err := begin(c, func() (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}
