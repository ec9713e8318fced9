package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
)

const (
	dialTime = 5 * time.Second
	signTime = 30 * time.Second // for the whole sign-in: a password may have to wait for its turn
)

// Dial opens a TCP connection; tests give others than the network's.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// peerClient is a connection to another node, with what carries it.
type peerClient struct {
	*ssh.Client
	raw net.Conn
}

// errSeen ends a handshake after the host key is known and before anything else is said.
var errSeen = errors.New("seen")

// hostKey returns the key of the SSH endpoint there. Nothing is sent but the exchange of keys.
func hostKey(ctx context.Context, dial Dial, at netip.AddrPort) (key ssh.PublicKey, err error) {
	_, err = connect(ctx, dial, at, &ssh.ClientConfig{User: PairingUser, HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
		key = k
		return errSeen
	}}, signTime)
	if key != nil {
		return key, nil
	}
	return nil, err
}

// signIn connects and signs in. The host key must have that fingerprint, or nothing of the sign-in is sent. The limit is for all that comes after the TCP connection.
func signIn(ctx context.Context, dial Dial, at netip.AddrPort, user, fingerprint string, by ssh.AuthMethod, limit time.Duration) (*peerClient, ssh.PublicKey, error) {
	said := ""
	var seen ssh.PublicKey
	c, err := connect(ctx, dial, at, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{by},
		BannerCallback: func(text string) error {
			said = text
			return nil
		},
		HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
			if seen = k; ssh.FingerprintSHA256(k) != fingerprint {
				return errSeen
			}
			return nil
		},
	}, limit)
	switch {
	case err == nil:
		return c, seen, nil
	case seen == nil:
		return nil, nil, err
	case ssh.FingerprintSHA256(seen) != fingerprint:
		return nil, nil, &appliance.Error{
			Kind: appliance.Conflict, Op: "connect to the other node", Field: "host_key", Err: errHostKey,
			Message: fmt.Sprintf("The host key of %s is %s, not %s. Nothing was sent: another machine may stand in between.", at, ssh.FingerprintSHA256(seen), clean(fingerprint)),
			Hint:    "Compare the fingerprint with the one on the other node's page or console.",
		}
	}
	return nil, nil, refusedSignIn(at, said, err)
}

// errHostKey says that another machine answers.
var errHostKey = errors.New("another host key")

// errSaidNo says that the other node, whose host key was right, refused the sign-in.
var errSaidNo = errors.New("refused by the other node")

// refusedSignIn words what the other node answered to a sign-in.
func refusedSignIn(at netip.AddrPort, said string, err error) error {
	rest, ours := strings.CutPrefix(strings.TrimSpace(said), "evenkeel: ")
	kind, sentence, split := strings.Cut(rest, ": ")
	if !ours || !split {
		var network net.Error
		if errors.As(err, &network) {
			return unreachable(at, err)
		}
		return &appliance.Error{Kind: appliance.Denied, Op: "sign in at the other node", Message: fmt.Sprintf("%s refused the sign-in.", at), Err: err}
	}
	e := (&refusal{Kind: appliance.Kind(kind), Message: sentence}).err("sign in at the other node").(*appliance.Error)
	e.Err = errSaidNo
	return e
}

func connect(ctx context.Context, dial Dial, at netip.AddrPort, config *ssh.ClientConfig, limit time.Duration) (*peerClient, error) {
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	raw, err := dial(dialing, "tcp", at.String())
	if err != nil {
		return nil, unreachable(at, err)
	}
	config.HostKeyAlgorithms = []string{ssh.KeyAlgoED25519}
	config.KeyExchanges = []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519}
	config.ClientVersion = "SSH-2.0-Evenkeel"
	_ = raw.SetDeadline(time.Now().Add(limit)) // a connection that takes no deadline ends with ctx
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	conn, channels, requests, err := ssh.NewClientConn(raw, at.String(), config)
	if !stop() && err == nil {
		conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		return nil, unreachable(at, err)
	}
	_ = raw.SetDeadline(time.Time{})
	return &peerClient{ssh.NewClient(conn, channels, requests), raw}, nil
}

// lastWords is how long after the end of a connection an answer may still be on its way to who asked.
const lastWords = 200 * time.Millisecond

// begin opens something on a connection and does not outlive it: the library waits without end for a channel that it asked for while the connection was ending.
func begin[T any](c *ssh.Client, open func() (T, error)) (T, error) {
	type opened struct {
		what T
		err  error
	}
	answer, over := make(chan opened, 1), make(chan struct{})
	go func() {
		what, err := open()
		answer <- opened{what, err}
	}()
	go func() {
		_ = c.Wait()
		close(over)
	}()
	select {
	case o := <-answer:
		return o.what, o.err
	case <-over:
	}
	select {
	case o := <-answer:
		return o.what, o.err
	case <-time.After(lastWords):
		var nothing T
		return nothing, net.ErrClosed
	}
}

func unreachable(at netip.AddrPort, err error) error {
	e := &appliance.Error{
		Kind: appliance.Unavailable, Op: "connect to the other node", Err: err, Message: fmt.Sprintf("%s does not answer as an appliance does.", at),
		Hint: "Is it switched on, and is the port of its SSH endpoint right? Its page says which port that is.",
	}
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Message = fmt.Sprintf("Nothing listens on %s.", at)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Message = fmt.Sprintf("There is no way to %s.", at.Addr())
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e.Message = fmt.Sprintf("%s does not answer in time.", at)
	}
	return e
}

// clean makes what another node says fit for a page and a log.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	if r := []rune(text); len(r) > mostSentence {
		return string(r[:mostSentence]) + "…"
	}
	return text
}
