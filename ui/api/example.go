package api

import (
	"net/netip"
	"reflect"
	"strings"

	"evenkeel/appliance"
)

// exampleOf returns a body that the route accepts, or nil.
func exampleOf(r route) any {
	if r.Patch {
		return patchExample(r)
	}
	switch reflect.TypeOf(r.Takes) {
	case reflect.TypeFor[appliance.VirtualService]():
		return exampleService()
	case reflect.TypeFor[appliance.RealServer]():
		return exampleService().RealServers[0]
	case reflect.TypeFor[appliance.Script]():
		return document{"label": "archive answers", "body": "#!/bin/sh\nexec /usr/bin/timeout 2 /bin/true\n"}
	case reflect.TypeFor[appliance.Settings]():
		return appliance.Settings{ApplyAtOnce: true}
	case reflect.TypeFor[appliance.Local]():
		return appliance.Local{Hostname: "lb1", TrafficLog: appliance.TrafficLog{Remote: "192.168.0.9:514", Transport: appliance.SyslogUDP}}
	case reflect.TypeFor[appliance.CertificateUpload]():
		return appliance.CertificateUpload{Label: "pacs", Certificate: "-----BEGIN CERTIFICATE-----\n…", Key: "-----BEGIN PRIVATE KEY-----\n…"}
	case reflect.TypeFor[appliance.CertificateWish]():
		return appliance.CertificateWish{Names: []string{"pacs.example.org", "192.168.0.188"}, Organisation: "Example Clinic", Country: "DE"}
	case reflect.TypeFor[CertificateLabel]():
		return CertificateLabel{Label: "pacs 2027"}
	case reflect.TypeFor[Replacement]():
		return Replacement{Certificate: strings.Repeat("0123456789abcdef", 4)}
	case reflect.TypeFor[SigningAnswer]():
		return SigningAnswer{Certificate: "-----BEGIN CERTIFICATE-----\n…"}
	case reflect.TypeFor[appliance.AuthorityUpload]():
		return appliance.AuthorityUpload{Label: "client cards", Bundle: "-----BEGIN CERTIFICATE-----\n…"}
	case reflect.TypeFor[appliance.Heartbeat]():
		return document{"interval": "10ms", "dead_time": "150ms", "witness": "addresses", "witness_addresses": []string{"192.168.0.1"}}
	case reflect.TypeFor[appliance.PairWish]():
		return document{"address": "192.168.0.12:22", "host_key": "SHA256:kGRsoTZ9VlIZSRUFDGMEnRmTfpxaKLHgMY5a2VVVhXk", "password": "four kind windmills"}
	case reflect.TypeFor[ActiveNode]():
		return ActiveNode{Node: "peer"}
	case reflect.TypeFor[Configuration]():
		return Configuration{Format: configurationFormat, Cluster: appliance.Cluster{VirtualServices: []appliance.VirtualService{}}, Local: appliance.Local{Hostname: "lb1"}}
	case reflect.TypeFor[appliance.Question]():
		return document{"virtual_service": "WEB", "client": "10.0.0.7", "url": "https://www.example.org/img/a.png", "headers": []string{"Accept: image/png"}}
	case reflect.TypeFor[RulesTrial]():
		return document{"request": document{"client": "10.0.0.7", "url": "/admin"}}
	case reflect.TypeFor[StateChange]():
		return StateChange{State: appliance.Drain}
	case reflect.TypeFor[NewUser]():
		return NewUser{Name: "radiology", Role: appliance.OperatorRole, Password: "eleven green lanterns"}
	case reflect.TypeFor[RoleChange]():
		return RoleChange{Role: appliance.Viewer}
	case reflect.TypeFor[PasswordChange]():
		return PasswordChange{Password: "seven quiet harbours"}
	case reflect.TypeFor[TokenRequest]():
		return TokenRequest{Label: "nightly drain", Role: appliance.OperatorRole}
	}
	return nil
}

// exampleService is a service as a client would write it: without ids.
func exampleService() exampleVirtualService {
	return exampleVirtualService{
		Label: "HL7", Address: netip.MustParseAddr("192.168.0.188"), Ports: "6667", Protocol: appliance.TCP, Persistence: "source_ip",
		Check: document{"kind": "hl7", "interval": "4s", "rise": 2, "fall": 3},
		RealServers: []exampleRealServer{
			{Label: "Corepoint1", Address: "192.168.0.40", Weight: 100, State: appliance.Online},
			{Label: "Corepoint2", Address: "192.168.0.41", Weight: 100, State: appliance.Online},
		},
	}
}

type exampleVirtualService struct {
	Label       string              `json:"label"`
	Address     netip.Addr          `json:"address"`
	Ports       string              `json:"ports"`
	Protocol    appliance.Protocol  `json:"protocol"`
	Persistence string              `json:"persistence"`
	Check       document            `json:"check"`
	RealServers []exampleRealServer `json:"real_servers"`
}

type exampleRealServer struct {
	Label   string          `json:"label"`
	Address string          `json:"address"`
	Weight  int             `json:"weight"`
	State   appliance.State `json:"state"`
}

func patchExample(r route) any {
	switch reflect.TypeOf(r.Takes) {
	case reflect.TypeFor[appliance.VirtualService]():
		return document{"ports": "6667,6668", "check": document{"interval": "2s"}}
	case reflect.TypeFor[appliance.RealServer]():
		return document{"weight": 50}
	}
	return document{"label": "archive answers twice"}
}
