package role

import (
	"fmt"
	"strings"
	"time"
)

// Record is a decision, for the timeline: its code and the numbers that its sentence needs.
type Record struct {
	Code     Code
	At       time.Duration // by the own clock
	Lasted   time.Duration // how long what led to it lasted; the code says what that is
	Taken    time.Duration // from the decision to the lease
	Count    int
	Hardware uint64
}

// Code names a decision; it is stored and shown, and never changes its meaning.
type Code string

// The codes. The sentences are in the catalogue.
const (
	Started          Code = "started"
	PairFounded      Code = "pair_founded"
	Woke             Code = "woke"
	Restless         Code = "restless"
	Calm             Code = "calm"
	PeerHeard        Code = "peer_heard"
	PeerBack         Code = "peer_back"
	PeerRestarted    Code = "peer_restarted"
	PeerSilent       Code = "peer_silent"
	PeerUnaware      Code = "peer_unaware"
	PeerVacant       Code = "peer_vacant"
	LeftToPeer       Code = "left_to_peer"
	PeerOwns         Code = "peer_owns"
	PeerDeaf         Code = "peer_deaf"
	Solo             Code = "solo"
	LeaseLost        Code = "lease_lost"
	LeaseYielded     Code = "lease_yielded"
	TableRebuilt     Code = "table_rebuilt"
	RenewRefused     Code = "renew_refused"
	RenewGaveUp      Code = "renew_gave_up"
	DropRefused      Code = "drop_refused"
	AddressesRefused Code = "addresses_refused"
	HealthGone       Code = "health_gone"
	HealthBack       Code = "health_back"
	StaysUnhealthy   Code = "stays_unhealthy"
	StaysBare        Code = "stays_bare"
	GaveUnhealthy    Code = "gave_unhealthy"
	GaveBare         Code = "gave_bare"
	WitnessSilent    Code = "witness_silent"
	OwnerAnswers     Code = "owner_answers"
	OwnerSeenHere    Code = "owner_seen"
	RivalProbes      Code = "rival_probes"
	RivalInsists     Code = "rival_insists"
	RivalLoses       Code = "rival_loses"
	RivalWins        Code = "rival_wins"
	RivalDeaf        Code = "rival_deaf"
	TookOver         Code = "took_over"
	TookVacant       Code = "took_vacant"
	Elected          Code = "elected"
	Given            Code = "given"
	HandsByCommand   Code = "hands_by_command"
	HandsByWish      Code = "hands_by_wish"
	HandsLeaving     Code = "hands_leaving"
	HandsNow         Code = "hands_now"
	HandsAtLimit     Code = "hands_at_limit"
	SwitchOff        Code = "switch_off"
	SwitchOffPeer    Code = "switch_off_peer"
	SwitchOffLate    Code = "switch_off_late"
	Left             Code = "left"
	WishedByCommand  Code = "wished_by_command"
	WishedByFailback Code = "wished_by_failback"
	Forced           Code = "forced"
	AlreadySo        Code = "already_so"
	RefusedUnhealthy Code = "refused_unhealthy"
	RefusedNoContact Code = "refused_no_contact"
	RefusedBare      Code = "refused_bare"
	RefusedHolds     Code = "refused_holds"
	RefusedPeer      Code = "refused_peer"
	RefusedPeerBare  Code = "refused_peer_bare"
	RefusedDeaf      Code = "refused_deaf"
	RefusedGives     Code = "refused_gives"
)

