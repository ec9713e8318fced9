package appliance

import "slices"

// datagrams checks what a service in UDP Mode cannot have: there are no connections, so nothing can be said at the beginning of one.
func (v *validation) datagrams(s *VirtualService) {
	if s.Protocol != UDP {
		return
	}
	m := &s.Monitor
	if !slices.Contains(DatagramMonitors(), m.Kind) && m.Port == 0 {
		v.refuse("check.kind", "A check by TCP says nothing about a UDP service on the same port.").Hint = "Choose DNS, a script or none; or name the port of something that answers by TCP under Check port."
	}
	if s.Persistence.Kind == PersistLastSuccessful {
		v.refuse("persistence.kind", "UDP Mode can keep clients by source IP only.")
	}
	if s.TLS.On() {
		v.refuse("tls.certificates", "UDP Mode has no TLS.")
	}
	if slices.ContainsFunc(s.RealServers, func(r RealServer) bool { return s.Encrypts(&r) }) {
		v.refuse("server_tls.enabled", "UDP Mode has no TLS.")
	}
	if s.ProxyProtocol.In {
		v.refuse("proxy_protocol.in", "The PROXY protocol needs TCP Mode or HTTP Mode.")
	}
	if s.ProxyProtocol.Out != ProxyOutOff {
		v.refuse("proxy_protocol.out", "The PROXY protocol needs TCP Mode or HTTP Mode.")
	}
}

// DatagramMonitors are the kinds of check that say something about a service in UDP Mode by its own port; all others ask something by TCP.
func DatagramMonitors() []MonitorKind { return []MonitorKind{MonitorNone, MonitorDNS, MonitorScript} }

// keptDatagramPorts are the UDP ports of the appliance itself.
func keptDatagramPorts() []keptPort {
	return []keptPort{{PortHeartbeat, "the heartbeat", true}, {PortSNMP, "SNMP", false}}
}

// kept are the ports that a service of that protocol must leave alone.
func kept(p Protocol) []keptPort {
	if p == UDP {
		return keptDatagramPorts()
	}
	return keptPorts()
}
