package api

// observedPair is the part of observed that is about the pair.
const observedPair = `ClusteredPair.at: When this was seen.
ClusteredPair.paired: true: it is in a pair.
ClusteredPair.unfinished: true: this node has decided on a pair that the other one, peer, has not confirmed yet; DELETE /pair gives it up.
ClusteredPair.ended: The last pair, if the other node has broken it; absent: it has not, somebody has dismissed that, or there is a pair again.
PairEnd.at: When this node learned it.
PairEnd.by: Name of the node on which it was broken.
PairEnd.away: Whether it was broken while this node was not there.
PairEnd.kept: Whether this node has kept the virtual services; else it gave them up.
ClusteredPair.set_aside: What was set aside on either node and nobody has seen yet, a sentence each.
Fork.id: Names it.
Fork.since: When it was set aside.
Fork.kept: Name of the node whose line went on; empty: not known.
Fork.seen: Whether an administrator has seen it; else it is an alarm.
Fork.first: Number of the oldest revision of it.
Fork.last: Number of the newest revision of it.
Fork.revisions: The revisions, oldest first.
SetAside.id: Names it.
SetAside.since: When it was set aside.
SetAside.kept: Name of the node whose line went on; empty: not known.
SetAside.seen: Whether an administrator has seen it; else it is an alarm.
SetAside.first: Number of the oldest revision of it.
SetAside.last: Number of the newest revision of it.
SetAside.revisions: The revisions, oldest first.
SetAside.changes: What would change if the newest of it ran instead of what runs.
ClusteredPair.self: This node.
ClusteredPair.peer: The other node; empty without a pair.
ClusteredPair.sentence: What the pair does and why, in one sentence.
ClusteredPair.settings: Whether the settings are the same on both nodes.
ClusteredPair.table: Whether the persistence table is the same on both nodes.
ClusteredPair.witness: What the third party says that tells a dead peer from a cut wire.
ClusteredPair.paths: The ways by which heartbeats travel.
ClusteredPair.floating: The addresses of virtual services, which belong to the Active node.
ClusteredPair.rejected: Datagrams on the port of the heartbeat that were not the peer's, by reason.
ClusteredPair.limits: What this pair cannot promise as it is set up, in sentences.
ClusteredPair.round_trip_ns: Nanoseconds from a heartbeat to its echo.
ClusteredPair.last_takeover: How the last change of owner went; absent: there was none.
ClusteredPair.key_change: The step of a change of the heartbeat's key: accept, send or forget; absent: none is under way.
ClusteredPair.host_key: The fingerprint of this node's SSH host key, which the other node's operator compares before pairing.
Paired.steps: What was done, in order.
Paired.status: How the pair is now.
Parted.steps: What was done, in order.
Parted.keeps: Name of the node that keeps the services and their addresses.
Parted.untold: Why the other node does not know it yet; absent: it knows.
Parted.sentence: All of it in one sentence.
ActiveNode.node: self, the node that is asked, or peer, the other one.
ActiveNode.peer_is_off: With self: the other node is off, as you have made sure; this one takes the addresses without asking its witness.
PairWish.address: Address and port of the other appliance's SSH.
PairWish.host_key: The fingerprint of its SSH host key as it was confirmed; without it nothing is sent there, and the answer tells it.
PairWish.password: The password of the user loadbalancer there; it serves once and is not kept.
PairWish.own: The address by which the other node finds this one; absent: the one that the connection has.
PairStep.code: Name of the step.
PairStep.sentence: What it does, or did.
PairStep.done: Whether it is done.
PairDrill.there: The switch to the other node, as that one measured it.
PairDrill.back: The switch back.
PairDrill.sentence: How it went, in one sentence.
PairEvent.at: When it was decided.
PairEvent.node: Name of the node that decided it.
PairEvent.code: What it was, from the catalogue.
PairEvent.sentence: What was decided, and why.
PairEvent.late_ns: Nanoseconds by which the time of what the other node decided may be too late, because the heartbeat that told it was under way; absent: it was decided here, or that is not known.
NodeStatus.id: Names the node for good.
NodeStatus.name: Name of the node.
NodeStatus.role: primary or secondary, as the administrator gave it; empty without a pair.
NodeStatus.state: Who owns the addresses, as the pair found it.
NodeStatus.address: Where the other node finds it.
NodeStatus.revision: Number of the revision of the pair's settings that runs there.
NodeStatus.hash: Fingerprint of the content of that revision.
NodeStatus.healthy: Whether its part that moves traffic works.
NodeStatus.version: Version of the product there.
NodeStatus.heard: When its last authentic heartbeat came; absent for the node itself.
SyncStatus.in_sync: Whether it is proven to be the same.
SyncStatus.pending: Whether it is not known yet, because the nodes connect anew after a change of their roles; absent: it is known, or this has lasted too long.
SyncStatus.sentence: That it is the same, or what differs.
WitnessStatus.configured: Whether anybody is asked.
WitnessStatus.answers: Whether anybody answered lately.
WitnessStatus.sentence: Who is asked and what came of it.
WitnessStatus.at: When the last answer came.
PathStatus.local: Where heartbeats are sent from.
PathStatus.peer: Where they are sent to.
PathStatus.interface: The network interface.
PathStatus.alive: Whether heartbeats come that way.
PathStatus.heard: When the last one came.
PathStatus.received: Heartbeats that came.
PathStatus.lost: Heartbeats that were sent and never came.
PathStatus.jitter_ns: By how many nanoseconds their distance varies.
FloatingAddress.address: The address.
FloatingAddress.interface: Where it is put while this node owns it.
FloatingAddress.services: Labels of the services that listen on it.
FloatingAddress.here: Whether this node owns it now.
FloatingAddress.sentence: What is the matter with it; absent: nothing.
Takeover.at: When it was.
Takeover.planned: Whether somebody asked for it.
Takeover.silence_ns: Nanoseconds from the peer's last heartbeat until this node owned the addresses.
Takeover.took_ns: Nanoseconds from the decision until this node owned the addresses.
Takeover.within_ns: Nanoseconds to which the measured time is exact, either way; absent: one clock saw all of it.
Takeover.why: Why, in one sentence.
`