// catalogue has one sentence for each code. {lasted}, {taken}, {count} and {hardware} stand for the numbers of the record.
var catalogue = map[Code]string{
	Started:          "Heartbeat started; this node owns no floating address until it has heard its peer, or has heard nothing for {lasted}.",
	PairFounded:      "The pair was made; this node goes on owning the floating addresses.",
	Woke:             "This node did not run for {lasted}: what it believed is old, so it listens anew before it decides anything.",
	Restless:         "This node's machine stands still again and again (are its host's processors overbooked?): its lease on the floating addresses lives {lasted} from now on, so that nothing moves for that; a failover takes longer, too.",
	Calm:             "This node's machine has not stood still for {lasted}: its lease on the floating addresses is short again.",
	PeerHeard:        "The peer was heard for the first time.",
	PeerBack:         "The peer was heard again after {lasted} of silence.",
	PeerRestarted:    "The peer's heartbeat was restarted.",
	PeerSilent:       "The peer has been silent for {lasted}: longer than its lease on the floating addresses can last.",
	PeerUnaware:      "The peer is heard and owns nothing, but does not hear this node (its last echo is {lasted} old), so each has to decide alone.",
	PeerVacant:       "The peer is heard, does not hear this node (its last echo is {lasted} old), and says that it owns nothing and cannot own anything.",
	LeftToPeer:       "The peer does not hear this node (its last echo is {lasted} old) and is able to take the floating addresses: they are left to it.",
	PeerOwns:         "The peer owns the floating addresses; this node is passive.",
	PeerDeaf:         "The peer does not hear this node (its last echo is {lasted} old) but is well and about to take over, so the lease is not renewed.",
	Solo:             "The peer's last echo is {lasted} old; this node goes on alone, because its witness answers or none is configured.",
	LeaseLost:        "The lease on the floating addresses ended: neither an echo of the peer ({lasted} old) nor an answer of the witness was recent enough to renew it.",
	LeaseYielded:     "The lease on the floating addresses was left to end for a peer that does not hear this node (its last echo is {lasted} old).",
	TableRebuilt:     "The kernel's table with the lease had vanished (was the rule set flushed?); it was made anew.",
	RenewRefused:     "The kernel refused to renew the lease; it is tried once more.",
	RenewGaveUp:      "The kernel refused to renew the lease again (is the right CAP_NET_ADMIN missing?): this node gives the floating addresses up.",
	DropRefused:      "The kernel refused to end the lease; it ends by itself in {lasted}.",
	AddressesRefused: "The floating addresses could not be put on their interfaces, so this node does not take them.",
	HealthGone:       "This node is not healthy: an interface of a service has no link, the network behind it does not answer, or the engine does not serve.",
	HealthBack:       "This node is healthy again.",
	StaysUnhealthy:   "The peer is silent, but this node is not healthy itself, so it stays passive.",
	StaysBare:        "The peer is silent, and this node cannot own the floating addresses, because its kernel or its rights do not let it enforce a lease: they have no owner.",
	GaveBare:         "The peer can own the floating addresses and this node cannot, because its kernel or its rights do not let it enforce a lease: the peer is active.",
	GaveUnhealthy:    "This node is not healthy and its peer is: the floating addresses go to the peer.",
	WitnessSilent:    "The peer has been silent for {lasted} and the witness does not answer either: this node is probably the one that is cut off, and stays passive.",
	OwnerAnswers:     "A machine ({hardware}) answers for a floating address although the peer has been silent for {lasted}: this node stays passive, because two owners would be worse.",
	OwnerSeenHere:    "Another machine ({hardware}) uses a floating address that this node owns; this node announces it again.",
	RivalProbes:      "The peer is about to take the floating addresses too, and comes first: this node waits.",
	RivalInsists:     "The peer (silent for {lasted}) goes on asking for the floating addresses and so has not heard the answers of this node: it is about to take them, and this node lets go.",
	RivalLoses:       "Both nodes owned the floating addresses; this node keeps them by the order of choice, health, priority and node id, and announces them again.",
	RivalWins:        "Both nodes owned the floating addresses; the peer keeps them by the order of choice, health, priority and node id, and this node let go at once.",
	RivalDeaf:        "Both nodes owned the floating addresses, and the peer has not heard this node for {lasted}: this node lets go, since only it knows.",
	TookOver:         "This node took the floating addresses {taken} after its decision: the peer was silent for {lasted}, and {count} rounds of probes had no answer.",
	TookVacant:       "This node took the floating addresses {taken} after its decision: the peer, which does not hear this node (its last echo is {lasted} old), could not own them, and {count} rounds of probes had no answer.",
	Elected:          "This node took the floating addresses {taken} after its decision: nobody owned them, and the peer yielded.",
	Given:            "This node took the floating addresses that the peer gave it.",
	HandsByCommand:   "A planned switch begins by the operator's command: requests in flight have up to {lasted} to finish.",
	HandsByWish:      "A planned switch begins at the peer's request: requests in flight have up to {lasted} to finish.",
	HandsLeaving:     "This node is being stopped and hands the floating addresses on: requests in flight have up to {lasted} to finish.",
	HandsNow:         "Everything in flight was finished after {lasted}; the floating addresses are free for the peer.",
	HandsAtLimit:     "The limit for requests in flight was reached after {lasted}; the floating addresses are free for the peer.",
	SwitchOff:        "The planned switch was called off, because the peer does not answer any more (its last echo is {lasted} old); nothing has changed.",
	SwitchOffPeer:    "The planned switch was called off, because the peer is not healthy any more; nothing has changed.",
	SwitchOffLate:    "The planned switch was called off, because the peer has not taken the floating addresses for {lasted}; nothing has changed.",
	Left:             "This node is being stopped and no healthy peer is there: the floating addresses have no owner.",
	WishedByCommand:  "The operator wants this node to be active; the peer is asked to hand the floating addresses on.",
	WishedByFailback: "Automatic failback is on and this node, the Primary, is well: the peer is asked to hand the floating addresses on.",
	Forced:           "The operator vouches that the peer is off: this node may take the floating addresses without its witness (the peer has been silent for {lasted}).",
	AlreadySo:        "Nothing to do: the pair is already as the operator wants it.",
	RefusedUnhealthy: "This node is not healthy, so it does not become active.",
	RefusedBare:      "This node cannot own the floating addresses: its kernel or its rights do not let it enforce a lease. The peer can.",
	RefusedHolds:     "This node serves on the floating addresses without a lease, because its kernel or its rights enforce none, so it cannot hand them on safely; switch it off instead.",
	RefusedPeerBare:  "The peer cannot own the floating addresses, because its kernel or its rights do not let it enforce a lease; they stay here.",
	RefusedNoContact: "The peer does not answer this node (its last echo is {lasted} old), so there can be no planned switch; this node takes over by itself when that is safe.",
	RefusedPeer:      "The peer says that it is not healthy, so the floating addresses stay here.",
	RefusedDeaf:      "The peer does not answer this node (its last echo is {lasted} old), so the floating addresses stay here; try again when both nodes hear each other.",
	RefusedGives:     "The peer is only just giving the floating addresses away, or is being stopped, so they stay here; try again in a few seconds.",
}

