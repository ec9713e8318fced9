package replica

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
	"evenkeel/appliance/sshd"
	"evenkeel/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is one node: a real database, a real SSH endpoint on loopback.
type rig struct {
	t        *testing.T
	name     string
	dir      string
	store    *store.Store
	members  *Members
	receiver *Receiver
	server   *sshd.Server
	at       netip.AddrPort
	stop     func()

	mu        sync.Mutex // guards what follows
	services  int
	floating  []netip.Addr
	own       []netip.Addr
	left      int
	passwords []string // that were tried here

	active   atomic.Bool
	settings Settings
	changed  atomic.Int64
	dial     Dial
}

func newRig(t *testing.T, name string) *rig {
	t.Helper()
	r := &rig{t: t, name: name, dir: t.TempDir(), dial: new(net.Dialer).DialContext}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start opens the folder and the endpoint, on the same port as before if there was one.
func (r *rig) start() {
	r.t.Helper()
	must(r.t, r.open())
	r.endpoint()
}

// endpoint opens what is reached by SSH.
func (r *rig) endpoint() {
	r.t.Helper()
	address := "127.0.0.1:0"
	if r.at.IsValid() {
		address = r.at.String()
	}
	l, err := sshd.Listen(address)
	must(r.t, err)
	r.at = netip.MustParseAddrPort(l.Addr().String())
	key, err := sshd.HostKey(r.t.Context(), r.store)
	must(r.t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(r.t, err)
	r.members, err = Open(r.t.Context(), Options{
		Secrets: r.store, Version: "0.1.0", HostKey: authorized(signer.PublicKey()), SSHPort: r.at.Port(),
		Name: func() string { return locked(r, &r.name) }, Services: func() int { return locked(r, &r.services) },
		Floating: func() []netip.Addr { return locked(r, &r.floating) }, Own: func() []netip.Addr { return locked(r, &r.own) },
		Active: r.active.Load, Leave: func(context.Context, appliance.Origin) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.left++
			return nil
		},
		Verify: r.verify, Changed: func() { r.changed.Add(1) },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return r.dial(ctx, network, address)
		},
	})
	must(r.t, err)
	r.receiver = NewReceiver(ReceiverOptions{Members: r.members, Settings: r.settings, Version: "0.1.0", Audit: r.store.Audit})
	r.server, err = sshd.New(sshd.Options{Listener: l, HostKey: key, Known: r.members.Known, Audit: r.store.Audit, Doors: []sshd.Door{
		{User: PairingUser, Subsystem: PairingSubsystem, Password: r.members.EnterByPassword, Serve: func(ctx context.Context, s sshd.Session) error {
			return r.members.ServePairing(ctx, s, s.From.Addr())
		}, Time: time.Minute, Bytes: 1 << 20},
		{User: SettingsUser, Subsystem: SettingsSubsystem, Key: r.members.EnterByKey, Serve: func(ctx context.Context, s sshd.Session) error {
			return r.receiver.Serve(ctx, s, s.From.Addr(), s.Key)
		}, Newest: true},
	}})
	must(r.t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		stop()
		must(r.t, <-ended)
		must(r.t, r.store.Close())
	})
}

func (r *rig) open() (err error) {
	r.store, err = store.Open(r.t.Context(), store.Options{Dir: r.dir, SnapshotEvery: time.Hour})
	return err
}

func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

func locked[T any](r *rig, v *T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *v
}

func set[T any](r *rig, v *T, to T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*v = to
}

func (r *rig) verify(_ context.Context, _ netip.Addr, password string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passwords = append(r.passwords, password)
	if password != "correct horse" {
		return &appliance.Error{Kind: appliance.Denied, Message: "User name or password is wrong."}
	}
	return nil
}

func (r *rig) wish(peer *rig) appliance.PairWish {
	return appliance.PairWish{Address: peer.at, HostKey: peer.server.Fingerprint(), Password: "correct horse"}
}

func (r *rig) pair(peer *rig) error {
	_, err := r.members.Pair(context.Background(), anna(), r.wish(peer), nil)
	return err
}

func anna() appliance.Origin { return appliance.Origin{Operator: "anna", Via: "webui"} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind appliance.Kind, text string) {
	t.Helper()
	if appliance.KindOf(err) != kind || !strings.Contains(fmt.Sprint(err), text) {
		t.Fatalf("kind %q, want %q with %q: %v", appliance.KindOf(err), kind, text, err)
	}
}

