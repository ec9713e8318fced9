package ui

import (
	"context"
	"sync"
	"time"

	"evenkeel/appliance"
)

// The graphs of the overview come from memory: a sample every ten seconds, the last hour of the whole, the last fifteen minutes of each service. At the start they are
// recalled from the statistics, so that a restart does not empty them.
const (
	sampleEvery   = 10 * time.Second
	wholeSamples  = 360
	sampledOfEach = 90
	figuresWithin = 2 * time.Second
)

type samples struct {
	mu          sync.Mutex // guards what follows
	throughput  []float64  // bits per second, both ways
	connections []float64
	opened      []float64 // connections per second
	cpu         []float64 // 0 to 1
	machine     Machine
	known       bool // machine was seen
	each        map[string][]float64
	last        appliance.Status
}

func newSamples() *samples { return &samples{each: map[string][]float64{}} }

// sample looks once at traffic and machine.
func (u *UI) sample(ctx context.Context) {
	status := u.Control.Status()
	if status.At.IsZero() {
		status.At = u.Now()
	}
	var machine *Machine
	if u.Machine != nil {
		within, cancel := context.WithTimeout(ctx, figuresWithin)
		m, err := u.Machine(within)
		cancel()
		if err != nil {
			u.Log.Debug("figures of the machine not read", "error", err)
		} else {
			machine = &m
		}
	}
	u.samples.add(status, machine)
}

func (s *samples) add(now appliance.Status, machine *Machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := 0
	alive := make(map[string]bool, len(now.Services))
	for i := range now.Services {
		service := &now.Services[i]
		open += service.Connections
		alive[service.ID] = true
		s.each[service.ID] = keepLast(s.each[service.ID], float64(service.Connections), sampledOfEach)
	}
	for id := range s.each {
		if !alive[id] {
			delete(s.each, id)
		}
	}
	s.connections = keepLast(s.connections, float64(open), wholeSamples)
	if passed := now.At.Sub(s.last.At).Seconds(); !s.last.At.IsZero() && passed > 0 {
		bytes, opened := grown(s.last, now)
		s.throughput = keepLast(s.throughput, float64(bytes)*8/passed, wholeSamples)
		s.opened = keepLast(s.opened, float64(opened)/passed, wholeSamples)
	}
	if machine != nil {
		s.machine, s.known = *machine, true
		s.cpu = keepLast(s.cpu, machine.CPU, wholeSamples)
	}
	s.last = now
}

// grown sums what each service added since then; one whose counters began anew counts from zero.
func grown(then, now appliance.Status) (bytes, opened uint64) {
	for i := range now.Services {
		a := &now.Services[i]
		b, known := then.Service(a.ID)
		if !known || a.Total < b.Total || a.BytesIn < b.BytesIn || a.BytesOut < b.BytesOut {
			b = appliance.ServiceStatus{}
		}
		bytes += a.BytesIn - b.BytesIn + a.BytesOut - b.BytesOut
		opened += a.Total - b.Total
	}
	return bytes, opened
}

func keepLast(list []float64, v float64, most int) []float64 {
	list = append(list, v)
	if len(list) > most {
		list = append(list[:0], list[len(list)-most:]...)
	}
	return list
}

// figures is a copy of the samples.
type figures struct {
	throughput, connections, opened, cpu []float64
	machine                              Machine
	known                                bool
}

func (s *samples) figures() figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	clone := func(list []float64) []float64 { return append([]float64(nil), list...) }
	return figures{clone(s.throughput), clone(s.connections), clone(s.opened), clone(s.cpu), s.machine, s.known}
}

func (s *samples) of(service string) []float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]float64(nil), s.each[service]...)
}

func last(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1]
}
