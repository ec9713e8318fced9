package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
)

func pairCommands() []command {
	why := []option{whyOption()}
	return []command{
		{Name: "pair", Summary: "the pair as this node sees it", Example: []string{"pair", "pair --json"}, do: showPair},
		{Name: "pair add", Args: []string{"ADDRESS"}, Summary: "make this appliance the Primary of a pair with the one at ADDRESS", Flags: []option{
			{Name: "password-stdin", Help: "Read the password of loadbalancer there from standard input; there is no other way."},
			{Name: "host-key", Value: "FINGERPRINT", Help: "The SSH host key that was compared; without it the key is shown, and no password is sent."},
			{Name: "own", Value: "ADDRESS", Help: "The address by which the other node finds this one; that of the connection when absent."},
			{Name: "port", Value: "N", Help: "The port of SSH there; 22 when absent."},
			why[0],
		}, Example: []string{"pair add 192.168.0.12", "pair add 192.168.0.12 --host-key SHA256:kGRs… --password-stdin"}, do: addPair},
		{Name: "pair break", Summary: "end the pair; the Active node keeps the services and their addresses", Flags: why, Example: []string{"pair break"}, do: breakPair},
		{Name: "pair active", Args: []string{"NODE"}, Summary: "make a node the Active one: self or peer", Flags: append([]option{{Name: "peer-is-off", Help: "with self: the other node is off, as you have made sure; this one takes the addresses without asking its witness"}}, why...), Example: []string{"pair active peer --why 'patch day'"}, do: makeActive},
		{Name: "pair primary", Summary: "end the pair of a Secondary whose Primary is gone; it can be the Primary of the next one", Flags: why, Example: []string{"pair primary"}, do: pairAction("/pair/primary")},
		{Name: "pair dismiss", Summary: "end what is said of a pair that the other node broke", Flags: why, Example: []string{"pair dismiss"}, do: pairAction("/pair/dismiss")},
		{Name: "pair restart-heartbeat", Summary: "restart the heartbeat on both nodes", Flags: why, Example: []string{"pair restart-heartbeat"}, do: pairAction("/pair/restart-heartbeat")},
		{Name: "pair rotate-key", Summary: "change the heartbeat's key", Flags: why, Example: []string{"pair rotate-key"}, do: pairAction("/pair/rotate-key")},
		{Name: "pair drill", Summary: "switch to the peer and back, and measure both", Flags: why, Example: []string{"pair drill"}, do: drillPair},
		{Name: "pair timeline", Summary: "what both nodes decided, the newest first", Example: []string{"pair timeline"}, do: showTimeline},
		{Name: "pair differences", Summary: "what would change here if this node ran what the peer runs", Example: []string{"pair differences"}, do: showDifferences},
		{Name: "heartbeat", Summary: "how the nodes of a pair watch each other", Example: []string{"heartbeat"}, do: showHeartbeat},
		{Name: "heartbeat set", Summary: "change how the nodes watch each other", Fields: "heartbeat", Changes: true, Example: []string{
			"heartbeat set --dead-time 300ms --apply", "heartbeat set --witness addresses --witness-addresses 192.168.0.1,192.168.0.2",
		}, do: setHeartbeat},
	}
}

// pair is what the interface tells of the pair.
type pair struct {
	appliance.PairStatus
	HostKey string `json:"host_key"`
}

func showPair(s *session) error {
	p, a, err := get[pair](s, "/pair")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	s.printf("%s\n", inert(p.Sentence))
	if p.Ended != nil {
		s.printf("%s\n%s\n", inert(p.Ended.Sentence()), inert(p.Ended.Hint()))
	}
	if p.HostKey != "" {
		s.printf("Host key of this node: %s\n", inert(p.HostKey))
	}
	for _, sentence := range p.Aside {
		s.printf("set aside: %s\n", inert(sentence))
	}
	if p.Unfinished {
		s.printf("lb pair break gives the pairing up.\n")
	}
	if !p.Paired {
		return nil
	}
	s.printf("\n")
	s.table([]string{"NODE", "NAME", "ROLE", "STATE", "ADDRESS", "REVISION", "VERSION", "HEARD"}, [][]string{nodeRow("this", p.Self, true), nodeRow("peer", p.Peer, heard(p.PairStatus))})
	s.printf("\nsettings: %s\npersistence table: %s\nwitness: %s\nround trip: %s\n", inert(p.Settings.Sentence), inert(p.Table.Sentence), inert(p.Witness.Sentence), short(p.Round))
	if p.KeyChange != "" {
		s.printf("heartbeat's key: it is being changed, step %s\n", inert(p.KeyChange))
	}
	if p.Last != nil {
		s.printf("last takeover: %s, %s of silence: %s\n", moment(p.Last.At), short(p.Last.Silence), inert(p.Last.Why))
	}
	for _, l := range p.Limits {
		s.printf("limit: %s\n", inert(l))
	}
	s.paths(p.PairStatus)
	return nil
}

// heard tells whether the peer is heard on any path now.
func heard(s appliance.PairStatus) bool {
	return slices.ContainsFunc(s.Paths, func(p appliance.PathStatus) bool { return p.Alive })
}

func nodeRow(which string, n appliance.NodeStatus, heard bool) []string {
	at, state := "", string(n.State)
	if !heard {
		state = "not heard"
	}
	if n.Address.IsValid() {
		at = n.Address.String()
	}
	return []string{which, n.Name, string(n.Role), state, at, strconv.FormatInt(n.Revision, 10), n.Version, moment(n.Heard)}
}

// paths writes what is spread: ways, addresses and what was rejected.
func (s *session) paths(p appliance.PairStatus) {
	rows := make([][]string, len(p.Paths))
	for i, w := range p.Paths {
		rows[i] = []string{w.Interface, w.Local.String(), w.Peer.String(), map[bool]string{true: "alive", false: "silent"}[w.Alive], fmt.Sprint(w.Received), fmt.Sprint(w.Lost), short(w.Jitter)}
	}
	if len(p.Paths) > 0 {
		s.printf("\n")
		s.table([]string{"PATH", "FROM", "TO", "STATE", "RECEIVED", "LOST OR LATE", "JITTER"}, rows)
	}
	rows = make([][]string, len(p.Floating))
	for i, f := range p.Floating {
		rows[i] = []string{f.Address.String(), f.Interface, map[bool]string{true: "here", false: "peer"}[f.Here], strings.Join(f.Services, ", "), f.Sentence}
	}
	if len(p.Floating) > 0 {
		s.printf("\n")
		s.table([]string{"FLOATING IP", "INTERFACE", "AT", "SERVICES", "REMARK"}, rows)
	}
	for _, reason := range slices.Sorted(maps.Keys(p.Rejected)) {
		s.printf("rejected datagrams, %s: %d\n", inert(appliance.RejectedWords(reason)), p.Rejected[reason])
	}
}

// short writes a time of milliseconds as people read it.
func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