// wantPair checks that both hold the two sides of one membership.
func wantPair(t *testing.T, a, b *rig) {
	t.Helper()
	ma, oka := a.members.Current()
	mb, okb := b.members.Current()
	if !oka || !okb {
		t.Fatalf("paired: %v, %v", oka, okb)
	}
	mb.Self, mb.Peer = mb.Peer, mb.Self
	if d := cmp.Diff(ma, mb, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Fatal(d)
	}
	if ma.Self.Role != appliance.Primary || ma.Peer.Role != appliance.Secondary || len(ma.Keys[0].Secret) != 32 || ma.Self.Key == ma.Peer.Key {
		t.Fatalf("%+v", ma)
	}
}

func wantAlone(t *testing.T, rigs ...*rig) {
	t.Helper()
	for _, r := range rigs {
		if m, ok := r.members.Current(); ok {
			t.Fatalf("%s is in a pair with %s", r.name, m.Peer.Name)
		}
	}
}

func TestPairIsMadeStepByStepAndOutlivesARestart(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	seen, err := a.members.PeerKey(t.Context(), b.at)
	must(t, err)
	if seen != b.server.Fingerprint() || len(b.passwords) > 0 {
		t.Fatalf("%s is shown, not %s; passwords %v", seen, b.server.Fingerprint(), b.passwords)
	}
	var codes []string
	_, err = a.members.Pair(t.Context(), anna(), a.wish(b), func(s appliance.PairStep) {
		if s.Done {
			codes = append(codes, s.Code)
		}
	})
	must(t, err)
	if want := []string{"check", "connect", "examine", "reach", "keys", "done"}; !slices.Equal(codes, want) {
		t.Errorf("steps %v, want %v", codes, want)
	}
	wantPair(t, a, b)
	if a.changed.Load() != 1 || b.changed.Load() != 1 {
		t.Error("who must know was not told")
	}
	a.restart()
	b.restart()
	wantPair(t, a, b)
	m, _ := a.members.Current()
	c, err := a.members.dialPeer(t.Context(), m.Peer, signTime)
	must(t, err)
	c.Close()
	m, _ = b.members.Current()
	c, err = b.members.dialPeer(t.Context(), m.Peer, signTime)
	must(t, err)
	c.Close()
}

func TestPairingIsRefusedWithItsReason(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	for _, try := range []struct {
		name    string
		prepare func(w *appliance.PairWish)
		kind    appliance.Kind
		text    string
	}{
		{"no host key", func(w *appliance.PairWish) { w.HostKey = "" }, appliance.Invalid, "was not confirmed"},
		{"no password", func(w *appliance.PairWish) { w.Password = "" }, appliance.Invalid, "password"},
		{"wrong password", func(w *appliance.PairWish) { w.Password = "wrong" }, appliance.Denied, "is wrong"},
		{"no address", func(w *appliance.PairWish) { w.Address = netip.AddrPort{} }, appliance.Invalid, "not the address"},
		{"own endpoint", func(w *appliance.PairWish) { w.Address, w.HostKey = a.at, a.server.Fingerprint() }, appliance.Invalid, "this appliance itself"},
		{"own address", func(w *appliance.PairWish) { set(a, &a.own, []netip.Addr{b.at.Addr()}) }, appliance.Invalid, "this appliance itself"},
		{"floating address", func(w *appliance.PairWish) { set(a, &a.floating, []netip.Addr{b.at.Addr()}) }, appliance.Invalid, "virtual service"},
		{"peer has services", func(*appliance.PairWish) { set(b, &b.services, 3) }, appliance.Conflict, "virtual services of its own (3)"},
		{"nothing there", func(w *appliance.PairWish) { w.Address = netip.AddrPortFrom(b.at.Addr(), 1) }, appliance.Unavailable, "Nothing listens"},
		{"no way back", func(w *appliance.PairWish) { w.Own = netip.MustParseAddr("127.255.255.254") }, appliance.Unavailable, "does not reach lb1"},
		{"way back to another", func(*appliance.PairWish) {
			c := newRig(t, "lb3")
			a.members.o.SSHPort = c.at.Port()
		}, appliance.Conflict, "another machine"},
		{"another format", func(*appliance.PairWish) {
			b.dial = a.dial
			a.members.o.Version = "9.9.9"
		}, "", ""},
	} {
		t.Run(try.name, func(t *testing.T) {
			w := a.wish(b)
			try.prepare(&w)
			defer func() {
				set(a, &a.own, nil)
				set(a, &a.floating, nil)
				set(b, &b.services, 0)
				a.members.o.SSHPort = a.at.Port()
			}()
			if try.kind == "" {
				h := hello{Format: Format + 1, Version: "9.9.9", Node: a.members.node(appliance.Primary, a.at.Addr()), Address: b.at.Addr()}
				wantKind(t, b.members.examine(h), appliance.Unsupported, "cannot work together")
				return
			}
			_, err := a.members.Pair(t.Context(), anna(), w, nil)
			wantKind(t, err, try.kind, try.text)
			if field := appliance.ErrorsOf(err)[0].Field; (field == "password") != strings.HasSuffix(try.name, " password") {
				t.Errorf("of the field %q", field)
			}
			wantAlone(t, a, b)
		})
	}
	must(t, a.pair(b))
	c := newRig(t, "lb3")
	wantKind(t, c.pair(b), appliance.Conflict, "lb2 is in a pair with lb1 already")
	if list, err := b.store.AuditEntries(t.Context(), 0, 1); err != nil || len(list) != 1 || list[0].Action != "pair_make" || list[0].Outcome != "refused" || !strings.Contains(list[0].Detail, "already") {
		t.Errorf("what was refused is not on record: %+v, %v", list, err)
	}
	wantKind(t, a.pair(c), appliance.Conflict, "in a pair with lb2 already")
	wantPair(t, a, b)
}

