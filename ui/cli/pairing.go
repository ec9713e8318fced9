package cli

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"

	"evenkeel/appliance"
)

// peer is where the other appliance listens for SSH.
func (s *session) peer() (netip.AddrPort, error) {
	at, err := netip.ParseAddr(s.args[0])
	if err != nil || at.Zone() != "" {
		return netip.AddrPort{}, s.misused("the other appliance is named by its address, such as 192.168.0.12, not by %q", s.args[0])
	}
	port := uint64(22)
	if s.flagged("port") {
		if port, err = strconv.ParseUint(s.flag("port"), 10, 16); err != nil || port == 0 {
			return netip.AddrPort{}, s.misused("--port is a number from 1 to 65535")
		}
	}
	return netip.AddrPortFrom(at.Unmap(), uint16(port)), nil
}

func addPair(s *session) error {
	at, err := s.peer()
	if err != nil {
		return err
	}
	body := map[string]any{"address": at.String()}
	if s.flagged("own") {
		body["own"] = s.flag("own")
	}
	if s.flagged("host-key") {
		body["host_key"] = s.flag("host-key")
		if body["password"], err = s.password(); err != nil {
			return err
		}
	}
	a, err := s.client.do(s.ctx, "POST", "/pair", pairs("why", s.flag("why")), body, "")
	var unknown *unconfirmedError
	if errors.As(err, &unknown) {
		return s.confirm(unknown.key)
	}
	if err != nil || s.flagged("json") {
		return s.orJSON(a, s.told(err))
	}
	var made struct {
		Steps  []appliance.PairStep `json:"steps"`
		Status pair                 `json:"status"`
	}
	if err := understand(a, &made); err != nil {
		return err
	}
	s.steps(made.Steps)
	s.printf("%s\n", inert(made.Status.Sentence))
	return nil
}

// confirm shows the key of the other appliance and says how to go on; the command has not done what it was asked.
func (s *session) confirm(key string) error {
	if s.flagged("json") {
		text, err := json.Marshal(map[string]string{"host_key": key})
		if err != nil {
			return &appliance.Error{Kind: appliance.Internal, Op: "write answer", Err: err}
		}
		s.printf("%s\n", text)
	} else {
		s.printf("%s\n", inert(key))
	}
	e := appliance.Refuse("", "That is the host key of %s. Nothing was sent to it yet.", s.args[0])
	e.Hint = "Compare it with the one that the other appliance shows (lb pair, or High-Availability Configuration); then repeat this command with --host-key and --password-stdin."
	return e
}

// steps writes what was done and where it stopped.
func (s *session) steps(list []appliance.PairStep) {
	for _, step := range list {
		s.printf("%s %s\n", map[bool]string{true: "done   ", false: "stopped"}[step.Done], inert(step.Sentence))
	}
}

// told writes how far it came before err; JSON has only the refusal.
func (s *session) told(err error) error {
	var stopped *stoppedError
	if errors.As(err, &stopped) && !s.flagged("json") {
		s.steps(stopped.steps)
	}
	return err
}

func breakPair(s *session) error {
	a, err := s.client.do(s.ctx, "DELETE", "/pair", pairs("why", s.flag("why")), nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, s.told(err))
	}
	var parted struct {
		Steps    []appliance.PairStep `json:"steps"`
		Sentence string               `json:"sentence"`
	}
	if err := understand(a, &parted); err != nil {
		return err
	}
	s.steps(parted.Steps)
	s.printf("%s\n", inert(parted.Sentence))
	return nil
}

// acted does something to the pair and says how it is then.
func (s *session) acted(path string, body any) error {
	a, err := s.client.do(s.ctx, "POST", path, pairs("why", s.flag("why")), body, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var now pair
	if err := understand(a, &now); err != nil {
		return err
	}
	s.printf("Done. %s\n", inert(now.Sentence))
	return nil
}

func pairAction(path string) func(*session) error {
	return func(s *session) error { return s.acted(path, nil) }
}

func makeActive(s *session) error {
	if s.args[0] != "self" && s.args[0] != "peer" {
		return s.misused("pair active takes self or peer, not %q", s.args[0])
	}
	wish := map[string]any{"node": s.args[0]}
	if s.flagged("peer-is-off") {
		wish["peer_is_off"] = true
	}
	return s.acted("/pair/active", wish)
}

func drillPair(s *session) error {
	a, err := s.client.do(s.ctx, "POST", "/pair/drill", pairs("why", s.flag("why")), nil, "")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	var d appliance.PairDrill
	if err := understand(a, &d); err != nil {
		return err
	}
	s.table([]string{"SWITCH", "WHEN", "WITHOUT AN OWNER", "WITHIN", "WHY"}, [][]string{
		{"to the peer", moment(d.There.At), short(d.There.Took), short(d.There.Within), d.There.Why},
		{"and back", moment(d.Back.At), short(d.Back.Took), short(d.Back.Within), d.Back.Why},
	})
	s.printf("%s\n", inert(d.Sentence))
	return nil
}

func showTimeline(s *session) error {
	list, a, err := get[[]appliance.PairEvent](s, "/pair/timeline")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	if len(list) == 0 {
		s.printf("Nothing was decided yet.\n")
		return nil
	}
	rows := make([][]string, len(list))
	for i, e := range list {
		at := e.At.Local().Format("2006-01-02 15:04:05.000")
		rows[i] = []string{at, e.Node, e.Code, e.Sentence}
	}
	s.table([]string{"WHEN", "NODE", "WHAT", "WHY"}, rows)
	return nil
}

func showDifferences(s *session) error {
	a, err := s.client.do(s.ctx, "GET", "/pair/differences", nil, nil, "")
	if err != nil {
		return err
	}
	return s.showPlan(a, "Nothing differs: both nodes run the same.")
}

func showHeartbeat(s *session) error {
	h, a, err := get[appliance.Heartbeat](s, "/heartbeat")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	return s.flat(h)
}

func setHeartbeat(s *session) error {
	patch, err := s.changes()
	if err != nil {
		return err
	}
	now, _, err := get[appliance.Heartbeat](s, "/heartbeat")
	if err != nil {
		return err
	}
	fresh, err := merged(now, patch)
	if err != nil {
		return err
	}
	return s.change("PUT", "/heartbeat", fresh, tag(now), "Changed the heartbeat.")
}
