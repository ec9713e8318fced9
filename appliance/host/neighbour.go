package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The rhythm of a probe for duplicates. RFC 5227 waits for seconds; a machine on the same wire that is alive answers within milliseconds.
const (
	asks     = 3
	askEvery = 100 * time.Millisecond
)

// wire is how one family asks and announces.
type wire struct {
	filter   []bpf.Instruction
	question func(from net.HardwareAddr, a netip.Addr) []byte
	notice   func(from net.HardwareAddr, a netip.Addr) []byte
	owner    func(frame []byte) (netip.Addr, net.HardwareAddr)
}

func wireOf(a netip.Addr) wire {
	if a.Is4() {
		return wire{
			filter: []bpf.Instruction{
				bpf.LoadAbsolute{Off: 12, Size: 2},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherARP, SkipFalse: 1},
				bpf.RetConstant{Val: 256},
				bpf.RetConstant{Val: 0},
			},
			question: func(from net.HardwareAddr, a netip.Addr) []byte { return arp(from, netip.IPv4Unspecified(), a) },
			notice:   func(from net.HardwareAddr, a netip.Addr) []byte { return arp(from, a, a) },
			owner:    arpOwner,
		}
	}
	return wire{
		filter: []bpf.Instruction{ // advertisements only: the interface may carry much else
			bpf.LoadAbsolute{Off: 12, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherIPv6, SkipFalse: 5},
			bpf.LoadAbsolute{Off: headerEthernet + 6, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv6, SkipFalse: 3},
			bpf.LoadAbsolute{Off: headerEthernet + headerIPv6, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: advertisement, SkipFalse: 1},
			bpf.RetConstant{Val: 256},
			bpf.RetConstant{Val: 0},
		},
		question: solicit, notice: advertise, owner: discoveryOwner,
	}
}

// byWire parts a list by family.
func byWire(list []netip.Addr) [2][]netip.Addr {
	var out [2][]netip.Addr
	for _, a := range list {
		i := 0
		if a.Is6() {
			i = 1
		}
		out[i] = append(out[i], a)
	}
	return out
}

// ask returns who on l's wire answers for which of the addresses. It takes asks × askEvery for each family that occurs, less when all are taken.
func ask(ctx context.Context, l link, list []netip.Addr) (map[netip.Addr]net.HardwareAddr, error) {
	owners := map[netip.Addr]net.HardwareAddr{}
	if l.hardware == nil {
		return owners, nil
	}
	for _, family := range byWire(list) {
		if len(family) == 0 {
			continue
		}
		if err := askFamily(ctx, l, family, owners); err != nil {
			return owners, err
		}
	}
	return owners, nil
}

func askFamily(ctx context.Context, l link, list []netip.Addr, owners map[netip.Addr]net.HardwareAddr) error {
	w := wireOf(list[0])
	conn, err := open(l, w)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	wanted := map[netip.Addr]bool{}
	for _, a := range list {
		wanted[a] = true
	}
	for range asks {
		for a := range wanted {
			if err := send(conn, w.question(l.hardware, a)); err != nil {
				return err
			}
		}
		if err := hear(ctx, conn, l, w, wanted, owners); err != nil || len(wanted) == 0 {
			return err
		}
	}
	return nil
}

// hear moves what others claim from wanted to owners, for as long as one round lasts.
func hear(ctx context.Context, conn *packet.Conn, l link, w wire, wanted map[netip.Addr]bool, owners map[netip.Addr]net.HardwareAddr) error {
	if err := conn.SetReadDeadline(time.Now().Add(askEvery)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	frame := make([]byte, 256)
	for len(wanted) > 0 {
		n, _, err := conn.ReadFrom(frame)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("hear neighbours: %w", err)
		}
		if a, owner := w.owner(frame[:n]); wanted[a] && !bytes.Equal(owner, l.hardware) {
			owners[a] = owner
			delete(wanted, a)
		}
	}
	return nil
}

// announce tells l's wire that the addresses are here, twice, because nobody acknowledges.
func announce(ctx context.Context, l link, list []netip.Addr) error {
	if l.hardware == nil {
		return nil
	}
	for _, family := range byWire(list) {
		if len(family) == 0 {
			continue
		}
		w := wireOf(family[0])
		conn, err := open(l, w)
		if err != nil {
			return err
		}
		for i := 0; i < 2*len(family) && err == nil && ctx.Err() == nil; i++ {
			err = send(conn, w.notice(l.hardware, family[i%len(family)]))
		}
		_ = conn.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// open takes part in what l's wire carries of one family. It hears in front of the gate of a pair.
func open(l link, w wire) (*packet.Conn, error) {
	filter, err := bpf.Assemble(w.filter)
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	conn, err := packet.Listen(&net.Interface{Index: l.index, Name: l.name, HardwareAddr: l.hardware}, packet.Raw, unix.ETH_P_ALL, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", l.name, err)
	}
	return conn, nil
}

func send(conn *packet.Conn, frame []byte) error {
	if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}