func TestCopyOfANodeIsRecognised(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	for _, name := range []string{secretNodeID, secretNodeKey} {
		v, err := a.store.Secret(t.Context(), name, nil)
		must(t, err)
		must(t, b.store.SetSecret(t.Context(), name, v))
	}
	b.restart()
	wantKind(t, a.pair(b), appliance.Conflict, "same identity")
	wantAlone(t, a, b)
}

func TestManInTheMiddleNeverSeesThePassword(t *testing.T) {
	a, b, between := newRig(t, "lb1"), newRig(t, "lb2"), newRig(t, "lb2")
	w := a.wish(b)
	w.Address = between.at
	_, err := a.members.Pair(t.Context(), anna(), w, nil)
	wantKind(t, err, appliance.Conflict, "another machine may stand in between")
	if !errors.Is(err, errHostKey) || len(between.passwords) > 0 {
		t.Errorf("%v; it saw %q", err, between.passwords)
	}
	wantAlone(t, a, b, between)
}

// cutAfter lets that many reads and writes of the connections to another node happen, then cuts. A write that is cut did not arrive; a read that is cut leaves unknown what the
// other side did.
func cutAfter(n int64) Dial {
	var left atomic.Int64
	left.Store(n)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if left.Load() <= 0 {
			return nil, io.ErrUnexpectedEOF
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &cutConn{Conn: c, left: &left}, nil
	}
}

