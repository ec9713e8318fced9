package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// leaseTable is the name of the gate's table of nftables, and leaseOrder its place: before what anybody else does to a packet.
const (
	leaseTable = "evenkeel_lease"
	leaseOrder = -500
)

// gate is the table of nftables that drops, on every interface but loopback and in both directions, what is from or to a floating address, unless the lease is in
// force. Everything in it is made in one transaction that may be repeated at any time; it leaves the lease as it is. It outlives the process.
type gate struct {
	mu       sync.Mutex     // held while the table is written, or read; guards what follows
	conn     *nftables.Conn // see talk; nil: none yet
	floating []netip.Addr   // in order
	written  bool
}

// set makes list the addresses that are gated. Where they are, nothing is written: a renewal of the lease would wait for that, 40 ms with 500 addresses.
func (g *gate) set(list []netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.floating
	list = slices.SortedFunc(slices.Values(list), netip.Addr.Compare)
	if g.written && slices.Equal(before, list) {
		return nil
	}
	g.floating = list
	if err := g.write(); err != nil {
		g.floating = before
		return err
	}
	g.written = true
	return nil
}

// talk has f use the connection to nftables. It stays open: whenever any process closes one, the kernel holds its lock on the tables of this network namespace until all that
// was removed lately is gone, 30 to 180 ms, for which a renewal of the lease waits (nft_rcv_nl_event in nf_tables_api.c). One that failed is not used again.
func (g *gate) talk(f func(*nftables.Conn) error) error {
	if g.conn == nil {
		c, err := nftables.New(nftables.AsLasting())
		if err != nil {
			return err
		}
		g.conn = c
	}
	err := f(g.conn)
	if err != nil {
		g.hangUp()
	}
	return err
}

// close ends the connection; what is asked after it makes another one.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hangUp()
}

func (g *gate) hangUp() {
	if g.conn != nil {
		_ = g.conn.CloseLasting()
		g.conn = nil
	}
}

// mend makes what is missing in the kernel: the table, or the chains of interfaces that are new.
func (g *gate) mend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.write()
}

// write tries again when an interface came or went meanwhile, and starts afresh when a table of another version is in the way.
func (g *gate) write() error {
	afresh := false
	var err error
	for range 4 {
		err = g.talk(func(c *nftables.Conn) error { return g.commit(c, afresh) })
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EEXIST), errors.Is(err, unix.EBUSY):
			afresh = true
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV):
			return err
		}
	}
	return err
}

// commit writes the whole table in one transaction, afresh in place of what is there: then the lease ends.
func (g *gate) commit(c *nftables.Conn, afresh bool) error {
	doors, err := openings()
	if err != nil {
		return err
	}
	t := c.AddTable(&nftables.Table{Name: leaseTable, Family: nftables.TableFamilyNetdev})
	if afresh {
		c.DelTable(t)
		c.AddTable(t)
	} else if err := forgetDoors(c, doors); err != nil {
		return err
	}
	s, err := g.sets(c, t)
	if err != nil {
		return err
	}
	for _, d := range directions {
		inner := c.AddChain(&nftables.Chain{Name: d.name, Table: t})
		c.FlushChain(inner)
		for _, line := range s.rules(d) {
			c.AddRule(&nftables.Rule{Table: t, Chain: inner, Exprs: line})
		}
		for _, door := range doors {
			outer := c.AddChain(&nftables.Chain{
				Name: d.chain(door), Table: t, Type: nftables.ChainTypeFilter, Hooknum: d.hook, Priority: nftables.ChainPriorityRef(leaseOrder), Device: door.Name,
			})
			c.FlushChain(outer)
			c.AddRule(&nftables.Rule{Table: t, Chain: outer, Exprs: jump(d.name)})
		}
	}
	return c.Flush()
}

// gateSets are the sets of the table, as rules refer to them.
type gateSets struct {
	lease  [2]*nftables.Set
	v4, v6 *nftables.Set
}

// sets makes the sets; those of the lease keep what they hold.
func (g *gate) sets(c *nftables.Conn, t *nftables.Table) (s gateSets, err error) {
	id := uint32(0)
	make := func(name string, kind nftables.SetDatatype, timeout bool) *nftables.Set {
		id++
		set := &nftables.Set{Table: t, ID: id, Name: name, KeyType: kind, HasTimeout: timeout}
		err = errors.Join(err, c.AddSet(set, nil))
		return set
	}
	for i, name := range leaseSets {
		s.lease[i] = make(name, nftables.TypeMark, true)
	}
	s.v4, s.v6 = make("ipv4", nftables.TypeIPAddr, false), make("ipv6", nftables.TypeIP6Addr, false)
	families := byWire(g.floating)
	for i, set := range []*nftables.Set{s.v4, s.v6} {
		c.FlushSet(set)
		for part := range slices.Chunk(families[i], 1000) {
			elements := []nftables.SetElement{}
			for _, a := range part {
				elements = append(elements, nftables.SetElement{Key: a.AsSlice()})
			}
			err = errors.Join(err, c.SetAddElements(set, elements))
		}
	}
	return s, err
}

