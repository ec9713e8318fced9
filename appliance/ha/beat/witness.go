package beat

import "encoding/binary"

// Asker is a node that asks a witness: it tells an answer to its own question from everything else. It belongs to one goroutine.
type Asker struct {
	me       Identity
	ring     *Ring
	asked    uint64 // the newest question
	answered uint64 // the newest question that was answered
}

// NewAsker returns an Asker for me; ring holds the key of the witness alone.
func NewAsker(me Identity, ring *Ring) *Asker { return &Asker{me: me, ring: ring} }

// Renumber tells that this node has begun another epoch.
func (a *Asker) Renumber(boot, nonce uint64) {
	*a = Asker{me: a.me, ring: a.ring}
	a.me.Boot, a.me.Nonce = boot, nonce
}

// Ask writes a question into buf and returns it. b says what the node says of itself; its sequence is above those of all questions before.
func (a *Asker) Ask(buf []byte, b *Beat) []byte {
	b.Kind, b.Cluster, b.Node, b.Boot, b.Nonce = Question, a.me.Cluster, a.me.Self, a.me.Boot, a.me.Nonce
	a.asked = b.Sequence
	return Seal(buf, b, a.ring)
}

// Read checks an answer; known tells whether it came from a witness's address.
func (a *Asker) Read(b []byte, known bool, into *Beat) Reason {
	if reason := header(b, Answer); reason != OK {
		return reason
	}
	get := binary.BigEndian
	echo := get.Uint64(b[offEcho:])
	switch {
	case ID(get.Uint64(b[offCluster:])) != a.me.Cluster:
		return Cluster
	case !known:
		return Source
	case ID(get.Uint64(b[offNode:])) != a.me.Self: // an answer names the node that asked
		return Stranger
	case !a.ring.holds(b[offKey]):
		return KeyID
	case get.Uint64(b[offEchoBoot:]) != a.me.Boot || echo <= a.answered || echo > a.asked:
		return Replayed
	case !a.ring.authentic(b):
		return Forged
	case !into.read(b):
		return Malformed
	}
	a.answered = echo
	return OK
}

// Asked is what a witness knows of one pair: who may ask, and what they asked last. It belongs to one goroutine.
type Asked struct {
	Cluster ID
	Nodes   [2]ID
	ring    *Ring
	windows [2]Window
}

// NewAsked returns what is needed to answer a pair; ring holds its witness's key.
func NewAsked(cluster ID, nodes [2]ID, ring *Ring) *Asked {
	return &Asked{Cluster: cluster, Nodes: nodes, ring: ring}
}

// Read checks a question and tells which of the two nodes asks.
func (a *Asked) Read(b []byte, into *Beat) (node int, reason Reason) {
	if reason := header(b, Question); reason != OK {
		return 0, reason
	}
	get := binary.BigEndian
	id, boot, nonce := ID(get.Uint64(b[offNode:])), get.Uint64(b[offBoot:]), get.Uint64(b[offNonce:])
	sequence := get.Uint64(b[offSequence:])
	if id == a.Nodes[1] {
		node = 1
	}
	w := &a.windows[node]
	switch {
	case ID(get.Uint64(b[offCluster:])) != a.Cluster:
		return 0, Cluster
	case id != a.Nodes[node] || b[offPath] >= Paths:
		return 0, Stranger
	case !a.ring.holds(b[offKey]):
		return 0, KeyID
	case !w.twin(boot, nonce) && !w.fresh(boot, sequence, b[offPath]):
		return 0, Replayed
	case !a.ring.authentic(b):
		return 0, Forged
	case !into.read(b):
		return 0, Malformed
	case w.twin(boot, nonce):
		return 0, Clone
	}
	w.take(boot, nonce, sequence, b[offPath])
	return node, OK
}

// Answer writes the answer to a question that was read into buf and returns it.
func (a *Asked) Answer(buf []byte, question *Beat, granted bool) []byte {
	return Seal(buf, &Beat{
		Kind: Answer, Cluster: a.Cluster, Node: question.Node, Boot: 1, Granted: granted, Echo: Echo{Boot: question.Boot, Sequence: question.Sequence},
	}, a.ring)
}