type cutConn struct {
	net.Conn
	left *atomic.Int64
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.left.Add(-1) < 0 {
		c.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left.Add(-1) < 0 {
		c.Close()
		return 0, io.ErrClosedPipe
	}
	return n, err
}

// TestCutAnywhereLeavesNoHalfPair cuts the Primary's connections at each read and write, restarts one of the nodes or none, and pairs again.
func TestCutAnywhereLeavesNoHalfPair(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	plain := a.dial
	failed := 0
	for n := int64(1); ; n++ {
		a.dial = cutAfter(n)
		err := a.pair(b)
		a.dial = plain
		_, oka := a.members.Current()
		_, okb := b.members.Current()
		if err == nil {
			wantPair(t, a, b)
			break
		}
		failed++
		if oka {
			t.Fatalf("after %d: Pair failed and lb1 is in a pair: %v", n, err)
		}
		if okb {
			if _, open := a.members.Unfinished(); !open {
				t.Fatalf("after %d: lb2 is in a pair and lb1 does not know: %v", n, err)
			}
		}
		switch failed % 3 {
		case 1:
			a.restart()
		case 2:
			b.restart()
		}
		if err := a.pair(b); err != nil {
			t.Fatalf("after %d: again: %v", n, err)
		}
		wantPair(t, a, b)
		unpair(t, a, b)
	}
	if failed < 10 {
		t.Errorf("only %d cuts", failed)
	}
}

// deafConn is cut as soon as something comes after a condition became true.
type deafConn struct {
	net.Conn
	when func() bool
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.when() {
		c.Close()
		return 0, io.ErrClosedPipe
	}
	return n, err
}

// TestCutAfterTheSecondaryBecameOne: the last word of the Secondary is lost. The Primary has decided, and asks again.
func TestCutAfterTheSecondaryBecameOne(t *testing.T) {
	for _, again := range []func(a, b *rig) error{
		func(a, b *rig) error { return a.pair(b) },
		func(a, _ *rig) error { return a.members.finish(t.Context(), anna()) },
		func(a, b *rig) error { a.restart(); b.restart(); return a.members.finish(t.Context(), anna()) },
	} {
		a, b := newRig(t, "lb1"), newRig(t, "lb2")
		a.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &deafConn{c, func() bool { _, ok := b.members.Current(); return ok }}, nil
		}
		if err := a.pair(b); err == nil {
			t.Fatal("the pair was made")
		}
		if _, ok := b.members.Current(); !ok {
			t.Fatal("the Secondary is none")
		}
		if _, open := a.members.Unfinished(); !open {
			t.Fatal("the Primary does not know that something is open")
		}
		a.dial = new(net.Dialer).DialContext
		must(t, again(a, b))
		wantPair(t, a, b)
	}
}

// unpair forgets the pair on both without a word between them.
func unpair(t *testing.T, rigs ...*rig) {
	t.Helper()
	for _, r := range rigs {
		must(t, r.members.forget(t.Context(), anna(), false, brokenHere))
	}
}

func TestUnfinishedPairIsFinishedOrDroppedByItself(t *testing.T) {
	for _, kept := range []bool{true, false} {
		a, b := newRig(t, "lb1"), newRig(t, "lb2")
		a.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if p, ok := b.pendingNow(); ok && p.Membership.Peer.Name == "lb1" {
				return nil, io.ErrUnexpectedEOF // the Secondary has agreed: the Primary cannot reach it any more
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		wantKind(t, a.pair(b), appliance.Unavailable, "")
		if _, open := a.members.Unfinished(); !open {
			t.Fatal("nothing was decided")
		}
		c := newRig(t, "lb3")
		wantKind(t, a.pair(c), appliance.Conflict, "not finished")
		a.dial = new(net.Dialer).DialContext
		if !kept {
			b.restart() // which drops what was not finished
		}
		a.restart()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.members.Run(ctx) }()
		until(t, func() bool { _, open := a.members.Unfinished(); return !open })
		stop()
		must(t, <-ended)
		if kept {
			wantPair(t, a, b)
		} else {
			wantAlone(t, a, b)
			must(t, a.pair(b))
		}
	}
}

func (r *rig) pendingNow() (pending, bool) {
	r.members.mu.Lock()
	defer r.members.mu.Unlock()
	if r.members.pending == nil {
		return pending{}, false
	}
	return *r.members.pending, true
}

