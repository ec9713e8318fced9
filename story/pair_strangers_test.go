package story

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/store"
)

// stolen is the key by which a node signs in at its peer, as somebody has it who took the node's disk: a file for OpenSSH.
func (n *node) stolen() string {
	n.f.t.Helper()
	s, err := store.Open(n.f.t.Context(), store.Options{Dir: n.dir, SnapshotEvery: time.Hour})
	if err != nil {
		n.f.t.Fatal(err)
	}
	defer s.Close()
	seed, err := s.Secret(n.f.t.Context(), "node_key", nil)
	if err != nil {
		n.f.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(seed), "")
	if err != nil {
		n.f.t.Fatal(err)
	}
	file := filepath.Join(temporary(n.f.t), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		n.f.t.Fatal(err)
	}
	return file
}

// openssh runs one of OpenSSH's clients in a node's network, with a key and nothing else. A password, if there is one, is that of the file askpass.
func (f *field) openssh(letter, stdin, key, askpass string, args ...string) (code int, said string) {
	f.t.Helper()
	words := []string{"timeout", "60", "env", "SSH_ASKPASS=" + askpass, "SSH_ASKPASS_REQUIRE=force", args[0], "-F", "none", "-i", key}
	for _, option := range []string{
		"IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20", "NumberOfPasswordPrompts=1", "ExitOnForwardFailure=yes",
	} {
		words = append(words, "-o", option)
	}
	words = f.on(f.node(letter), append(words, args[1:]...)...)
	code, out, errs := command(f.t, stdin, words[0], words[1:]...)
	return code, out + errs
}

