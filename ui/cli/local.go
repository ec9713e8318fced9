package cli

import "evenkeel/appliance"

func localCommands() []command {
	return []command{
		{Name: "local", Summary: "the settings of this appliance alone: its names, who reads /metrics, where the traffic log goes", Example: []string{"local"}, do: showLocal},
		{Name: "local set", Summary: "change settings of this appliance alone; they are never replicated", Fields: "local", Changes: true, Example: []string{
			"local set --traffic-log-remote 192.168.0.9:514 --traffic-log-transport udp --apply", "local set --hostname lb1 --metrics-networks 192.168.0.0/24",
		}, do: setLocal},
	}
}

func showLocal(s *session) error {
	v, a, err := get[appliance.Local](s, "/local")
	if err != nil || s.flagged("json") {
		return s.orJSON(a, err)
	}
	return s.flat(v)
}

func setLocal(s *session) error {
	patch, err := s.changes()
	if err != nil {
		return err
	}
	now, _, err := get[appliance.Local](s, "/local")
	if err != nil {
		return err
	}
	fresh, err := merged(now, patch)
	if err != nil {
		return err
	}
	return s.change("PUT", "/local", fresh, tag(now), "Changed Local Configuration.")
}
