package bench

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine"

	"golang.org/x/sys/unix"
)

// Proxy serves the contender's side of the benchmark with the engine until the context ends: it is what runs in the process of its own.
// dir is where the certificates are.
func Proxy(ctx context.Context, base, loops int, dir string) error {
	held := pairs{}
	var ids []string
	for _, name := range []string{"ecdsa.pem", "rsa.pem"} {
		id, err := held.read(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	e := engine.New(engine.Options{Loops: loops, Certificates: held, Garbage: garbage(), LogsDir: filepath.Join(dir, fmt.Sprintf("logs-%d", base))})
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	if err := e.Apply(ctx, ourConfig(base, ids[0], ids[1])); err != nil {
		return err
	}
	return <-done
}

// garbage is how much may pile up, as in the appliance.
func garbage() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return 0
	}
	return engine.Garbage(s.Totalram * uint64(s.Unit))
}

// ourConfig is the work for the engine, with the defaults of new services.
func ourConfig(base int, ecdsa, rsa string) appliance.Config {
	var c appliance.Config
	c.Cluster.Settings.AllowLoopback = true
	modern, old := service(appliance.HTTP, base+tlsPort, webServer), service(appliance.HTTP, base+rsaPort, webServer)
	modern.TLS.Certificates, old.TLS.Certificates = []string{ecdsa}, []string{rsa}
	cookie := service(appliance.HTTP, base+cookiePort, webServer)
	cookie.Persistence.Kind = appliance.PersistCookie
	c.Cluster.VirtualServices = []appliance.VirtualService{
		service(appliance.HTTP, base+webPort, webServer), service(appliance.HTTP, base+midPort, midServer), service(appliance.HTTP, base+bigPort, bigServer),
		service(appliance.TCP, base+echoPort, echoServer), service(appliance.TCP, base+bulkPort, bulkServer), cookie, modern, old, ruled(base),
	}
	c.Cluster.Normalize()
	return c
}

// ruled is a service with twenty rules of which none holds for the request, and the log of every request.
func ruled(base int) appliance.VirtualService {
	v := service(appliance.HTTP, base+rulesPort, webServer)
	v.Log = appliance.LogAll
	for i := range 20 {
		v.Rules = append(v.Rules, appliance.Rule{
			ID: fmt.Sprintf("r%d", i), Label: fmt.Sprintf("r%d", i),
			When: []appliance.Condition{{Subject: appliance.SubjectPath, Operator: appliance.OpBegins, Value: fmt.Sprintf("/denied/%d", i)}},
			Then: []appliance.RuleAction{{Kind: appliance.DoDeny, Status: 403}},
		})
	}
	return v
}

func service(p appliance.Protocol, port, server int) appliance.VirtualService {
	v := appliance.NewService(p)
	v.ID, v.Label, v.Address = fmt.Sprintf("v%d", port), fmt.Sprintf("v%d", port), netip.AddrFrom4([4]byte{127, 0, 0, 1})
	v.Ports = appliance.Ports{{First: uint16(port), Last: uint16(port)}}
	v.Monitor.Kind = appliance.MonitorNone
	v.Limits.MaxConnections = 100000
	v.Limits.ClientTimeout, v.Limits.ServerTimeout = appliance.Duration(10*time.Minute), appliance.Duration(10*time.Minute)
	for i := range serverIPs {
		r := appliance.NewRealServer()
		r.ID, r.Label = fmt.Sprintf("v%d-s%d", port, i), fmt.Sprintf("s%d", i)
		r.Address, r.Port = appliance.Host(serverAddress(i).String()), uint16(server)
		v.RealServers = append(v.RealServers, r)
	}
	return v
}