// TestPairEndpointIsNoShellForOpenSSH: whoever has the key of a node, or the password, gets from the SSH endpoint of the other one no shell, no command, no terminal, no
// forwarding, no other subsystem, no file of the machine, and no more room than the folder has. The pair does not notice.
func TestPairEndpointIsNoShellForOpenSSH(t *testing.T) {
	need(t, "ssh", "sftp", "scp", "ssh-keygen")
	c := lay(t).pairUp()
	c.a.cmd.kill()
	c.owns("b")
	key, folder := c.a.stolen(), temporary(t)
	before := c.b.rest().kept(t)
	foreign, askpass := filepath.Join(folder, "foreign"), filepath.Join(folder, "askpass")
	must(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", foreign)
	if err := os.WriteFile(askpass, []byte("#!/bin/sh\necho '"+labPassword+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	big := filepath.Join(folder, "big")
	must(t, "truncate", "-s", "80M", big)
	stolen := filepath.Join(folder, "passwd")
	to := "pair@" + labB
	for _, try := range []struct {
		what string
		key  string
		args []string
		says string
	}{
		{"a foreign key", foreign, []string{"ssh", "-o", "BatchMode=yes", to, "id"}, "Permission denied"},
		{"the key as somebody else", key, []string{"ssh", "-o", "BatchMode=yes", "root@" + labB, "id"}, "Permission denied"},
		{"the key for the pairing", key, []string{"ssh", "-o", "BatchMode=yes", "loadbalancer@" + labB, "id"}, "Permission denied"},
		{"the password while there is a pair", foreign, []string{"ssh", "loadbalancer@" + labB, "id"}, "in a pair with"},
		{"a command", key, []string{"ssh", to, "id"}, "exec request failed"},
		{"a shell", key, []string{"ssh", "-tt", to}, "PTY allocation request failed"},
		{"a forwarding to the machine", key, []string{"ssh", "-W", "127.0.0.1:9081", to}, "There is no direct-tcpip here"},
		{"a forwarding from the machine", key, []string{"ssh", "-N", "-R", "0:127.0.0.1:22", to}, "remote port forwarding failed"},
		{"another subsystem", key, []string{"ssh", "-s", to, "evenkeel-pairing"}, "subsystem request failed"},
		{"a file of the machine", key, []string{"scp", to + ":/etc/passwd", stolen}, ""},
		{"a file of the machine, as it was done once", key, []string{"scp", "-O", to + ":/etc/passwd", stolen}, ""},
		{"a file onto the machine", key, []string{"scp", big, to + ":/tmp/evenkeel-was-here"}, ""},
		{"more than the folder has room for", key, []string{"scp", big, to + ":big.part"}, ""},
		{"a list of files", key, []string{"sftp", "-b", "-", to}, ""},
	} {
		code, said := c.openssh("a", "ls /\n", try.key, askpass, try.args...)
		if code == 0 || code == 124 || !strings.Contains(said, try.says) || strings.Contains(said, "uid=") || strings.Contains(said, "evenkeel.db") {
			t.Errorf("%s: ended with %d: %s", try.what, code, said)
		}
	}
	// What the folder takes, and what it makes of a bundle that is none.
	if err := os.WriteFile(filepath.Join(folder, "small"), []byte("no bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	batch := "put " + filepath.Join(folder, "small") + " small.part\n-rename small.part settings.bundle\n-rename state small.part\n-mkdir x\n-symlink state y\n-get ../evenkeel.db " + stolen + "\n-chmod 777 small.part\n"
	if code, said := c.openssh("a", batch, key, askpass, "sftp", "-b", "-", to); code != 0 || strings.Count(said, "Permission denied") != 3 || !strings.Contains(said, `"/settings.bundle": Failure`) {
		t.Errorf("the folder: %d %s", code, said)
	}
	if _, err := os.Stat(stolen); err == nil {
		t.Error("a file of the machine was fetched")
	}
	if now := c.b.rest().kept(t); now != before {
		t.Error("the settings are others")
	}
	if said := c.b.does("audit"); !strings.Contains(said, "ssh_request") || !strings.Contains(said, "ssh_channel") || !strings.Contains(said, "ssh_sign_in") {
		t.Errorf("not on record:\n%s", said)
	}
	c.a.begin()
	if owner, _ := c.calm(); owner == c.b {
		c.hands("b")
	}
	c.calm()     // a has nothing to give, so b does not tell for ever what it has refused
	c.hands("a") // Break leaves the services there
	c.b.does("pair", "break")
	code, said := c.openssh("a", "", foreign, askpass, "ssh", "loadbalancer@"+labB, "id")
	if code == 0 || strings.Contains(said, "uid=") || strings.Contains(said, "Permission denied") {
		t.Errorf("the password of a node that is alone: %d %s", code, said)
	}
}

// TestPairIsNotImpressedByAClone: a copy of a node's disk that comes to life on another machine, with an address of its own or with that of its original, owns nothing and
// says what it is; the pair goes on.
func TestPairIsNotImpressedByAClone(t *testing.T) {
	for name, addresses := range map[string][]string{"with addresses of its own": {"10.77.0.13", "fd77::13"}, "with the addresses of its original": {labA, labA6}} {
		t.Run(name, func(t *testing.T) {
			address := addresses[0]
			c := lay(t).pairUp()
			image := temporary(t)
			c.a.cmd.stop(t)
			must(t, "cp", "-a", c.a.dir+"/.", image)
			c.a.begin()
			c.calm()
			ns := strings.Replace(c.field.a, "-a-", "-x-", 1)
			must(t, "ip", "netns", "add", ns)
			t.Cleanup(func() { must(t, "ip", "netns", "del", ns) })
			must(t, "ip", "-n", ns, "link", "set", "lo", "up")
			c.plug(ns, "eth0", "v-x", "br0", addresses...)
			must(t, "ip", "-n", ns, "route", "add", "default", "via", labGateway)
			heard := make(chan []sighting, 1)
			fd := -1
			within(t, c.sw, func() { fd, _ = tap("v-x") })
			if fd < 0 {
				t.Fatal("no capture")
			}
			go func() { heard <- listenTo(fd, 'x', labAddress(labService)) }()
			w := c.watch(labService)
			clone := &node{f: c.field, letter: "x", address: address, dir: image}
			_ = os.Remove(filepath.Join(image, "control.sock"))
			clone.cmd = startWith(t, c.on(ns, binary, "serve", "--data", image, "--webui", address+":9443", "--ssh", address+":22")...)
			clone.serves()
			says := func(n *node, text string) func() bool {
				return func() bool { return strings.Contains(strings.Join(n.status().Limits, " "), text) }
			}
			if address == labA {
				eventually(t, 20*time.Second, "b says that there is a clone", says(c.b, "Another machine speaks with the identity of a node of this pair"))
			} else {
				eventually(t, 20*time.Second, "the clone says that it is no node", says(clone, "This machine does not have the address "+labA))
			}
			pause(t, 3*time.Second)
			if s := clone.status().Self.State; s == appliance.Active && !c.stood() { // else b owned nothing at times, and who comes back to a pair without an owner takes what nobody answers for
				t.Errorf("the clone is %s", s)
			}
			unix.Close(fd)
			if list := <-heard; len(list) > 0 {
				t.Errorf("the clone spoke %d times for the floating address", len(list))
			}
			if v := judge(w.end()); v.overlap != 0 {
				t.Error(v)
			}
			clone.cmd.kill()
			must(t, "ip", "-n", ns, "link", "set", "eth0", "down")
			c.calm()
		})
	}
}

// TestPairIsEndedOnANodeThatWasAwayWhenItWasBroken: a lone Secondary becomes a Primary; its old peer comes back, learns it, and has no services.
func TestPairIsEndedOnANodeThatWasAwayWhenItWasBroken(t *testing.T) {
	c := lay(t).pairUp()
	c.hands("a")
	c.a.cmd.kill()
	eventually(t, 60*time.Second, "b is a Primary without a pair", func() bool {
		code, _, _ := c.b.lb("", "pair", "primary")
		return code == 0 && !c.b.status().Paired
	})
	w := c.watch(labService)
	c.a.begin()
	eventually(t, 30*time.Second, "a knows that the pair is broken", func() bool { return !c.a.status().Paired && len(c.a.labels()) == 0 })
	if status, _, _ := c.get("http://" + labService + "/"); status != 200 || len(c.b.labels()) != 3 {
		t.Errorf("b answers %d and has %v", status, c.b.labels())
	}
	if v := judge(w.end()); v.changes != 0 || v.overlap != 0 {
		t.Error(v)
	}
	if said := c.a.does("audit"); !strings.Contains(said, "pair_break") {
		t.Errorf("not on record:\n%s", said)
	}
	code, key, _ := c.b.lb(labPassword+"\n", "pair", "add", labA, "--password-stdin")
	if code != 1 {
		t.Fatal(key)
	}
	if code, _, said := c.b.lb(labPassword+"\n", "pair", "add", labA, "--password-stdin", "--host-key", strings.TrimSpace(key)); code != 0 {
		t.Fatalf("pair add in the other direction: %d %s", code, said)
	}
	c.calm()
}