// unheard has the sentences of decisions about a peer that was never heard, or has never answered: nothing has lasted then.
var unheard = map[Code]string{
	PeerSilent:       "The peer has not been heard yet, for longer than its lease on the floating addresses can last.",
	PeerUnaware:      "The peer is heard and owns nothing, but has not answered this node yet, so each has to decide alone.",
	PeerVacant:       "The peer is heard, has not answered this node yet, and says that it owns nothing and cannot own anything.",
	LeftToPeer:       "The peer has not answered this node yet and is able to take the floating addresses: they are left to it.",
	PeerDeaf:         "The peer has not answered this node yet but is well and about to take over, so the lease is not renewed.",
	Solo:             "The peer has not answered yet; this node goes on alone, because its witness answers or none is configured.",
	LeaseLost:        "The lease on the floating addresses ended: the peer has not answered yet, and no answer of the witness was recent enough to renew it.",
	LeaseYielded:     "The lease on the floating addresses was left to end for a peer that has not answered this node yet.",
	WitnessSilent:    "The peer has not been heard yet and the witness does not answer either: this node is probably the one that is cut off, and stays passive.",
	OwnerAnswers:     "A machine ({hardware}) answers for a floating address although the peer has not been heard yet: this node stays passive, because two owners would be worse.",
	RivalInsists:     "The peer, which has not been heard yet, goes on asking for the floating addresses and so has not heard the answers of this node: it is about to take them, and this node lets go.",
	RivalDeaf:        "Both nodes owned the floating addresses, and the peer has not answered this node yet: this node lets go, since only it knows.",
	TookOver:         "This node took the floating addresses {taken} after its decision: the peer has not been heard yet, and {count} rounds of probes had no answer.",
	TookVacant:       "This node took the floating addresses {taken} after its decision: the peer, which has not answered this node yet, could not own them, and {count} rounds of probes had no answer.",
	SwitchOff:        "The planned switch was called off, because the peer does not answer; nothing has changed.",
	Forced:           "The operator vouches that the peer is off: this node may take the floating addresses without its witness (the peer has not been heard yet).",
	RefusedNoContact: "The peer has not answered this node yet, so there can be no planned switch; this node takes over by itself when that is safe.",
	RefusedDeaf:      "The peer has not answered this node yet, so the floating addresses stay here; try again when both nodes hear each other.",
}

// Codes returns every code, in no order.
func Codes() []Code {
	codes := make([]Code, 0, len(catalogue))
	for c := range catalogue {
		codes = append(codes, c)
	}
	return codes
}

// Sentence says the decision in words that an administrator understands.
func (r Record) Sentence() string {
	hardware := "an unknown one"
	if r.Hardware != 0 {
		octets := make([]string, 6)
		for i := range octets {
			octets[i] = fmt.Sprintf("%02x", byte(r.Hardware>>(8*(5-i))))
		}
		hardware = strings.Join(octets, ":")
	}
	text := catalogue[r.Code]
	if never, some := unheard[r.Code]; some && r.Lasted == 0 {
		text = never
	}
	return strings.NewReplacer("{lasted}", rounded(r.Lasted), "{taken}", rounded(r.Taken), "{count}", fmt.Sprint(r.Count), "{hardware}", hardware).
		Replace(text)
}

func rounded(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
