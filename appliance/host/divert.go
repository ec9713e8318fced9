package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// What a diversion consists of: a table of nftables marks packets for sockets that have somebody else's address, and what is marked is routed to this machine.
const (
	divertName  = "evenkeel_transparent" // of the table of nftables
	divertMark  = 1 << 27
	divertTable = 6694 // of routes
	divertOrder = 6694 // of the rules, behind the kernel's own and before the main table
)

// diversion is what is known of the rules in the kernel.
type diversion uint8

const (
	diversionUnknown diversion = iota
	diversionOn
	diversionOff
)

// CheckDivert tells whether Divert could work, changing nothing: it needs CAP_NET_ADMIN. The error is an appliance.Error of kind Denied.
func (h *Host) CheckDivert(context.Context) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return internal("read capabilities", err)
	}
	if sets[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return divertDenied(nil)
	}
	return nil
}

func divertDenied(err error) *appliance.Error {
	return &appliance.Error{
		Kind: appliance.Denied, Op: "divert answers", Err: err,
		Message: "Servers cannot be shown the clients' own addresses: this process may not configure the network (CAP_NET_ADMIN is missing).",
		Hint:    "Run the appliance as root, or give it the right: setcap cap_net_admin,cap_net_bind_service+ep on its program, or AmbientCapabilities=CAP_NET_ADMIN in its systemd unit.",
	}
}

// Divert brings here what servers answer to connections that were opened from clients' own addresses, or, when on is false, lets that be. Rules of others are left
// alone. Calling it again mends what somebody else removed. While a connection with such an address is open the rules stay: call again later. Errors are
// appliance.Errors: Denied without CAP_NET_ADMIN, Unsupported when the kernel lacks a part.
func (h *Host) Divert(ctx context.Context, on bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if on {
		h.diversion = diversionUnknown
		if err := divert(); err != nil {
			return divertError(err)
		}
		h.diversion = diversionOn
		return nil
	}
	if h.diversion == diversionOff {
		return nil
	}
	if there, err := diverted(); err != nil || !there {
		if errors.Is(err, unix.EPERM) || err == nil { // without the right nothing of it can be ours
			h.diversion = diversionOff
			return nil
		}
		return divertError(err)
	}
	busy, err := foreignSockets(ctx)
	if err != nil || busy {
		return err
	}
	if err := undivert(); err != nil {
		return divertError(err)
	}
	h.diversion = diversionOff
	h.log.Info("answers to clients' addresses are no longer diverted")
	return nil
}

func divertError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return divertDenied(err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return &appliance.Error{
			Kind: appliance.Unsupported, Op: "divert answers", Err: err,
			Message: "This kernel cannot bring the servers' answers to the clients' own addresses back here: nf_tables, nft_socket or policy routing is missing.",
			Hint:    "It needs Linux 4.18 or later with these parts (modprobe nft_socket).",
		}
	case errors.Is(err, unix.ENETDOWN):
		return &appliance.Error{
			Kind: appliance.Unavailable, Op: "divert answers", Err: err, Message: "The loopback interface is down; the servers' answers to the clients' own addresses go through it.",
			Hint: "Run this as root: ip link set lo up",
		}
	}
	return internal("divert answers", err)
}

// divert makes what is missing: routes first, so that nothing is marked that would go astray.
func divert() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, family := range families() {
		if err := netlink.RouteReplace(divertRoute(family, lo.Attrs().Index)); err != nil {
			return err
		}
		list, err := dump(func() ([]netlink.Rule, error) { return divertRules(family) })
		if err != nil {
			return err
		}
		if len(list) == 0 {
			if err := netlink.RuleAdd(divertRule(family)); err != nil && !errors.Is(err, unix.EEXIST) {
				return err
			}
		}
	}
	return mark()
}

