package replica

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"evenkeel/appliance"
	"evenkeel/appliance/certificates"
	"evenkeel/appliance/control"
)

// engine runs what it is given, unless it is told to refuse.
type engine struct {
	mu      sync.Mutex
	running appliance.Config
	refuse  string
	vault   *certificates.Vault
}

func (e *engine) Check(_ context.Context, c appliance.Config) error {
	for _, s := range c.Cluster.VirtualServices {
		for _, id := range s.TLS.Certificates {
			if _, err := e.vault.KeyPair(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *engine) Apply(_ context.Context, c appliance.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refuse != "" {
		return &appliance.Error{Kind: appliance.Conflict, Message: e.refuse}
	}
	e.running = c
	return nil
}

func (e *engine) Status() appliance.Status { return appliance.Status{} }

// node is a rig with everything that has settings.
type node struct {
	*rig
	control *control.Control
	engine  *engine
	vault   *certificates.Vault
	sender  *Sender
	alerts  sync.Map
}

func newNode(t *testing.T, name string, dial Dial, change ...func(*Sender)) *node {
	t.Helper()
	n := &node{rig: &rig{t: t, name: name, dir: t.TempDir(), dial: dial}, engine: &engine{}}
	must(t, n.open())
	var err error
	n.vault, err = certificates.Open(t.Context(), certificates.Options{Store: n.store, Configurations: func() (a, b appliance.Config) { return n.control.Saved().Config, n.control.Running().Config }})
	must(t, err)
	n.engine.vault = n.vault
	n.control = control.New(control.Options{Store: n.store, Engine: n.engine, Keys: n.vault})
	must(t, n.control.Boot(t.Context()))
	must(t, n.store.CreateOperator(t.Context(), anna(), "loadbalancer", appliance.Administrator, "hash of "+name))
	_, err = n.store.Secret(t.Context(), "cookie_key", func() ([]byte, error) { return []byte("cookies of " + name), nil })
	must(t, err)
	n.settings = n.control
	n.endpoint()
	t.Cleanup(func() { n.stop() })
	may := func() (bool, string, string) {
		m, paired := n.members.Current()
		return !paired || n.active.Load(), m.Peer.Name, "https://" + m.Peer.Address.String() + ":9443/lbadmin/"
	}
	n.control.SetWriter(may)
	n.store.SetWriter(n.control.Writable)
	n.sender = NewSender(SenderOptions{
		Members: n.members, Settings: n.control, Version: "0.1.0", Active: n.active.Load, Watch: n.store.Watch,
		Alert: func(a appliance.Alert) { n.alerts.Store(a.Code, a) }, Clear: func(code string) { n.alerts.Delete(code) },
	})
	n.sender.first, n.sender.most = 5*time.Millisecond, 5*time.Millisecond
	for _, f := range change {
		f(n.sender)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.sender.Run(ctx) }()
	before := n.stop
	n.stop = sync.OnceFunc(func() {
		stop()
		must(t, <-ended)
		before()
	})
	return n
}

func newNodes(t *testing.T) (a, b *node) {
	return pairOf(t, new(net.Dialer).DialContext)
}

// pairOf returns two nodes; the first, which is active, dials in its own way.
func pairOf(t *testing.T, dial Dial, change ...func(*Sender)) (a, b *node) {
	t.Helper()
	a, b = newNode(t, "lb1", dial, change...), newNode(t, "lb2", new(net.Dialer).DialContext)
	must(t, a.pair(b.rig))
	a.active.Store(true)
	return a, b
}

func (n *node) state() appliance.SharedState {
	n.t.Helper()
	s, err := n.control.SharedState(n.t.Context())
	must(n.t, err)
	return s
}

func wantEqual(t *testing.T, a, b *node) {
	t.Helper()
	until(t, func() bool { return a.state().Same(b.state()) })
	a.engine.mu.Lock()
	b.engine.mu.Lock()
	defer a.engine.mu.Unlock()
	defer b.engine.mu.Unlock()
	if appliance.Hash(a.engine.running.Cluster) != appliance.Hash(b.engine.running.Cluster) {
		t.Error("the engines run different settings")
	}
}

func (n *node) commit(edit control.Edit) {
	n.t.Helper()
	_, err := n.control.Commit(n.t.Context(), anna(), nil, edit)
	must(n.t, err)
}

func (n *node) apply() {
	n.t.Helper()
	_, err := n.control.Apply(n.t.Context(), anna())
	must(n.t, err)
}

func service(label string, port uint16) appliance.VirtualService {
	s := appliance.NewService(appliance.TCP)
	s.Label, s.Address, s.Ports = label, netip.MustParseAddr("10.0.0.10"), appliance.Ports{{First: port, Last: port}}
	r := appliance.NewRealServer()
	r.Label, r.Address = "A", "10.0.1.1"
	s.RealServers = []appliance.RealServer{r}
	return s
}

func add(label string, port uint16) control.Edit {
	return func(c *appliance.Config) error {
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, service(label, port))
		return nil
	}
}

func TestSettingsReachThePassiveNodeWhicheverItIs(t *testing.T) {
	a, b := newNodes(t)
	a.commit(add("HL7", 6667))
	a.apply()
	wantEqual(t, a, b)
	made, err := a.vault.SelfSign(t.Context(), anna(), appliance.CertificateWish{Label: "web", Names: []string{"web.example"}})
	must(t, err)
	must(t, a.store.CreateOperator(t.Context(), anna(), "viewer", appliance.Viewer, "hash of viewer"))
	wantEqual(t, a, b)
	a.commit(func(c *appliance.Config) error {
		s := service("WEB", 443)
		s.TLS.Certificates = []string{made.ID}
		s.Protocol = appliance.TCP
		c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
		return nil
	})
	a.apply()
	wantEqual(t, a, b)
	until(t, func() bool { return a.sender.Status().InSync })
	if s := a.sender.Status().Sentence; s != "in sync, revision 2" {
		t.Error(s)
	}
	until(t, func() bool { return b.receiver.Status() == a.sender.Status() })
	theirs, err := a.vault.KeyPair(made.ID)
	must(t, err)
	if pair, err := b.vault.KeyPair(made.ID); err != nil || !bytes.Equal(pair.Key, theirs.Key) {
		t.Error("the key did not come along", err)
	}
	if hash, o, err := b.store.PasswordHash(t.Context(), "viewer"); err != nil || hash != "hash of viewer" || o.Role != appliance.Viewer {
		t.Error(hash, o, err)
	}
	if v, err := b.store.Secret(t.Context(), "cookie_key", nil); err != nil || string(v) != "cookies of lb1" {
		t.Errorf("%s, %v", v, err)
	}
	if err := b.store.CreateOperator(t.Context(), anna(), "x", appliance.Viewer, "x"); appliance.KindOf(err) != appliance.Conflict || !strings.Contains(err.Error(), "lb1") {
		t.Error("a user was made on the passive node", err)
	}
	if _, err := b.vault.SelfSign(t.Context(), anna(), appliance.CertificateWish{Label: "x", Names: []string{"x.example"}}); appliance.KindOf(err) != appliance.Conflict {
		t.Error("a certificate was made on the passive node", err)
	}
	_, err = a.control.Act(t.Context(), anna(), []control.Act{{Service: a.control.Running().Config.Cluster.VirtualServices[0].ID, Server: a.control.Running().Config.Cluster.VirtualServices[0].RealServers[0].ID, State: appliance.Drain}})
	must(t, err)
	wantEqual(t, a, b)
	a.active.Store(false)
	b.active.Store(true)
	b.commit(add("DICOM", 104))
	b.apply()
	wantEqual(t, a, b)
	if a.control.Running().Revision.Number != 4 || a.control.Running().Config.Cluster.VirtualServices[1].RealServers[0].State != appliance.Drain {
		t.Errorf("%+v", a.control.Running().Revision)
	}
}

func TestRefusedSettingsAreToldOnBothNodes(t *testing.T) {
	a, b := newNodes(t)
	a.commit(add("HL7", 6667))
	a.apply()
	wantEqual(t, a, b)
	b.engine.mu.Lock()
	b.engine.refuse = "Port 104 is taken."
	b.engine.mu.Unlock()
	a.commit(add("DICOM", 104))
	a.apply()
	until(t, func() bool { _, told := a.alerts.Load(codeRefused); return told })
	if s := a.sender.Status(); s.InSync || !strings.Contains(s.Sentence, "Port 104 is taken.") {
		t.Errorf("%+v", s)
	}
	if s := b.receiver.Status(); s.InSync || !strings.Contains(s.Sentence, "Port 104 is taken.") {
		t.Errorf("%+v", s)
	}
	plan, err := a.sender.Differences(t.Context())
	must(t, err)
	if len(plan.Changes) != 1 || plan.Changes[0].Action != appliance.Removed || !strings.Contains(plan.Summary(), "DICOM") {
		t.Errorf("%+v", plan)
	}
	plan, err = b.sender.Differences(t.Context())
	must(t, err)
	if len(plan.Changes) != 2 || plan.Changes[0].Action != appliance.Added {
		t.Errorf("%+v", plan)
	}
	b.engine.mu.Lock()
	b.engine.refuse = ""
	b.engine.mu.Unlock()
	a.commit(add("WEB", 80))
	a.apply()
	wantEqual(t, a, b)
	until(t, func() bool { _, told := a.alerts.Load(codeRefused); return !told && a.sender.Status().InSync })
}

// TestWhatThePeerDoesNotGiveAgainIsOver: somebody with the key of a node gives what is refused; that node itself has nothing to give, so it is not told for ever.
func TestWhatThePeerDoesNotGiveAgainIsOver(t *testing.T) {
	a, b := newNodes(t)
	a.commit(add("HL7", 6667))
	a.apply()
	wantEqual(t, a, b)
	m, _ := b.members.Current()
	if err := b.receiver.take(t.Context(), netip.MustParseAddr("127.0.0.1"), m.Peer.Key, []byte("none")); err == nil {
		t.Fatal("taken")
	}
	look := func() appliance.SyncStatus {
		_, err := b.receiver.state(t.Context(), m.Peer.Key, Format)
		must(t, err)
		return b.receiver.Status()
	}
	if s := look(); s.InSync || !strings.Contains(s.Sentence, "no bundle of settings") {
		t.Errorf("%+v", s)
	}
	b.receiver.mu.Lock()
	b.receiver.taken = b.receiver.taken.Add(-againAfter - freshFor - time.Second)
	b.receiver.mu.Unlock()
	if s := look(); !s.InSync {
		t.Errorf("%+v", s)
	}
}

// flaky cuts every connection that writes after so many bytes, until it is set anew.
type flaky struct{ left, made atomic.Int64 }

const noCut = math.MaxInt64 / 2

func (f *flaky) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &flakyConn{c, f}, nil
}

type flakyConn struct {
	net.Conn
	cuts *flaky
}

func (c *flakyConn) Write(b []byte) (int, error) {
	if c.cuts.left.Add(-int64(len(b))) < 0 {
		c.cuts.made.Add(1)
		c.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

// spareTime is left for the other tests of this package, on a machine that is so slow that a thousand edits take minutes.
const spareTime = 90 * time.Second

// TestThousandEditsWithCutsLeaveTheReceiverWhole looks at the receiver after each edit: it is always at a revision that the sender made, and equal at the end.
func TestThousandEditsWithCutsLeaveTheReceiverWhole(t *testing.T) {
	edits := 1000
	if testing.Short() {
		edits = 100
	}
	cuts := &flaky{}
	cuts.left.Store(noCut)
	a, b := pairOf(t, cuts.dial)
	made := map[appliance.RevisionID]bool{{}: true}
	random := rand.New(rand.NewPCG(7, 7))
	at := map[int64]bool{}
	for i := range edits {
		if end, limited := t.Deadline(); limited && time.Until(end) < spareTime && i >= 100 {
			t.Logf("the machine is slow: %d of %d edits", i, edits)
			edits = i
			break
		}
		cuts.left.Store([]int64{noCut, random.Int64N(8_000), random.Int64N(80_000)}[random.IntN(3)])
		a.commit(func(c *appliance.Config) error {
			n := len(c.Cluster.VirtualServices)
			switch {
			case n == 0 || n < 8 && random.IntN(3) == 0:
				return add(fmt.Sprintf("S%d", i), uint16(1000+i))(c)
			case random.IntN(5) == 0:
				c.Cluster.VirtualServices = c.Cluster.VirtualServices[1:]
			default:
				c.Cluster.VirtualServices[random.IntN(n)].RealServers[0].Weight = random.IntN(100)
			}
			return nil
		})
		made[a.state().Saved] = true
		if random.IntN(2) == 0 {
			a.apply()
			made[a.state().Running] = true
		}
		s := b.state()
		if !made[s.Saved] || !made[s.Running] {
			t.Fatalf("edit %d: the receiver is at %+v, which nobody made", i, s)
		}
		at[s.Saved.Number] = true
		if i%50 == 49 {
			cuts.left.Store(noCut)
			wantEqual(t, a, b)
		}
	}
	cuts.left.Store(noCut)
	a.apply()
	wantEqual(t, a, b)
	if cuts.made.Load() < int64(edits/50) || len(at) < edits/50 {
		t.Errorf("only %d cuts, and the receiver was seen at %d revisions", cuts.made.Load(), len(at))
	}
	mine, err := a.store.List(t.Context(), appliance.ClusterLine, 0, 1000)
	must(t, err)
	theirs, err := b.store.List(t.Context(), appliance.ClusterLine, 0, 1000)
	must(t, err)
	for i, r := range mine {
		if i >= len(theirs) || theirs[i].Number != r.Number || theirs[i].Hash != r.Hash {
			t.Fatalf("revision %d is missing", r.Number)
		}
	}
}

// folderOf signs in with the node's own key and opens the folder of its peer, as a hostile peer would.
func folderOf(t *testing.T, n *node) (*ssh.Client, *sftp.Client) {
	t.Helper()
	m, _ := n.members.Current()
	c, err := n.members.dialPeer(t.Context(), m.Peer, signTime)
	must(t, err)
	f, err := sftp.NewClient(c.Client)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c.Client, f
}

func upload(f *sftp.Client, name string, b []byte) error {
	w, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}

func TestHostilePeerGetsNothingThroughTheFolder(t *testing.T) {
	a, b := newNodes(t)
	a.commit(add("HL7", 6667))
	a.apply()
	wantEqual(t, a, b)
	a.active.Store(false) // its sender is quiet; its key is used by hand
	before := b.state()
	c, f := folderOf(t, a)
	for name, err := range map[string]error{
		"upload outside":      upload(f, "/../etc/cron.d/x.part", []byte("x")),
		"upload beside":       upload(f, "/incoming/x.part", []byte("x")),
		"upload as whole":     upload(f, "/settings.bundle", []byte("x")),
		"upload as state":     upload(f, "/state-1", []byte("x")),
		"upload odd name":     upload(f, "/x\n.part", []byte("x")),
		"mkdir":               f.Mkdir("/x"),
		"symlink":             f.Symlink("/etc/passwd", "/x.part"),
		"link":                f.Link("/state-1", "/x.part"),
		"remove state":        f.Remove("/state-1"),
		"remove directory":    f.RemoveDirectory("/"),
		"rename state":        f.Rename("/state-1", "/settings.bundle"),
		"rename to elsewhere": f.Rename("/x.part", "/../../evenkeel.db"),
		"posix rename":        f.PosixRename("/state-1", "/x.part"),
		"chmod":               f.Chmod("/state-1", 0o777),
		"truncate":            f.Truncate("/state-1", 0),
	} {
		if err == nil {
			t.Errorf("%s went through", name)
		}
	}
	for _, name := range []string{"/etc/passwd", "/../../etc/shadow", "/evenkeel.db", "state/../../x", "/", "/x.part"} {
		if r, err := f.Open(name); err == nil {
			if b, err := io.ReadAll(r); err == nil {
				t.Errorf("%s was read: %.40q", name, b)
			}
		}
	}
	if list, err := f.ReadDir("/"); err == nil {
		t.Errorf("the folder was listed: %v", list)
	}
	if _, err := f.StatVFS("/"); err == nil {
		t.Error("the disk was measured")
	}
	if target, err := f.ReadLink("/state-1"); err == nil {
		t.Errorf("a link was read: %s", target)
	}
	if _, err := c.NewSession(); err == nil {
		t.Error("a second session was given")
	}
	if _, err := c.Dial("tcp", "127.0.0.1:22"); err == nil {
		t.Error("a connection was forwarded")
	}
	if !b.state().Same(before) {
		t.Error("something changed")
	}
	if list, err := b.store.AuditEntries(t.Context(), 0, 50); err != nil || !strings.Contains(fmt.Sprint(list), "pair_settings") {
		t.Error("nothing was recorded", err)
	}
}

func TestQuotaOfTheFolder(t *testing.T) {
	a, _ := newNodes(t)
	a.active.Store(false)
	_, f := folderOf(t, a)
	w, err := f.OpenFile("/big.part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	must(t, err)
	if _, err := w.WriteAt([]byte("x"), mostBytes); err == nil {
		t.Error("a byte behind the quota was kept")
	}
	if _, err := w.WriteAt([]byte("x"), 1<<62); err == nil {
		t.Error("a byte far behind the quota was kept")
	}
	if _, err := w.WriteAt([]byte("x"), mostBytes-1); err != nil {
		t.Error(err)
	}
	if err := upload(f, "/more.part", []byte("xx")); err == nil {
		t.Error("two files have more than the quota together")
	}
	for i := range mostFiles + 1 {
		if err = upload(f, fmt.Sprintf("/f%d.part", i), nil); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("more files than there may be")
	}
	var open []*sftp.File
	for range mostReads {
		r, err := f.Open("/state-1")
		must(t, err)
		open = append(open, r)
	}
	if _, err := f.Open("/state-1"); err == nil {
		t.Error("more open files than there may be")
	}
	must(t, open[0].Close())
	if _, err := f.Open("/state-1"); err != nil {
		t.Error(err)
	}
}

// give uploads a bundle by hand and returns what became of it.
func give(t *testing.T, n *node, raw []byte) answer {
	t.Helper()
	c, f := folderOf(t, n)
	defer c.Close()
	must(t, upload(f, "/x.part", raw))
	renamed := f.Rename("/x.part", "/"+wholeName)
	r, err := f.Open("/" + fileAnswer)
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	var a answer
	must(t, json.Unmarshal(b, &a))
	if (renamed == nil) != (len(a.Refused) == 0) {
		t.Errorf("renamed: %v, answer %+v", renamed, a)
	}
	return a
}

func TestBundlesThatAreNotThePeersOrOldAreRefused(t *testing.T) {
	a, b := newNodes(t)
	a.commit(add("HL7", 6667))
	a.apply()
	wantEqual(t, a, b)
	a.active.Store(false)
	m, _ := a.members.Current()
	state := b.state()
	shared, err := a.control.Shared(t.Context(), state)
	must(t, err)
	last, err := b.control.LastSequence(t.Context(), m.Cluster+"/"+m.Self.ID)
	must(t, err)
	good := bundle{Version: "0.1.0", Cluster: m.Cluster, From: m.Self.ID, To: m.Peer.ID, Sequence: last + 1, Shared: shared}
	sign := func(change func(*bundle)) []byte {
		x := good
		change(&x)
		raw, err := x.sign(a.members.self.key)
		must(t, err)
		return raw
	}
	whole := sign(func(*bundle) {})
	stranger := ed25519.NewKeyFromSeed(make([]byte, 32))
	forged, err := good.sign(stranger)
	must(t, err)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-10] ^= 1
	for name, try := range map[string]struct {
		raw  []byte
		text string
	}{
		"another key":    {forged, "signature"},
		"a flipped bit":  {flipped, "signature"},
		"cut off":        {whole[:len(whole)-1], "signature"},
		"empty":          {nil, "no bundle"},
		"nonsense":       {[]byte("PK\x03\x04 something that is a zip file, which nobody wants here, and that is longer than the head of a bundle has to be"), "no bundle"},
		"another format": {append([]byte(bundleMagic+"\x00\x00\x00\x09"), whole[len(bundleMagic)+4:]...), "format 9"},
		"another pair":   {sign(func(x *bundle) { x.Cluster = "0000000000000000" }), "another pair"},
		"another node":   {sign(func(x *bundle) { x.To = m.Self.ID }), "another node"},
		"another sender": {sign(func(x *bundle) { x.From = m.Peer.ID }), "another node"},
		"old":            {sign(func(x *bundle) { x.Sequence = last }), "old"},
		"a loopback server": {sign(func(x *bundle) {
			edited(t, &x.Shared, a, "10.0.1.1", "127.0.0.1")
		}), ""},
		"an unknown field": {sign(func(x *bundle) { edited(t, &x.Shared, a, `"settings":{`, `"settings":{"shell":"sh",`) }), "shell"},
		"a certificate of another key": {sign(func(x *bundle) {
			x.Shared.Belongings.Certificates = []appliance.CertificateRecord{{ID: strings.Repeat("0", 64), Label: "x", Chain: []byte("x"), Key: []byte("y"), Created: time.Now()}}
		}), "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			got := give(t, a, try.raw)
			if len(got.Refused) == 0 || got.Kept || !strings.Contains(got.Refused[0].Message, try.text) {
				t.Errorf("%+v", got)
			}
			if !b.state().Same(state) {
				t.Error("something changed")
			}
		})
	}
	if got := give(t, a, whole); len(got.Refused) > 0 || !got.Kept {
		t.Errorf("%+v", got)
	}
	if got := give(t, a, whole); len(got.Refused) == 0 {
		t.Error("the same bundle was taken twice")
	}
	b.active.Store(true)
	if got := give(t, a, sign(func(x *bundle) { x.Sequence += 5 })); len(got.Refused) == 0 {
		t.Error("the active node took settings")
	}
}

// edited makes one more revision with other content.
func edited(t *testing.T, s *appliance.Shared, n *node, from, to string) {
	t.Helper()
	r, content, err := n.store.Latest(t.Context(), appliance.ClusterLine)
	must(t, err)
	text := strings.ReplaceAll(string(content), from, to)
	if text == string(content) {
		t.Fatalf("nothing to replace in %s", text)
	}
	r.Number++
	r.Hash = appliance.Hash(json.RawMessage(text))
	s.Revisions = append(s.Revisions, appliance.SharedRevision{Revision: r, Content: json.RawMessage(text)})
	s.Saved = appliance.RevisionID{Number: r.Number, Hash: r.Hash}
	s.Running = s.Saved
}

func TestBrokenPairEndsTheFolderThatIsOpen(t *testing.T) {
	a, b := newNodes(t)
	a.active.Store(false)
	_, f := folderOf(t, a)
	if _, err := f.Open("/state-1"); err != nil {
		t.Fatal(err)
	}
	must(t, b.members.forget(t.Context(), anna(), false, brokenHere))
	if _, err := f.Open("/state-1"); err == nil {
		t.Error("the folder is still open")
	}
	if _, err := f.Open("/running"); err == nil {
		t.Error("the folder is still open")
	}
}

func FuzzBundle(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	m := appliance.Membership{Cluster: "c", Self: appliance.Node{ID: "b"}, Peer: appliance.Node{ID: "a", Key: identity{key: key}.public()}}
	raw, err := bundle{Cluster: "c", From: "a", To: "b", Sequence: 1}.sign(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := openBundle(b, m, "0.1.0")
		if err == nil && !bytes.Equal(b, raw) {
			t.Errorf("%q was taken as %+v", b, got)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h hello
		if err := hear(bytes.NewReader(b), &h); err == nil && len(b) < 6 {
			t.Errorf("%q is a message", b)
		}
	})
}
