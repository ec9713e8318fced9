package ui

import (
	"cmp"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
	"evenkeel/ui/view"
)

const (
	heartbeatPath = "/lbadmin/heartbeat"
	floatingPath  = "/lbadmin/floating"
)

// typedHeartbeat is the form as it was typed.
type typedHeartbeat struct{ interval, dead, witness, asked, failback string }

func heartbeatPage(p *page) error {
	h := p.ui.Control.Saved().Config.Cluster.Heartbeat.OrDefault()
	asked := make([]string, len(h.Asked))
	for i, a := range h.Asked {
		asked[i] = a.String()
	}
	t := typedHeartbeat{h.Interval.String(), h.Dead.String(), string(h.Witness), strings.Join(asked, ", "), strconv.FormatBool(h.Failback)}
	return p.showHeartbeat(http.StatusOK, t, appliance.Hash(&h), nil, nil)
}

func (p *page) showHeartbeat(status int, t typedHeartbeat, base string, errs form.Errors, stale *view.Stale) error {
	witness := simple("heartbeat", "witness", "select", t.witness, "")
	witness.Options = []form.Option{
		{Value: string(appliance.WitnessGateway), Name: "default gateway"},
		{Value: string(appliance.WitnessAddresses), Name: "other addresses"},
		{Value: string(appliance.WitnessNode), Name: "a witness node"},
		{Value: string(appliance.WitnessNone), Name: "none"},
	}
	v := p.heartbeatView()
	v.Form = view.SimpleForm{
		Path: heartbeatPath, Button: "Save", Base: base, Errors: errs, Stale: stale, Edit: p.may(appliance.Administrator),
		Fields: []view.SimpleField{
			simple("heartbeat", "interval", "text", t.interval, "10ms"), simple("heartbeat", "dead_time", "text", t.dead, "150ms"), witness,
			simple("heartbeat", "witness_addresses", "text", t.asked, "192.168.0.1, 192.168.0.2"), simple("heartbeat", "automatic_failback", "check", t.failback, ""),
		},
	}
	f := p.liveFrame("Heartbeat Configuration", heartbeatPath, url.Values{"on": {"heartbeat"}}, p.partsOfHeartbeat(v))
	return p.show(status, view.HeartbeatPage(f, v))
}

func (p *page) heartbeatView() view.Heartbeat {
	v := view.Heartbeat{PairStatus: p.ui.pairStatus(), Act: p.holds(appliance.Administrator)}
	for _, reason := range slices.Sorted(maps.Keys(v.PairStatus.Rejected)) {
		v.Refused = append(v.Refused, view.Refusal{Reason: appliance.RejectedWords(reason), Count: v.PairStatus.Rejected[reason]})
	}
	return v
}

func (p *page) heartbeatParts() fragments { return p.partsOfHeartbeat(p.heartbeatView()) }

func (p *page) partsOfHeartbeat(v view.Heartbeat) fragments {
	return fragments{"heartbeat-body": p.ui.drawn(p.ctx(), view.HeartbeatBody(v))}
}

// read returns what was typed as a value, with what cannot be read at its fields.
func (t typedHeartbeat) read() (appliance.Heartbeat, appliance.Errors) {
	h := appliance.Heartbeat{Witness: appliance.WitnessKind(t.witness), Failback: t.failback == "true"}
	var wrong appliance.Errors
	for _, f := range []struct {
		field, text string
		into        *appliance.Duration
	}{{"interval", t.interval, &h.Interval}, {"dead_time", t.dead, &h.Dead}} {
		d, err := appliance.ParseDuration(f.text)
		if err != nil {
			wrong = append(wrong, appliance.Refuse("heartbeat."+f.field, "%s.", strings.ToUpper(err.Error()[:1])+err.Error()[1:]))
		}
		*f.into = d
	}
	for _, text := range separate(t.asked) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			wrong = append(wrong, appliance.Refuse("heartbeat.witness_addresses", "%.60q is not an IP address.", text))
			continue
		}
		h.Asked = append(h.Asked, a)
	}
	return h, wrong
}

