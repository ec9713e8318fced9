package ui

import (
	"time"

	"evenkeel/appliance"
)

// MachineSeen returns what was seen of the machine last; false: nothing yet.
func (u *UI) MachineSeen() (Machine, bool) {
	f := u.samples.figures()
	return f.machine, f.known
}

// recall fills the samples with what the statistics know of the last hour.
func (u *UI) recall() {
	if u.Statistics == nil {
		return
	}
	now := u.Now()
	whole := []*hour{{at: now}, {at: now}, {at: now}, {at: now}}
	throughput, connections, opened, cpu := whole[0], whole[1], whole[2], whole[3]
	each := map[string]*hour{}
	for _, s := range u.Control.Running().Config.Cluster.VirtualServices {
		points, _, err := u.Statistics.Points(s.ID, "", appliance.LastHour)
		if err != nil {
			u.Log.Warn("last hour not recalled", "service", s.Label, "error", err)
			return
		}
		each[s.ID] = &hour{at: now}
		for _, p := range points {
			throughput.add(p.At, 8*(p.BytesIn+p.BytesOut))
			connections.add(p.At, p.Connections)
			opened.add(p.At, p.Opened)
			each[s.ID].add(p.At, p.Connections)
		}
	}
	if points, _, err := u.Statistics.Points(appliance.MachineSeries, "", appliance.LastHour); err == nil {
		for _, p := range points {
			cpu.add(p.At, p.Connections/1e6)
		}
	}
	u.samples.mu.Lock()
	defer u.samples.mu.Unlock()
	u.samples.throughput, u.samples.connections, u.samples.opened, u.samples.cpu = throughput.list(), connections.list(), opened.list(), cpu.list()
	for id, h := range each {
		list := h.list()
		u.samples.each[id] = list[max(0, len(list)-sampledOfEach):]
	}
}

// hour is the last hour in stretches as long as a sample stands for.
type hour struct {
	at   time.Time // its end
	sum  [wholeSamples]float64
	seen [wholeSamples]bool
}

func (h *hour) add(at time.Time, v float64) {
	if i := wholeSamples - 1 - int(h.at.Sub(at)/sampleEvery); i >= 0 && i < wholeSamples && !at.After(h.at) {
		h.sum[i] += v
		h.seen[i] = true
	}
}

// restartHole is how many stretches a restart leaves out: they are taken for as busy as the one before. Behind a longer gap the appliance was off.
const restartHole = 6

// list returns the stretches from the first of which something is known.
func (h *hour) list() []float64 {
	var out []float64
	for i := 0; i < len(h.sum); {
		if h.seen[i] {
			out = append(out, h.sum[i])
			i++
			continue
		}
		next := i
		for next < len(h.sum) && !h.seen[next] {
			next++
		}
		if len(out) > 0 {
			fill := 0.0
			if next-i <= restartHole {
				fill = out[len(out)-1]
			}
			for range next - i {
				out = append(out, fill)
			}
		}
		i = next
	}
	return out
}