// until polls a condition with a deadline.
func until(t *testing.T, f func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !f(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

func TestBreakLeavesTheServicesToTheActiveNode(t *testing.T) {
	for _, try := range []struct {
		name            string
		aActive, byPeer bool
		leaves          string
	}{
		{"the active Primary breaks", true, false, "lb2"},
		{"the passive Secondary breaks", true, true, "lb2"},
		{"the active Secondary breaks", false, true, "lb1"},
		{"the passive Primary breaks", false, false, "lb1"},
	} {
		t.Run(try.name, func(t *testing.T) {
			a, b := newRig(t, "lb1"), newRig(t, "lb2")
			must(t, a.pair(b))
			a.active.Store(try.aActive)
			b.active.Store(!try.aActive)
			by := a
			if try.byPeer {
				by = b
			}
			done, err := by.members.Break(t.Context(), anna(), nil)
			must(t, err)
			must(t, done.Told)
			wantAlone(t, a, b)
			for _, r := range []*rig{a, b} {
				if want := r.name == try.leaves; (locked(r, &r.left) == 1) != want {
					t.Errorf("%s left: %d", r.name, r.left)
				}
				if _, err := r.store.Secret(t.Context(), secretPair, nil); appliance.KindOf(err) != appliance.NotFound {
					t.Errorf("%s keeps the secret of the pair: %v", r.name, err)
				}
			}
			if done.Keeps == try.leaves {
				t.Errorf("%s is said to keep the services", done.Keeps)
			}
			a.restart()
			b.restart()
			wantAlone(t, a, b)
			must(t, b.pair(a)) // in the other roles
			wantPair(t, b, a)
		})
	}
}

func TestBreakWithoutThePeerIsToldToItWhenItComes(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	must(t, a.pair(b))
	b.active.Store(true)
	b.dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }
	done, err := b.members.Break(t.Context(), anna(), nil)
	must(t, err)
	if done.Keeps != "lb2" || done.Told == nil {
		t.Fatalf("%+v", done)
	}
	wantAlone(t, b)
	m, _ := a.members.Current()
	_, err = a.members.dialPeer(t.Context(), m.Peer, signTime)
	wantKind(t, err, appliance.Stale, "The pair was broken on lb2")
	if done, err := a.members.Break(t.Context(), anna(), nil); err != nil || done.Told != nil || done.Keeps != "lb2" {
		t.Fatalf("%+v, %v", done, err)
	}
	wantAlone(t, a, b)
	b.dial = new(net.Dialer).DialContext
	must(t, b.pair(a)) // the lone Secondary is made Primary
	wantPair(t, b, a)
}

func TestStrangersKeyIsRefused(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	must(t, a.pair(b))
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(t, err)
	_, _, err = signIn(t.Context(), a.dial, b.at, SettingsUser, b.server.Fingerprint(), ssh.PublicKeys(signer), signTime)
	wantKind(t, err, appliance.NotFound, "in no pair with the one that has this key")
}

func TestPairingHearsNoNonsense(t *testing.T) {
	b := newRig(t, "lb2")
	for _, say := range []string{
		"\xff\xff\xff\xff", "\x00\x00\x00\x00", "\x00\x00\x00\x02{", "\x00\x00\x00\x04nope", "\x00\x00\x00\x04{}{}",
		"\x00\x00\x00\x0c" + `{"format":1}`, "\x00\x00\x00\x02{}",
	} {
		c, _, err := signIn(t.Context(), b.dial, b.at, PairingUser, b.server.Fingerprint(), ssh.Password("correct horse"), signTime)
		must(t, err)
		talk, err := openTalk(c.Client)
		must(t, err)
		_, _ = io.WriteString(talk.in, say)
		_ = talk.in.Close()
		_, _ = io.Copy(io.Discard, talk.out)
		c.Close()
		wantAlone(t, b)
		if _, open := b.pendingNow(); open {
			t.Errorf("%q made a proposal", say)
		}
	}
}

func TestProposalThatDiffersFromWhatWasSaidIsRefused(t *testing.T) {
	a, b := newRig(t, "lb1"), newRig(t, "lb2")
	peer, self := a.members.node(appliance.Primary, a.at.Addr()), b.members.node(appliance.Secondary, b.at.Addr())
	good := appliance.Membership{Cluster: "0123456789abcdef", Self: self, Peer: peer, Keys: []appliance.HeartbeatKey{{ID: 1, Secret: make([]byte, 32)}}}
	must(t, b.members.agree(t.Context(), good, peer, self))
	for name, change := range map[string]func(*appliance.Membership){
		"cluster":   func(m *appliance.Membership) { m.Cluster = "../../etc" },
		"role":      func(m *appliance.Membership) { m.Peer.Role = appliance.Secondary },
		"key":       func(m *appliance.Membership) { m.Peer.Key = self.Key },
		"address":   func(m *appliance.Membership) { m.Peer.Address = netip.MustParseAddr("127.0.0.9") },
		"own id":    func(m *appliance.Membership) { m.Self.ID = "0000000000000000" },
		"heartbeat": func(m *appliance.Membership) { m.Keys[0].Secret = []byte("short") },
		"no keys":   func(m *appliance.Membership) { m.Keys = nil },
	} {
		m := good
		m.Keys = slices.Clone(good.Keys)
		change(&m)
		if err := b.members.agree(t.Context(), m, peer, self); appliance.KindOf(err) != appliance.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
