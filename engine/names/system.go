package names

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const dnsPort = 53

// mostRead bounds what is read of a file of the system.
const mostRead = 1 << 20

// system is what the machine says about names. The zero value, with options, has read nothing.
type system struct {
	options *Options

	mu     sync.Mutex // guards what follows
	named  file
	list   map[string][]netip.Addr // of the hosts file
	conf   file
	resolv *resolvConf
}

// file notices when a file has changed.
type file struct {
	read     bool
	modified time.Time
	size     int64
}

// fresh returns the content of a file that has changed since the last time, or was never read; one that is not there is empty.
func (f *file) fresh(path string) (content []byte, changed bool) {
	state, err := os.Stat(path)
	now := file{read: true}
	if err == nil {
		now.modified, now.size = state.ModTime(), state.Size()
	}
	if *f == now {
		return nil, false
	}
	*f = now
	in, err := os.Open(path)
	if err != nil {
		return nil, true
	}
	defer in.Close()
	content, _ = io.ReadAll(io.LimitReader(in, mostRead))
	return content, true
}

// hosts returns the addresses of a name in the hosts file. localhost and what is below it is this machine, whatever the file says (RFC 6761, 6.3).
func (s *system) hosts(name string) []netip.Addr {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, changed := s.named.fresh(s.options.HostsFile); changed {
		s.list = parseHosts(content)
	}
	return s.list[name]
}

// parseHosts reads hosts(5).
func parseHosts(content []byte) map[string][]netip.Addr {
	list := map[string][]netip.Addr{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) < 2 {
			continue
		}
		a, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			list[name] = tidied(append(list[name], a))
		}
	}
	return list
}

// resolvConf is what resolv.conf(5) says; it is never changed.
type resolvConf struct {
	servers []netip.AddrPort
	client  dns.ClientConfig // its search list and ndots
}

// config returns what resolv.conf says now.
func (s *system) config() *resolvConf {
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, changed := s.conf.fresh(s.options.ResolvConf); changed {
		s.resolv = parseResolvConf(content)
		if s.options.Servers != nil {
			s.resolv.servers = s.options.Servers
		}
	}
	return s.resolv
}

func parseResolvConf(content []byte) *resolvConf {
	c := &resolvConf{client: dns.ClientConfig{Ndots: 1}}
	if read, err := dns.ClientConfigFromReader(bytes.NewReader(content)); err == nil {
		c.client = *read
	}
	for _, server := range c.client.Servers {
		if a, err := netip.ParseAddr(server); err == nil {
			c.servers = append(c.servers, netip.AddrPortFrom(a.Unmap(), dnsPort))
		}
	}
	return c
}

// candidates returns the whole names to ask for, in their order; one with a dot at its end is whole.
func (c *resolvConf) candidates(name string) []string { return c.client.NameList(name) }