func saveHeartbeat(p *page) error {
	t := typedHeartbeat{typed(p, "interval"), typed(p, "dead_time"), p.FormValue("witness"), typed(p, "witness_addresses"), p.FormValue("automatic_failback")}
	h, wrong := t.read()
	ctx, cancel := p.lasting()
	defer cancel()
	var err error
	if len(wrong) > 0 {
		err = wrong
	} else {
		_, err = p.ui.Control.Commit(ctx, p.origin, p.baseOf("heartbeat"), func(c *appliance.Config) error { c.Cluster.Heartbeat = h; return nil })
	}
	if err == nil {
		return p.done(heartbeatPath, "Saved%s.", p.ui.whetherRunning())
	}
	return p.refuse(err, "heartbeat.", []string{"interval", "dead_time", "witness", "witness_addresses", "automatic_failback"}, heartbeatPath, func(status int, errs form.Errors, stale *view.Stale) error {
		return p.showHeartbeat(status, t, p.FormValue("base"), errs, stale)
	})
}

func restartHeartbeat(p *page) error {
	pair, _, err := p.paired()
	if err != nil {
		return p.afterwards(heartbeatPath, err, "")
	}
	ctx, cancel := p.lasting()
	defer cancel()
	return p.afterwards(heartbeatPath, pair.RestartHeartbeat(ctx, p.origin), "The heartbeat was restarted on both nodes.")
}

func rotateKey(p *page) error {
	pair, _, err := p.paired()
	if err != nil {
		return p.afterwards(heartbeatPath, err, "")
	}
	ctx, cancel := p.lasting()
	defer cancel()
	return p.afterwards(heartbeatPath, pair.RotateKey(ctx, p.origin), "The heartbeat's key is being changed: accept, send, forget. No heartbeat is lost meanwhile.")
}

// floatingPage lists the addresses that move, and where they are.
func floatingPage(p *page) error {
	v := p.floating()
	if p.exporting() {
		out := list{name: "floating-ips", columns: []string{"address", "interface", "services", "here", "remark"}}
		for _, a := range v.Addresses {
			out.add(a.Address.String(), a.Interface, strings.Join(a.Services, ", "), a.Here, a.Sentence)
		}
		return p.export(out)
	}
	f := p.liveFrame("Floating IPs", floatingPath, url.Values{"on": {"floating"}}, p.partsOfFloating(v))
	return p.show(http.StatusOK, view.FloatingPage(f, v))
}

func (p *page) floatingParts() fragments { return p.partsOfFloating(p.floating()) }

func (p *page) partsOfFloating(v view.Floating) fragments {
	return fragments{"floating-body": p.ui.drawn(p.ctx(), view.FloatingBody(v))}
}

// floating returns what the pair tells; an appliance that is alone has every address of its services itself.
func (p *page) floating() view.Floating {
	s := p.ui.pairStatus()
	v := view.Floating{Paired: s.Paired, Self: cmp.Or(s.Self.Name, p.ui.hostname()), Peer: s.Peer.Name, PeerActive: s.Peer.State == appliance.Active, Sentence: s.Sentence, Addresses: s.Floating}
	if s.Paired || len(v.Addresses) > 0 {
		return v
	}
	running := p.ui.Control.Running().Config.Cluster
	for i := range running.VirtualServices {
		vs := &running.VirtualServices[i]
		at := slices.IndexFunc(v.Addresses, func(a appliance.FloatingAddress) bool { return a.Address == vs.Address })
		switch {
		case !vs.Address.IsValid():
		case at >= 0:
			v.Addresses[at].Services = append(v.Addresses[at].Services, vs.Label)
		default:
			v.Addresses = append(v.Addresses, appliance.FloatingAddress{Address: vs.Address, Services: []string{vs.Label}, Here: true})
		}
	}
	slices.SortFunc(v.Addresses, func(a, b appliance.FloatingAddress) int { return a.Address.Compare(b.Address) })
	return v
}
