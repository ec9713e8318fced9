package sshd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

const keyExtension = "evenkeel-key" // of a connection's permissions: by which key it signed in

// serve does everything with one connection.
func (s *Server) serve(ctx context.Context, c *conn) {
	defer s.leave(c)
	_ = c.SetDeadline(time.Now().Add(handshakeTime)) // a connection that takes no deadline ends at its first read
	signing, cancel := context.WithTimeout(ctx, handshakeTime)
	signedIn, channels, requests, err := ssh.NewServerConn(c, s.config(signing, c))
	cancel()
	if err != nil {
		s.log.Debug("not signed in", "from", c.from, "error", err)
		return
	}
	var asked sync.WaitGroup
	defer asked.Wait()
	defer signedIn.Close()
	asked.Go(func() { ssh.DiscardRequests(requests) }) // ends with the connection; keep-alives and forwardings are answered with no
	d := s.door(signedIn.User())
	if d == nil || !s.signIn(c, d) {
		s.events.refused(ctx, c.from.Addr(), "ssh_sign_in", printable(signedIn.User()), "Too many connections of this user.")
		return
	}
	key := signedIn.Permissions.Extensions[keyExtension]
	if key != "" { // passwords are recorded where they are checked
		s.events.done(ctx, c.from.Addr(), "ssh_sign_in", d.User)
	}
	if d.Time > 0 {
		end := time.AfterFunc(d.Time, func() { c.Close() })
		defer end.Stop()
	}
	s.channels(ctx, c, d, key, channels)
}

// config is made for one connection, so that what it refuses is recorded with its address.
func (s *Server) config(ctx context.Context, c *conn) *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305},
		},
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519},
		MaxAuthTries:            tries,
		ServerVersion:           "SSH-2.0-Evenkeel",
		PasswordCallback: func(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			d := s.door(meta.User())
			if d == nil || d.Password == nil {
				return nil, s.turnAway(ctx, c, meta, "A password does not open this.")
			}
			return &ssh.Permissions{}, told(d.Password(ctx, c.from.Addr(), string(password)))
		},
		// Any key may be offered: what counts is decided after the client has proven that it has it, so that nobody learns whose keys are known here.
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if d := s.door(meta.User()); d == nil || d.Key == nil || key.Type() != ssh.KeyAlgoED25519 {
				return nil, s.turnAway(ctx, c, meta, "A key does not open this.")
			}
			return &ssh.Permissions{}, nil
		},
		VerifiedPublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
			text := authorized(key)
			if err := s.door(meta.User()).Key(ctx, c.from.Addr(), text); err != nil {
				s.events.refused(ctx, c.from.Addr(), "ssh_sign_in", printable(meta.User()), "The key "+ssh.FingerprintSHA256(key)+" was refused. "+appliance.ErrorsOf(err)[0].Text())
				return nil, told(err)
			}
			return &ssh.Permissions{Extensions: map[string]string{keyExtension: text}}, nil
		},
	}
	config.AddHostKey(s.signer)
	return config
}

func (s *Server) turnAway(ctx context.Context, c *conn, meta ssh.ConnMetadata, sentence string) error {
	s.events.refused(ctx, c.from.Addr(), "ssh_sign_in", printable(meta.User()), sentence)
	return errors.New("refused")
}

// told turns an error of a door into one whose kind and sentence the client is told.
func told(err error) error {
	if err == nil {
		return nil
	}
	e := appliance.ErrorsOf(err)[0]
	if e.Kind == appliance.Internal {
		return errors.New("refused")
	}
	return &ssh.BannerError{Err: err, Message: BannerPrefix + string(e.Kind) + ": " + e.Text() + "\n"}
}

// BannerPrefix begins what a client is told when its sign-in is refused; a kind of error, a colon and a sentence follow.
const BannerPrefix = "evenkeel: "

// channels gives the client the one session that it may have.
func (s *Server) channels(ctx context.Context, c *conn, d *Door, key string, channels <-chan ssh.NewChannel) {
	had := false
	done := make(chan struct{})
	finished := func() {
		if had {
			<-done
		}
		for asked := range channels { // whoever asks until the connection is gone must not hold up its end
			_ = asked.Reject(ssh.ResourceShortage, "")
		}
	}
	defer finished()
	defer c.Close() // first, so that the session's reads end
	for {
		select {
		case <-done:
			return
		case asked, ok := <-channels:
			switch {
			case !ok:
				return
			case asked.ChannelType() != "session":
				s.refuseChannel(ctx, c, d, asked, fmt.Sprintf("There is no %s here.", printable(asked.ChannelType())))
			case had:
				s.refuseChannel(ctx, c, d, asked, "There is one session only.")
			default:
				channel, requests, err := asked.Accept()
				if err != nil {
					return
				}
				had = true
				go s.session(ctx, c, d, key, channel, requests, done)
			}
		}
	}
}

func (s *Server) refuseChannel(ctx context.Context, c *conn, d *Door, asked ssh.NewChannel, sentence string) {
	s.events.refused(ctx, c.from.Addr(), "ssh_channel", d.User, sentence)
	_ = asked.Reject(ssh.Prohibited, sentence)
	c.tooMany()
}

// session waits for the request for the subsystem, refuses all others, and runs it. It closes done at its end.
func (s *Server) session(ctx context.Context, c *conn, d *Door, key string, channel ssh.Channel, requests <-chan *ssh.Request, done chan<- struct{}) {
	defer close(done)
	defer channel.Close()
	for r := range requests {
		var name struct{ Name string }
		if r.Type != "subsystem" || ssh.Unmarshal(r.Payload, &name) != nil || name.Name != d.Subsystem {
			s.refuseRequest(ctx, c, d, r)
			continue
		}
		_ = r.Reply(true, nil)
		rest := make(chan struct{})
		go func() {
			defer close(rest)
			for r := range requests {
				s.refuseRequest(ctx, c, d, r)
			}
		}()
		line := &stream{Channel: channel}
		s.work(ctx, c, d, key, line)
		line.end()
		_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
		_ = channel.Close()
		select {
		case <-rest: // the client has closed its side too: it has read everything
		case <-time.After(closingTime):
			c.Close()
			<-rest
		}
		return
	}
}

// work runs the subsystem; a defect in it ends this connection and nothing else.
func (s *Server) work(ctx context.Context, c *conn, d *Door, key string, line *stream) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a subsystem broke", "subsystem", d.Subsystem, "from", c.from, "panic", p)
		}
	}()
	err := d.Serve(ctx, Session{ReadWriteCloser: line, From: c.from, User: d.User, Key: key})
	var network net.Error
	if err != nil && ctx.Err() == nil && !errors.As(err, &network) {
		s.log.Warn("subsystem ended", "subsystem", d.Subsystem, "from", c.from, "error", err)
	}
}

func (s *Server) refuseRequest(ctx context.Context, c *conn, d *Door, r *ssh.Request) {
	s.events.refused(ctx, c.from.Addr(), "ssh_request", d.User, fmt.Sprintf("There is no %s here.", printable(r.Type)))
	if r.WantReply {
		_ = r.Reply(false, nil)
	}
	c.tooMany()
}

// tooMany ends a connection that asks again and again for what is not there.
func (c *conn) tooMany() {
	if c.refusals.Add(1) >= mostRefusals {
		c.Close()
	}
}

func authorized(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// printable keeps what strangers call themselves from forging lines of a log.
func printable(text string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, text)
	if r := []rune(clean); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return clean
}
