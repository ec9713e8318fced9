package ui

import (
	"slices"
	"testing"
	"time"

	"evenkeel/appliance"
)

// lastHour is statistics of every service alike: one point at each of these ages.
type lastHour map[time.Duration]appliance.Point

func (l lastHour) Points(service, server string, period appliance.Period) (out []appliance.Point, kept bool, err error) {
	now := time.Now()
	for age, p := range l {
		p.At = now.Add(-age)
		if service == appliance.MachineSeries {
			p.Connections = 250_000
		}
		out = append(out, p)
	}
	return out, true, nil
}

func TestTheGraphsOfTheOverviewSurviveARestart(t *testing.T) {
	const step = sampleEvery
	half := step / 2 // so that no point lies at the border of a stretch
	r := newRig(t, rigOptions{setUp: true, statistics: lastHour{
		350*step + half: {Connections: 7, BytesIn: 100, BytesOut: 25, Opened: 1},
		20*step + half:  {Connections: 3},
		16*step + half:  {Connections: 5, BytesOut: 125},
	}})
	r.fill()
	for end := time.Now().Add(10 * time.Second); ; { // the first sample of its own comes from Run
		if _, known := r.ui.MachineSeen(); known {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no sample")
		}
	}
	r.ui.recall()
	f, services := r.ui.samples.figures(), len(r.control.Running().Config.Cluster.VirtualServices)
	n := float64(services)
	if len(f.connections) != 351 || f.connections[0] != 7*n || f.throughput[0] != 1000*n || f.opened[0] != n || f.cpu[0] != 0.25 {
		t.Fatalf("%d stretches, the first: %v %v %v %v", len(f.connections), f.connections[0], f.throughput[0], f.opened[0], f.cpu[0])
	}
	if got := f.connections[300:]; !slices.Equal(got[:35], append(slices.Repeat([]float64{0}, 30), 3*n, 3*n, 3*n, 3*n, 5*n)) || got[50] != 0 {
		t.Errorf("a short gap is bridged, a long one is empty: %v", got)
	}
	if own := r.ui.samples.of(r.id("HL7")); len(own) != sampledOfEach || own[len(own)-21] != 3 {
		t.Errorf("of a service: %v", own)
	}
	if m, known := r.ui.MachineSeen(); !known || m.CPU != 0.07 {
		t.Errorf("%+v %v", m, known)
	}
}
