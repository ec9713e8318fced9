package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/view"
)

// serviceRow draws together what is configured and what is seen; stored is the service as saved, nil when it is not any more.
func (p *page) serviceRow(l *listed, stored *appliance.VirtualService, few bool) view.ServiceRow {
	s := &l.config
	row := view.ServiceRow{
		ID: s.ID, Label: s.Label, Protocol: strings.ToUpper(string(s.Protocol)),
		Method: fmt.Sprintf("Layer %d", s.Layer), Mode: "Proxy", ServerCount: len(s.RealServers), Redirects: s.TLS.Redirects(),
	}
	row.Address, row.Ports = s.Place()
	if !l.runs {
		row.State, row.SavedOnly, row.Sentence = view.State{Key: "saved", Word: "Saved"}, true, "Saved, not running yet. Apply starts it."
		return row
	}
	row.State, row.Sentence, row.Connections = view.ServiceState(l.seen.Health), l.seen.Sentence, view.Number(l.seen.Connections)
	row.Chart = view.NewChart(p.ui.samples.of(s.ID), sampledOfEach, 72, 18, 4, "open connections of the last 15 minutes")
	row.Open = few || l.problem()
	if stored == nil {
		row.Sentence = "Removed, still running. Apply ends it."
	}
	for i := range s.RealServers {
		r := p.serverRow(s, &s.RealServers[i], &l.seen, stored)
		if r.State.Key == "up" {
			row.Ready++
		}
		row.Servers = append(row.Servers, r)
	}
	return row
}

func serverPath(service, server string) string {
	return "/lbadmin/layer7/" + service + "/servers/" + server
}

func (p *page) serverRow(s *appliance.VirtualService, r *appliance.RealServer, seen *appliance.ServiceStatus, stored *appliance.VirtualService) view.ServerRow {
	status, observed := seen.Server(r.ID)
	if !observed {
		status = appliance.ServerStatus{ID: r.ID, State: r.State, Weight: r.Weight, Check: appliance.ServerHealth{Health: appliance.Unknown}}
	}
	row := view.ServerRow{
		Service: s.ID, ID: r.ID, Label: r.Label, State: view.ServerState(status), Address: string(r.Address), Port: portOf(s, r),
		Connections: view.Number(status.Connections), Weight: status.Weight, Path: serverPath(s.ID, r.ID), Act: p.may(appliance.OperatorRole),
		CanDrain:  status.State == appliance.Online && status.Check.Health != appliance.Down,
		CanHalt:   status.State != appliance.Halt,
		CanOnline: status.State != appliance.Online,
		Why:       status.State == appliance.Online && status.Check.Health == appliance.Down,
	}
	row.Note, row.Safe = p.note(status)
	row.Said = row.Note
	if status.State == appliance.Drain && status.Connections > 0 {
		row.Until = r.DrainUntil
	}
	if probes := status.Check.Probes; len(probes) > 0 && status.State == appliance.Online && status.Check.Health == appliance.Up {
		newest := probes[len(probes)-1]
		row.Note, row.NoteAt, row.Said = brief(s.Monitor.Kind)+" "+view.Took(newest.Took)+",", newest.At, newest.Sentence
	}
	if matters(status) {
		row.Note, row.NoteAt, row.Said = status.Agent.Sentence, time.Time{}, status.Agent.Sentence
	}
	row.Ticks = ticks(status.Check.Probes)
	if stored != nil {
		if saved := stored.Server(r.ID); saved == nil {
			row.Stored = "removed when applied"
		} else if saved.Weight != status.Weight {
			row.Stored = strconv.Itoa(saved.Weight) + " when applied"
		}
	}
	return row
}

func portOf(s *appliance.VirtualService, r *appliance.RealServer) string {
	if r.Port != 0 {
		return strconv.Itoa(int(r.Port))
	}
	return s.Ports.String()
}

// note says what matters about a server now, and whether its machine can be switched off.
func (p *page) note(s appliance.ServerStatus) (text string, safe bool) {
	entries := ""
	if s.PersistenceEntries > 0 {
		entries = " · " + entryCount(s.PersistenceEntries)
	}
	leaving := view.Plural(s.Connections, "connection") + " left"
	if !s.Oldest.IsZero() {
		leaving += ", oldest " + view.Span(p.ui.Now().Sub(s.Oldest))
	}
	switch {
	case s.State != appliance.Online && s.Connections == 0:
		return "safe to power off" + entries, true
	case s.State == appliance.Drain:
		return leaving + entries, false
	case s.State == appliance.Halt:
		return "ending: " + leaving, false
	case s.Check.Health == appliance.Down && s.Check.Sentence == "":
		return "It does not answer.", false
	case s.Check.Health == appliance.Unknown && s.Check.Sentence == "":
		return "not checked yet", false
	}
	return s.Check.Sentence, false
}

// matters tells whether a server is shown with what its agent says: it changes something, or is not heard.
func matters(s appliance.ServerStatus) bool {
	return s.State == appliance.Online && s.Agent != nil && s.Check.Health != appliance.Down && (s.Agent.State != "" || s.Agent.Percent != 100 || s.Agent.At.IsZero())
}

// brief names a check where there is little room.
func brief(k appliance.MonitorKind) string {
	switch k {
	case appliance.MonitorConnect:
		return "connect"
	case appliance.MonitorDICOM:
		return "C-ECHO"
	case appliance.MonitorHL7:
		return "HL7"
	case appliance.MonitorScript:
		return "script"
	}
	return k.String()
}

func entryCount(n int) string {
	if n == 1 {
		return "1 persistence entry"
	}
	return view.Number(n) + " persistence entries"
}

// ticks shows the last twelve checks, the newest at the right.
func ticks(probes []appliance.Probe) []view.Tick {
	probes = probes[max(0, len(probes)-12):]
	out := make([]view.Tick, len(probes))
	for i, p := range probes {
		class := "down"
		if p.Good {
			class = "up"
		}
		out[i] = view.Tick{Class: class}
	}
	return out
}

// useOf finds a server of what runs, else of what is saved.
func (p *page) useOf(serviceID, serverID string) (*appliance.VirtualService, *appliance.RealServer, bool) {
	for i, c := range []appliance.Config{p.ui.Control.Running().Config, p.ui.Control.Saved().Config} {
		s := c.Cluster.Service(serviceID)
		if s == nil {
			continue
		}
		if r := s.Server(serverID); r != nil {
			return s, r, i == 0
		}
	}
	return nil, nil, false
}

// use is one service that has a server with a certain label.
type use struct {
	service appliance.VirtualService
	server  appliance.RealServer
	status  appliance.ServerStatus
}

// usesOf returns every running service that holds a server of that label.
func (p *page) usesOf(label string) []use {
	status := p.ui.Control.Status()
	var out []use
	for _, s := range p.ui.Control.Running().Config.Cluster.VirtualServices {
		i := slices.IndexFunc(s.RealServers, func(r appliance.RealServer) bool { return strings.EqualFold(r.Label, label) })
		if i < 0 {
			continue
		}
		seen, _ := status.Service(s.ID)
		server, ok := seen.Server(s.RealServers[i].ID)
		if !ok {
			server = appliance.ServerStatus{ID: s.RealServers[i].ID, State: s.RealServers[i].State, Check: appliance.ServerHealth{Health: appliance.Unknown}}
		}
		out = append(out, use{s, s.RealServers[i], server})
	}
	return out
}
