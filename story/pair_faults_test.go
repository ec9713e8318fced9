package story

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// faults are the rows of the table, each with what must hold. Those that make a pair more patient for a while, because its heartbeats had gaps, come last.
func faults() []fault {
	return slices.Concat(deaths(), cuts(), meetings(), attacks(), freezes(), losses(), jitters(), needs())
}

// deaths are faults of a node.
func deaths() []fault {
	kill := fault{
		name: "kill -9", moves: moves, full: 200, short: 10,
		inject: func(r *round) { r.owner.cmd.kill() }, heal: func(r *round) { r.owner.begin() },
	}
	kill6 := kill
	kill6.name, kill6.probes, kill6.full, kill6.short = "kill -9, IPv6", labService6, 50, 1
	return []fault{
		kill, kill6,
		{
			name: "the passive node dies", moves: stays, full: 20, short: 1, lasts: 500 * time.Millisecond,
			inject: func(r *round) { r.other.cmd.kill() }, heal: func(r *round) { r.other.begin() },
		},
		{
			name: "planned switch", moves: moves, spares: true, full: 100, short: 2, inject: makePeerActive, check: planned,
		},
		{
			name: "planned switch, IPv6", moves: moves, spares: true, full: 20, short: 1, inject: makePeerActive, check: planned, probes: labService6,
		},
		{
			name: "SIGTERM", moves: moves, spares: true, full: 20, short: 1, check: planned,
			inject: func(r *round) { r.owner.cmd.stop(r.t) }, heal: func(r *round) { r.owner.begin() },
		},
	}
}

func freezes() []fault {
	return []fault{frozen(2*time.Second, moves, 200, 10), quiet(), frozen(50*time.Millisecond, stays, 200, 1), frozen(200*time.Millisecond, either, 200, 1)}
}

// patient are faults that last: there is more waiting in them than work, and clients that come less often show as much.
func patient() (out []fault) {
	for _, percent := range []int{10, 20, 30} {
		long := loss(percent, stays)
		long.name, long.full, long.short, long.lasts = fmt.Sprintf("%d %% loss everywhere for 10 minutes", percent), 1, 0, 10*time.Minute
		out = append(out, long)
	}
	out = append(out, frozen(20*time.Second, moves, 20, 0), diskStandsStill(), frozen(time.Minute, moves, 20, 0))
	for i := range out {
		out[i].every = 5 * time.Millisecond
	}
	return out
}

// frozen is a node that is stopped for a while.
func frozen(d time.Duration, o outcome, full, short int) fault {
	return fault{
		name: "frozen for " + d.String(), moves: o, full: full, short: short, lasts: d + 100*time.Millisecond, freezes: true, rough: true,
		inject: func(r *round) { freeze(r.owner, d) },
	}
}

func makePeerActive(r *round) {
	for tries := 5; ; tries-- { // a machine that stood still calls a switch off, and says so
		code, body := r.owner.api(http.MethodPost, "pair/active", `{"node":"peer"}`)
		if code == http.StatusOK {
			return
		}
		if code != http.StatusConflict || tries == 0 {
			r.t.Errorf("make active: %d %s", code, body)
			return
		}
		pause(r.t, 500*time.Millisecond)
	}
}

// planned says what must hold of a switch that an operator wants.
func planned(_ *round, t tally) (bad []string) {
	if t.refused > 0 {
		bad = append(bad, fmt.Sprintf("%d of the new connections were refused", t.refused))
	}
	return bad
}

// cuts are faults of the wires.
func cuts() []fault {
	healed := func(r *round) { r.couple.heal() }
	return []fault{
		{
			name: "link down", moves: moves, full: 200, short: 10,
			inject: func(r *round) { r.port("v-"+r.owner.letter, false) }, heal: func(r *round) { r.port("v-"+r.owner.letter, true) },
		},
		{
			name: "isolation", moves: moves, full: 200, short: 10, lasts: time.Second,
			inject: func(r *round) {
				r.spoil(fmt.Sprintf(`iifname { "v-%[1]s", "h-%[1]s" } drop; oifname { "v-%[1]s", "h-%[1]s" } drop;`, r.owner.letter))
			}, heal: healed,
		},
		{
			name: "service network cut, carrier stays", moves: moves, full: 20, short: 1, lasts: time.Second,
			inject: func(r *round) {
				r.spoil(fmt.Sprintf(`iifname "v-%[1]s" drop; oifname "v-%[1]s" drop;`, r.owner.letter))
			}, heal: healed,
		},
		{
			name: "heartbeat's own wire cut", moves: stays, full: 20, short: 1, lasts: 600 * time.Millisecond,
			inject: func(r *round) { r.port("h-"+r.owner.letter, false) }, heal: func(r *round) { r.port("h-"+r.owner.letter, true) },
		},
		{
			name: "heartbeats cut on every path", moves: stays, full: 20, short: 1, lasts: 1500 * time.Millisecond,
			inject: func(r *round) { r.spoil("udp dport 6694 drop;") }, heal: healed,
		},
		{
			name: "owner is not heard", moves: moves, full: 20, short: 1, lasts: time.Second,
			inject: func(r *round) { r.spoil(fmt.Sprintf(`iifname { "v-%[1]s", "h-%[1]s" } drop;`, r.owner.letter)) }, heal: healed,
		},
		{
			name: "owner hears nothing", moves: moves, full: 20, short: 1, lasts: time.Second,
			inject: func(r *round) { r.spoil(fmt.Sprintf(`oifname { "v-%[1]s", "h-%[1]s" } drop;`, r.owner.letter)) }, heal: healed,
		},
		{
			name: "owner's heartbeats lost, one way", moves: either, full: 20, short: 1, lasts: 1500 * time.Millisecond,
			inject: func(r *round) {
				r.spoil(fmt.Sprintf(`iifname { "v-%[1]s", "h-%[1]s" } udp dport 6694 drop;`, r.owner.letter))
			}, heal: healed,
		},
	}
}

// losses are wires that lose a part of everything.
func losses() []fault { return []fault{loss(10, stays), loss(30, stays), loss(50, chaos)} }

func loss(percent int, o outcome) fault {
	return fault{
		name: fmt.Sprintf("%d %% loss everywhere", percent), moves: o, full: 20, short: 1, lasts: 5 * time.Second, rough: true, blind: percent >= 50,
		inject: func(r *round) { r.spoil(fmt.Sprintf("numgen random mod 100 < %d drop;", percent)) }, heal: func(r *round) { r.couple.heal() },
	}
}
