// Package role decides which node of a pair owns the floating addresses. It is one pure function, Step: no clock, no I/O, no goroutine; the running
// program, the simulation and the explorer (package model) use the same one. Times are readings of the node's own CLOCK_BOOTTIME, which goes on
// while the machine sleeps; neither the wall clock nor the peer's clock is ever looked at, so steps of a clock mean nothing here.
//
// # What callers promise
//
//   - Events come one at a time, with the time at which they are given, in strictly increasing readings; a Tick at least every 10 ms (5 ms is better).
//   - Actions are done in order. Renew reads the clock right before the system call and does nothing when Until has passed, else it asks the kernel for
//     Until − now, and once more when the kernel came to it late. The answer to Renew and Drop is the next event. Up and Down happen beside the loop.
//   - A datagram is stamped right before it is sent, with State.Says at that moment, and echoes the newest datagram that Step has been given (not:
//     that a socket has received). Heard gets authentic datagrams only, each newer than all before it, and Echo in own sending time; Sent is never later
//     than the moment for which the sender stamped it: what it echoes came to it after that was sent, and it says how long ago that was.
//   - Probes and the use of an address by others are looked for all the time, not only while this node asks.
//
// # Why there are never two owners
//
// Whoever owns the addresses holds a lease that the kernel ends by itself. L is its life, ε the margin; P ≥ L+ε is the patience.
//
// 1. A lease on an echo is exact. It ends at s+L, where s is when this node sent the datagram that the peer echoes: not at the echo's arrival, not at the
// renewal. The peer heard that datagram at h ≥ s, and with it that this node owns, claims or takes; it decides alone only after h+P > s+L. Loss,
// delay, duplicates, cuts in one direction, and datagrams that waited in the socket of a frozen process can make h later and s earlier, never the
// other way round: old echoes prove nothing (s is too old), and a node that finds that it did not run (a gap between events) listens anew
// before it decides, for 60 ms or, when that was long, for a whole L+ε: what it has missed is what others said, never their leases, since P counts from what it has heard. ε covers the drift of two clocks over one lease and the granularity of the kernel's timers. A datagram only counts as s if it was
// sent after the node began to claim, to take or to own (Since), because only then did it say so; a longer L of new settings counts from the first
// datagram that told it. While echoes are late, heartbeats are sent with every tick.
//
// 2. An election between two nodes that hear each other is exact, without any timing. A node claims; it takes only when a datagram of the peer that
// echoes one of its claims says that the peer neither owns, nor claims, nor takes. If both did, each would have said that it yields while it heard
// the other's claim, hence before its own claim began or after its ownership ended: the two orders contradict each other. The first lease is
// one on an echo (1). The total order (who gives or wishes by the operator's command, health, the operator's last choice, priority, node id) makes one of them claim.
//
// 3. A planned switch is such an election: the owner says Hands, the peer claims; when nothing is in flight any more (or at the limit) the owner ends
// its lease, and only after the kernel has confirmed that does it say that it owns nothing. The peer, whose addresses are already on its interfaces,
// takes them with that datagram. If the kernel refuses, the lease ends by itself, and so long the node says that it owns.
//
// 4. Without an echo the owner needs its witness. A lease on the witness's word lives ⅔ L from the question. While it has it, the peer may reach its
// own witness too, so that here the last looks exclude a second owner: the peer asks for the addresses in at least four rounds of five questions
// after P, and every answer puts it off for another P. More rounds when datagrams have been lost or late. Unless the owner was heard just P ago and knew that this node is able, it needs twenty rounds,
// twice the life of a lease on the witness's word, so that an owner that has just been cut off no longer has one either. An owner whose peer has been silent for long
// (Alone) uses a lease of half a second, so that a machine that stands still for less costs a survivor nothing. Every datagram tells that for 2 Alone before it is used, and as
// long as any may be left; the peer relies on a shorter one for less than Alone from when that was said, or later on nothing: then its questions last longer than half a second. Two nodes that look at the same time see each other's probes: the
// first of the order goes on, the other waits; if the other was faster, it answers the first one's next probe. An owner without contact that is asked
// again and again lets go: its answers do not arrive.
//
// 5. One-way loss. An owner that hears the peer, and by its stale echo that the peer does not hear it, while the peer is able to take over, does not
// use its witness: its lease on the last echo ends before the peer's P. Nor does such a node take the addresses. If the peer says that it is not able, the owner stays. A peer that is not
// heard but hears is told by every datagram that the addresses have an owner, and does nothing. An owner that hears nothing at all loses its lease and says so: it owns, claims
// and takes nothing, and is not able to. Nobody has to wait for a lease of such a peer, and four rounds of questions are enough while its newest datagram
// is at most L/3 and 10 ms old, counted from Sent. It can own alone only when it has been able for some 140 ms and has asked as long without an answer: it was not able when it
// spoke, so that this node owns before, answers its questions for the rest of that time, and says that it takes or owns in all that time. If it comes to hear
// this node, there is an election (2). When its datagrams stop, or say anything else, patience and twenty rounds are needed as ever.
//
// 6. Restarts. A new process cannot know whether a lease of the one before is in force: it ends it first and until that is confirmed (or the longest lease has passed)
// says that it owns. It then elects with the peer or, hearing nothing, waits longer than the lease (Start), asks witness and address, and takes. A node that was
// killed while it took the addresses leaves a lease that ends by itself, as in 1.
//
// 7. Frozen and woken. The kernel has ended the lease meanwhile; the first event after the gap finds Until passed, so that nothing is renewed and
// the node is passive, whatever is waiting in its sockets. Actions carry Until as an absolute time for the same reason.
//
// A machine that stands still again and again (Restless) makes its lease on an echo live for a second, which is told and used as a longer L of new settings is (1), and tells
// the longer lease on its witness's word as well (4), to use it as soon as the peer has echoed that: stalls that are shorter move nothing, and its peer's P is longer by as much. Calm ends it. Who stands still during the last looks looks on: the rounds
// whose answers may be lost are asked again, at least four more come, and with a stall the whole twenty and the witness's word; what nobody answered before proves what it
// proved, because an owner that was cut off then has no lease any more.
//
// 8. A renewal that fails twice means a node of no use: it lets go. A table that vanished is made anew by the renewal. A node that is not healthy
// (no link on a service's interface) gives the addresses to a peer that is, and does not take any.
//
// 9. A third machine that answers for a floating address keeps a taking node passive; it says so in the timeline and to the peer (it is not Able).
//
// 10. A node whose kernel or rights enforce no lease never owns: it counts as unhealthy, and comes last in the order. Only when both are bare is
// one of them active all the same, with nothing on any wire: it writes the settings. What such a node's process before has left ends by itself, as in 6.
//
// # The limits
//
//   - Both nodes reach their witness, but neither hears the other on any path, and probes or their answers are lost on the network of the services as well:
//     both own (a partition right between them, with a witness on both sides). The same holds without any witness, for every partition. After the heal the total order decides within one round trip.
//   - The heartbeat is cut, and between ⅔ L and P later the owner is cut off from everything but its lease: the two may overlap for less than ⅔ L.
//   - The probes of 4 are messages too. With the heartbeat cut for long and a fraction p of all datagrams of the services' network lost, the chance to
//     miss a living owner is about (1−(1−p)²)^20.
//   - A survivor that stands still for up to 250 ms during its last looks does not see an owner that was cut off before that, comes back to its witness in between, and is cut off again.
//   - An answer of the witness counts for the newest question; one that is late by some time prolongs a lease on its word by as much.
//   - A round trip of more than ⅔ L counts as none; the pair stays safe, but may change its owner.
//   - A virtual machine that is paused by its hypervisor between the reading of the clock and the kernel's own arithmetic wakes with up to one lease left,
//     until the thread that asked for it runs: it looks at the clock again, and puts it right.
package role