// whole tells whether all of the table is in the kernel: every chain, and as many rules in each as there should be.
func (g *gate) whole() (yes bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err = g.talk(func(c *nftables.Conn) (err error) { yes, err = g.compare(c); return err })
	return yes, err
}

// compare is whole with its connection.
func (g *gate) compare(c *nftables.Conn) (bool, error) {
	doors, err := openings()
	if err != nil {
		return false, err
	}
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return false, err
	}
	rules := map[string]int{}
	for _, d := range directions {
		rules[d.name] = len(gateSets{lease: [2]*nftables.Set{{}, {}}, v4: &nftables.Set{}, v6: &nftables.Set{}}.rules(d))
		for _, door := range doors {
			rules[d.chain(door)] = 1
		}
	}
	for _, chain := range all {
		if wanted := rules[chain.Name]; chain.Table.Name == leaseTable && wanted > 0 {
			list, err := c.GetRules(chain.Table, chain)
			if err == nil && len(list) == wanted {
				delete(rules, chain.Name)
			}
		}
	}
	return len(rules) == 0, nil
}

// remove takes the table away, if it is there.
func (g *gate) remove() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.hangUp()
	return g.talk(func(c *nftables.Conn) error {
		list, err := c.ListTablesOfFamily(nftables.TableFamilyNetdev)
		if err != nil {
			return err
		}
		for _, t := range list {
			if t.Name == leaseTable {
				c.DelTable(t)
			}
		}
		return c.Flush()
	})
}

// door is an interface that is gated.
type door struct {
	Name  string
	Index int
}

// openings lists the interfaces that are gated: all but loopback, by which the node itself talks to its services, and the ports of bridges and bonds: what is for this
// machine comes out of the bridge, and the rest is not its own.
func openings() ([]door, error) {
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, err
	}
	kinds := map[int]string{}
	for _, l := range links {
		kinds[l.Attrs().Index] = l.Type()
	}
	var out []door
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback == 0 && !slices.Contains([]string{"bridge", "bond", "team", "openvswitch"}, kinds[a.MasterIndex]) {
			out = append(out, door{a.Name, a.Index})
		}
	}
	return out, nil
}

// direction is one of the two in which packets pass a door.
type direction struct {
	name  string // of the chain with the rules
	short string // what the chains of interfaces begin with
	hook  *nftables.ChainHook
}

var directions = [2]direction{
	{"arriving", "in_", nftables.ChainHookIngress},
	{"leaving", "out_", nftables.ChainHookEgress},
}

// chain names the chain of an interface. An interface that is renamed gets another one.
func (d direction) chain(of door) string { return fmt.Sprintf("%s%d_%s", d.short, of.Index, of.Name) }

// forgetDoors removes the chains of interfaces that are no longer gated. Kernels remove a chain with its interface, but newer ones keep it for the next of that name.
func forgetDoors(c *nftables.Conn, doors []door) error {
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, d := range directions {
		for _, door := range doors {
			wanted[d.chain(door)] = true
		}
	}
	for _, chain := range all {
		ours := chain.Table.Name == leaseTable && slices.ContainsFunc(directions[:], func(d direction) bool { return strings.HasPrefix(chain.Name, d.short) })
		if ours && !wanted[chain.Name] {
			c.FlushChain(chain)
			c.DelChain(chain)
		}
	}
	return nil
}

// leaseError turns an error of the kernel into one for the operator.
func leaseError(op, release string, err error) *appliance.Error {
	e := &appliance.Error{Kind: appliance.Unavailable, Op: op, Err: err}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		e.Kind = appliance.Denied
		e.Message = "Floating addresses cannot be guarded: this process may not configure the network (CAP_NET_ADMIN or CAP_NET_RAW is missing)."
		e.Hint = "Run the appliance as root, or give it the rights: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in its systemd unit."
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EAFNOSUPPORT):
		e.Kind = appliance.Unsupported
		e.Message = fmt.Sprintf("This kernel (%s) cannot guard floating addresses: nftables for network devices with ingress and egress is missing; Linux 5.16 or later has it.", release)
		e.Hint = "Without it the pair shares settings and tables, but no addresses. It needs CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_EGRESS."
	}
	return e
}

// release is the version of the running kernel.
func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}
