package ha

import (
	"net/netip"
	"time"

	"golang.org/x/net/bpf"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
)

// path is a Path at work.
type path struct {
	Path
	number   uint8
	peer     netip.AddrPort // as the kernel tells senders: without zone
	socket   *socket        // nil: it could not be opened
	why      error          // then
	triedAt  time.Duration
	heard    time.Duration
	boot     uint64
	newest   uint64
	received uint64
	lost     uint64
	jitter   time.Duration
}

func newPath(number uint8, p Path) *path {
	return &path{Path: p, number: number, peer: netip.AddrPortFrom(p.Peer.Addr().WithZone(""), p.Peer.Port())}
}

// open tries to open what is closed, but not all the time.
func (p *path) open(now time.Duration, filter []bpf.RawInstruction) {
	if p.socket != nil || p.triedAt != 0 && now-p.triedAt < reopened {
		return
	}
	p.triedAt = now
	p.socket, p.why = openSocket(p.Local, p.Peer, filter)
}

func (p *path) close() {
	if p.socket != nil {
		p.socket.close()
		p.socket = nil
	}
	p.triedAt = 0
}

// took notes an authentic datagram that came this way; interval is what should be between two.
func (p *path) took(b *beat.Beat, now, interval time.Duration) {
	switch {
	case b.Boot != p.boot:
		p.boot, p.newest = b.Boot, b.Sequence
	case b.Sequence > p.newest:
		ahead := b.Sequence - p.newest
		p.lost += ahead - 1
		if ahead < 16 { // a cut is no jitter
			off := (now - p.heard - time.Duration(ahead)*interval).Abs()
			p.jitter += (off - p.jitter) / 16
		}
		p.newest = b.Sequence
	case p.lost > 0: // it was counted as lost, and was only late
		p.lost--
	}
	p.received++
	p.heard = now
}

func (p *path) status(now, patience time.Duration) appliance.PathStatus {
	return appliance.PathStatus{
		Local: p.Local, Peer: p.Peer, Interface: p.Interface, Alive: p.heard != 0 && now-p.heard < patience, Heard: wallTime(p.heard),
		Received: p.received, Lost: p.lost, Jitter: p.jitter,
	}
}

// open opens the paths that are closed.
func (l *loop) open(now time.Duration) {
	for _, p := range l.paths {
		p.open(now, l.filter)
	}
}
