package monitor

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
)

// BenchmarkConnectProbes is the cost of 2,500 connect checks a second as part of one core: one operation is a second.
func BenchmarkConnectProbes(b *testing.B) {
	const servers = 250
	s := service(servers)
	s.Monitor.Interval = appliance.Duration(100 * time.Millisecond)
	for i := range s.RealServers {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.1.%d:0", i+1))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		to := l.Addr().(*net.TCPAddr)
		s.RealServers[i].Address, s.RealServers[i].Port = appliance.Host(to.IP.String()), uint16(to.Port)
	}
	m := New(Options{})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.Apply(these(s), nil)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	<-second.C
	before := cpu()
	for b.Loop() {
		<-second.C
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e7, "%core")
	for i := range s.RealServers {
		if h := m.Health(s.RealServers[i].ID); h.Health != appliance.Up || time.Since(h.Probes[len(h.Probes)-1].At) > time.Second {
			b.Fatalf("%+v", h)
		}
	}
	cancel()
	<-ended
}

// cpu returns the CPU time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