// families are those in which the loopback interface takes part: many machines have IPv6 switched off.
func families() []int {
	off, err := os.ReadFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
	if err != nil || strings.TrimSpace(string(off)) != "0" {
		return []int{unix.AF_INET}
	}
	return []int{unix.AF_INET, unix.AF_INET6}
}

// divertRoute has everything that is looked up in its table delivered to this machine.
func divertRoute(family, lo int) *netlink.Route {
	everything := &net.IPNet{IP: make(net.IP, 4), Mask: make(net.IPMask, 4)}
	if family == unix.AF_INET6 {
		everything = &net.IPNet{IP: make(net.IP, 16), Mask: make(net.IPMask, 16)}
	}
	return &netlink.Route{Family: family, Dst: everything, LinkIndex: lo, Table: divertTable, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}
}

func divertRule(family int) *netlink.Rule {
	r := netlink.NewRule()
	mask := uint32(divertMark)
	r.Family, r.Table, r.Priority, r.Mark, r.Mask = family, divertTable, divertOrder, divertMark, &mask
	return r
}

func divertRules(family int) ([]netlink.Rule, error) {
	return dump(func() ([]netlink.Rule, error) {
		return netlink.RuleListFiltered(family, &netlink.Rule{Table: divertTable}, netlink.RT_FILTER_TABLE)
	})
}

// mark makes the table of nftables in one transaction, unless it is there.
func mark() error {
	if there, err := marking(); err != nil || there {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Name: divertName, Family: nftables.TableFamilyINet})
	chain := c.AddChain(&nftables.Chain{
		Name: divertName, Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle,
	})
	c.FlushChain(chain)
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{1}},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(^uint32(divertMark)), Xor: binaryutil.NativeEndian.PutUint32(divertMark),
		},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}})
	return c.Flush()
}

// marking tells whether the rule of nftables is there.
func marking() (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, err
	}
	table := &nftables.Table{Name: divertName, Family: nftables.TableFamilyINet}
	rules, err := c.GetRules(table, &nftables.Chain{Name: divertName, Table: table})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return len(rules) == 1, err
}

// diverted tells whether anything of a diversion is there.
func diverted() (bool, error) {
	for _, family := range families() {
		list, err := dump(func() ([]netlink.Rule, error) { return divertRules(family) })
		if err != nil || len(list) > 0 {
			return err == nil, err
		}
	}
	tables, err := divertTables()
	return len(tables) > 0, err
}

func divertTables() (ours []*nftables.Table, err error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	all, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	for _, t := range all {
		if t.Name == divertName {
			ours = append(ours, t)
		}
	}
	return ours, err
}

// undivert removes what divert made, in the other order.
func undivert() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := divertTables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		c.DelTable(t)
	}
	if err := c.Flush(); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, family := range families() {
		list, err := dump(func() ([]netlink.Rule, error) { return divertRules(family) })
		if err != nil {
			return err
		}
		for i := range list {
			if err := netlink.RuleDel(&list[i]); err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
		if err := netlink.RouteDel(divertRoute(family, lo.Attrs().Index)); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// stateTimeWait and stateListen are those of tcp_states.h.
const (
	stateTimeWait = 6
	stateListen   = 10
)

// foreignSockets tells whether a connection is open whose address here is none of this machine.
func foreignSockets(ctx context.Context) (bool, error) {
	s, err := look(ctx)
	if err != nil {
		return false, err
	}
	for _, family := range families() {
		list, err := dump(func() ([]*netlink.Socket, error) { return netlink.SocketDiagTCP(uint8(family)) })
		if err != nil {
			return false, internal("list connections", err)
		}
		for _, k := range list {
			a, ok := netip.AddrFromSlice(k.ID.Source)
			if a = a.Unmap(); !ok || k.State == stateTimeWait || k.State == stateListen || a.IsUnspecified() || a.IsLoopback() {
				continue
			}
			if _, here := s.present[a]; !here {
				return true, nil
			}
		}
	}
	return false, nil
}
