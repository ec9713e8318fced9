package story

import (
	endian "encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// overhear returns a heartbeat that a node has just sent to its peer: what somebody on the same network can record.
func (f *field) overhear(letter string) (datagram []byte) {
	f.t.Helper()
	within(f.t, f.sw, func() {
		fd, err := tap("v-" + letter)
		if err != nil {
			f.t.Error(err)
			return
		}
		defer unix.Close(fd)
		frame := make([]byte, 2048)
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			n, from, err := unix.Recvfrom(fd, frame, 0)
			link, ok := from.(*unix.SockaddrLinklayer)
			if err == nil && ok && link.Pkttype != unix.PACKET_OUTGOING && n > 42 && frame[23] == unix.IPPROTO_UDP && endian.BigEndian.Uint16(frame[36:]) == appliance.PortHeartbeat {
				datagram = append([]byte(nil), frame[42:n]...)
				return
			}
		}
	})
	if datagram == nil {
		f.t.Fatal("no heartbeat on the wire")
	}
	return datagram
}

// flood sends a datagram to a node's heartbeat port, as from its peer's address and port, for a while, perSecond times.
func (f *field) flood(from, to string, payload []byte, perSecond int, length time.Duration) (sent int) {
	f.t.Helper()
	packet := make([]byte, 8, 8+len(payload))
	endian.BigEndian.PutUint16(packet, appliance.PortHeartbeat)
	endian.BigEndian.PutUint16(packet[2:], appliance.PortHeartbeat)
	endian.BigEndian.PutUint16(packet[4:], uint16(8+len(payload)))
	packet = append(packet, payload...) // no checksum: IPv4 does not need one
	within(f.t, f.node(from), func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		if err != nil {
			f.t.Error(err)
			return
		}
		defer unix.Close(fd)
		at := &unix.SockaddrInet4{Addr: netip.MustParseAddr(to).As4()}
		for begin := time.Now(); time.Since(begin) < length; {
			for due := int(time.Since(begin).Seconds() * float64(perSecond)); sent < due; sent++ {
				if err := unix.Sendto(fd, packet, 0, at); err != nil && err != unix.ENOBUFS {
					f.t.Error(err)
					return
				}
			}
		}
	})
	return sent
}

