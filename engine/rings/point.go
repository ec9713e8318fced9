package rings

import (
	"encoding/binary"
	"math"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/stats"
)

// pointSize is the size of a point in the file: the number of its stretch since 1970 in 4 bytes, which tells a point from what an earlier round left; six
// figures of 2 bytes; the buckets of two quantiles; the share of time up.
const pointSize = 20

// point is what is kept of one stretch.
type point struct {
	stamp    uint32
	figures  [6]float64 // connections, opened, requests, in, out, errors
	p50, p99 uint8      // bucket + 1; 0: none
	up       float64    // -1: not known
}

const notKnown = 255

func (p *point) encode(b []byte) {
	binary.LittleEndian.PutUint32(b, p.stamp)
	for i, v := range p.figures {
		binary.LittleEndian.PutUint16(b[4+2*i:], pack(v))
	}
	b[16], b[17], b[18], b[19] = p.p50, p.p99, notKnown, 0
	if p.up >= 0 {
		b[18] = uint8(math.Round(200 * min(p.up, 1)))
	}
}

func decode(b []byte) point {
	p := point{stamp: binary.LittleEndian.Uint32(b), p50: min(b[16], stats.Buckets), p99: min(b[17], stats.Buckets), up: -1}
	for i := range p.figures {
		p.figures[i] = unpack(binary.LittleEndian.Uint16(b[4+2*i:]))
	}
	if b[18] <= 200 {
		p.up = float64(b[18]) / 200
	}
	return p
}

// pack writes a figure in 16 bits: 6 of exponent, 10 of mantissa. It is right within a thousandth, from a millionth to eight million millions; what is less is 0.
func pack(v float64) uint16 {
	if !(v > 0) {
		return 0
	}
	if math.IsInf(v, 1) {
		return math.MaxUint16
	}
	fraction, exponent := math.Frexp(v) // fraction in [0.5, 1)
	exponent += 19
	mantissa := int(math.Round((2*fraction - 1) * 1024))
	if mantissa == 1024 {
		mantissa, exponent = 0, exponent+1
	}
	switch {
	case exponent < 1:
		return 0
	case exponent > 63:
		return math.MaxUint16
	}
	return uint16(exponent<<10 | mantissa)
}

func unpack(n uint16) float64 {
	if n == 0 {
		return 0
	}
	return math.Ldexp(1+float64(n&1023)/1024, int(n>>10)-20)
}

func quantile(bucket uint8) time.Duration {
	if bucket == 0 {
		return 0
	}
	return stats.Below(int(bucket) - 1)
}

func (p *point) shown(step time.Duration) appliance.Point {
	return appliance.Point{
		At: time.Unix(int64(p.stamp)*int64(step/time.Second), 0).UTC(), Connections: p.figures[0], Opened: p.figures[1], Requests: p.figures[2], BytesIn: p.figures[3],
		BytesOut: p.figures[4], Errors: p.figures[5], P50: quantile(p.p50), P99: quantile(p.p99), Up: p.up,
	}
}

// fold makes one point of several: averages, the worst of the 99th parts, and the median of the 50th weighted by nothing but time.
func fold(stamp uint32, parts []point) point {
	out := point{stamp: stamp, up: -1}
	known, answered, half := 0, 0, 0
	for i := range parts {
		p := &parts[i]
		for k, v := range p.figures {
			out.figures[k] += v / float64(len(parts))
		}
		out.p99 = max(out.p99, p.p99)
		if p.p50 > 0 {
			answered++
			half += int(p.p50)
		}
		if p.up >= 0 {
			out.up = max(out.up, 0) + p.up
			known++
		}
	}
	if answered > 0 {
		out.p50 = uint8((half + answered/2) / answered)
	}
	if known > 0 {
		out.up /= float64(known)
	}
	return out
}

// between returns the point of a stretch from what was counted at its two ends.
func between(stamp uint32, before, now *stats.Measure, seconds float64) point {
	grown := func(a, b uint64) float64 {
		if b < a { // it began anew
			a = 0
		}
		return float64(b-a) / seconds
	}
	out := point{stamp: stamp, up: float64(now.Up), figures: [6]float64{
		float64(max(before.Open, 0)+max(now.Open, 0)) / 2, grown(before.Total, now.Total), grown(before.Requests, now.Requests),
		grown(before.BytesIn, now.BytesIn), grown(before.BytesOut, now.BytesOut), grown(before.Failed(), now.Failed()),
	}}
	latency := now.Latency.Since(&before.Latency)
	out.p50, out.p99 = uint8(latency.Quantile(0.5)+1), uint8(latency.Quantile(0.99)+1)
	return out
}