// usage is the processor time that a process has used.
func usage(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// TestPairHoldsThroughAFlood sends what is no heartbeat of the pair to the active node, 100,000 a second, as from its peer. What costs nothing to see costs nearly nothing;
// each reason is counted; the addresses stay where they are.
func TestPairHoldsThroughAFlood(t *testing.T) {
	const perSecond, length = 100_000, time.Second
	c := lay(t).pairUp()
	pid := c.a.cmd.cmd.Process.Pid
	changed := func(base []byte, f func(b []byte)) []byte {
		b := append([]byte(nil), base...)
		f(b)
		return b
	}
	theirs, own := c.overhear("b"), c.overhear("a")
	w := c.watch(labService)
	begin := time.Now()
	before := usage(t, pid)
	pause(t, length)
	idle := usage(t, pid) - before
	for _, flood := range []struct {
		what    string
		payload []byte
		percent int    // of a core, at most
		reason  string // it is counted under; empty: the kernel drops it
	}{
		{"wrong length", theirs[:20], 10, ""},
		{"wrong magic", changed(theirs, func(b []byte) { b[0] ^= 1 }), 10, ""},
		{"another pair's", changed(theirs, func(b []byte) { b[8] ^= 1 }), 10, ""},
		{"replayed", theirs, 40, "replayed"},
		{"reflected", own, 40, "reflected"},
		{"wrong code", changed(theirs, func(b []byte) { b[40], b[len(b)-1] = 0x7f, b[len(b)-1]^1 }), 40, "forged"},
	} {
		counted := c.a.status().Rejected
		asked := usage(t, pid)
		sent := c.flood("b", labA, flood.payload, perSecond, length)
		cost := usage(t, pid) - asked - idle
		share := int(100 * cost.Seconds() / length.Seconds() * perSecond / float64(max(sent, 1)))
		now := c.a.status().Rejected
		t.Logf("%s: %d sent, %v of the processor, %d %% of a core at %d a second; counted: %v", flood.what, sent, cost, share, perSecond, now)
		if share > 2*flood.percent { // a test's machine is shared: twice what is aimed at
			t.Errorf("%s: %d %% of a core, want %d %%", flood.what, share, flood.percent)
		}
		if flood.reason != "" && now[flood.reason] <= counted[flood.reason] {
			t.Errorf("%s: not counted as %s: %v", flood.what, flood.reason, now)
		}
	}
	if v := judge(w.end()); v.overlap != 0 {
		t.Errorf("%v", v)
	}
	s := c.a.status()
	if !c.stood() && (s.Self.State != appliance.Active || s.Last != nil && s.Last.At.After(begin)) {
		t.Errorf("a is %s; the last change: %+v", s.Self.State, s.Last)
	}
}

// TestPairDoorsAreShut: OpenSSH and OpenSSL get nothing of what the pair's ports are not for.
func TestPairDoorsAreShut(t *testing.T) {
	need(t, "ssh", "sftp", "openssl")
	c := lay(t).pairUp()
	folder := temporary(t)
	secret := filepath.Join(folder, "secret")
	if err := os.WriteFile(secret, []byte("#!/bin/sh\necho '"+labPassword+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	// With the right password of loadbalancer, and as the pair's user with a key of one's own.
	must(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(folder, "key"))
	options := []string{"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=5", "-o", "ExitOnForwardFailure=yes"}
	for name, args := range map[string][]string{
		"a shell":          {"ssh", "-tt", "loadbalancer@" + labB},
		"a command":        {"ssh", "loadbalancer@" + labB, "id"},
		"a way through":    {"ssh", "-W", labGateway + ":8081", "loadbalancer@" + labB},
		"a way back":       {"ssh", "-N", "-R", "2222:127.0.0.1:22", "loadbalancer@" + labB},
		"files":            {"sftp", "-b", "/dev/null", "loadbalancer@" + labB},
		"files with a key": {"sftp", "-b", "/dev/null", "-i", filepath.Join(folder, "key"), "pair@" + labB},
		"another user":     {"ssh", "root@" + labB, "id"},
	} {
		line := append([]string{args[0]}, append(options, args[1:]...)...)
		line = append(c.on(c.client, "env", "SSH_ASKPASS="+secret, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none", "timeout", "10", "setsid", "-w"), line...)
		if code, out, said := command(t, "", line[0], line[1:]...); code == 0 || code == 124 || strings.Contains(out, "uid=") {
			t.Errorf("%s: ended with %d: %s%s", name, code, out, said)
		}
	}
	c.tablesAgree()
	said := len(c.a.cmd.stderr.String())
	// TCP 7778: from the peer's own address, with no certificate and with a foreign one.
	certificate, key := newSignerFiles(t, folder)
	for name, args := range map[string][]string{"no certificate": nil, "a foreign one": {"-cert", certificate, "-key", key}} {
		line := c.on(c.node("a"), append([]string{"timeout", "5", "openssl", "s_client", "-connect", labB + ":7778", "-bind", labA, "-quiet"}, args...)...)
		if code, out, errs := command(t, "EKPM\x00\x01........", line[0], line[1:]...); code == 124 || out != "" {
			t.Errorf("7778 with %s: ended with %d, answered %q: %s", name, code, out, errs)
		}
	}
	if s, news := c.b.status(), c.a.cmd.stderr.String()[said:]; !s.Table.InSync || strings.Contains(news, "persistence table not copied") {
		t.Errorf("the copy of the persistence table was disturbed: %+v\n%s", s.Table, news)
	}
}

func newSignerFiles(t *testing.T, folder string) (certificate, key string) {
	t.Helper()
	authority := newSigner(t)
	pair := [2]string{}
	pair[0], pair[1] = authority.issue(t, "stranger")
	out := [2]string{filepath.Join(folder, "stranger.pem"), filepath.Join(folder, "stranger.key")}
	for i := range pair {
		if err := os.WriteFile(out[i], []byte(pair[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out[0], out[1]
}
