package ha

import (
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/ha/beat"
	"evenkeel/appliance/ha/role"
)

const (
	repeated  = 8  // datagrams that carry one decision, so that loss does not hide it
	mostQueue = 16 // decisions that wait to be told to the peer; older ones it does not learn

	oldNews = 10 * time.Second // a decision of the peer that is older is not put into the timeline
)

// decisions carries the lines of this node's timeline to the peer, one after the other, and hears the peer's.
type decisions struct {
	number  uint32
	queue   [mostQueue]beat.Decision // with the time of the decision in Age
	waiting int
	told    int // datagrams that have carried the first
	boot    uint64
	heard   uint32 // number of the peer's last
}

func (d *decisions) add(r *role.Record) {
	d.number++
	if d.waiting == mostQueue {
		copy(d.queue[:], d.queue[1:])
		d.waiting, d.told = d.waiting-1, 0
	}
	d.queue[d.waiting] = beat.Decision{
		Number: d.number, Code: beat.NewText(string(r.Code)), Age: r.At, Lasted: r.Lasted, Taken: r.Taken, Count: uint16(min(r.Count, 1<<16-1)), Hardware: r.Hardware,
	}
	d.waiting++
}

// next is the decision that the next datagram carries; the last one stays.
func (d *decisions) next(now time.Duration) beat.Decision {
	if d.waiting == 0 {
		return beat.Decision{}
	}
	if d.told >= repeated && d.waiting > 1 {
		copy(d.queue[:], d.queue[1:d.waiting])
		d.waiting, d.told = d.waiting-1, 0
	}
	d.told++
	out := d.queue[0]
	out.Age = now - out.Age
	return out
}

// hear puts a decision of the peer into the timeline, once; late is for how long at most it was under way, zero when that is not known.
func (d *decisions) hear(l *loop, of *beat.Decision, boot uint64, late time.Duration) {
	if boot != d.boot {
		d.boot, d.heard = boot, 0
	}
	if of.Number <= d.heard {
		return
	}
	d.heard = of.Number
	if of.Age > oldNews { // of before this node's start: it is in the timeline already, or was made while this node was away
		return
	}
	record := role.Record{Code: role.Code(of.Code.String()), Lasted: of.Lasted, Taken: of.Taken, Count: int(of.Count), Hardware: of.Hardware}
	l.write(l.n.named().peer, record, of.Age, late)
}

// tell notes a decision of this node, for both timelines.
func (l *loop) tell(r role.Record) {
	l.decisions.add(&r)
	l.barred = obstructed(l.barred, r)
	l.write(l.n.named().self, r, 0, 0)
	if planned := r.Code == role.Given; planned || r.Code == role.TookOver || r.Code == role.TookVacant || r.Code == role.Elected {
		l.last = &lastTakeover{at: r.At, planned: planned, record: r}
	}
}

// write puts a line into the timeline, beside the loop. Every line is logged, too.
func (l *loop) write(node string, r role.Record, ago, late time.Duration) {
	n, at := l.n, time.Now().Add(-ago)
	l.atDesk(func() {
		e := appliance.PairEvent{At: at, Node: node, Code: string(r.Code), Sentence: sentenceOf(r), Late: late}
		n.timeline.add(e)
		n.o.Logger.Info("pair decided", "node", node, "code", e.Code, "sentence", e.Sentence)
	})
}

// atDesk gives the desk a job; it tells whether there was room. When the desk is empty, the timeline is saved.
func (l *loop) atDesk(job func()) bool {
	n := l.n
	whole := func() {
		job()
		if len(n.desk) == 0 {
			n.keepTimeline()
		}
	}
	select {
	case n.desk <- whole:
		return true
	default:
		return false
	}
}

// complain logs beside the loop.
func (l *loop) complain(message string, err error) {
	logger := l.n.o.Logger
	l.atDesk(func() { logger.Error(message, "err", err) })
}

// The decisions that are not the machine's.
const (
	cloneSeen  role.Code = "clone_seen"
	epochMoved role.Code = "epoch_raised"
	keyChanged role.Code = "key_changed"
	restarted  role.Code = "paths_reopened"
)

// sentenceOf says a decision of either kind in words. A peer of a later version may have codes that are not known here.
func sentenceOf(r role.Record) string {
	switch r.Code {
	case cloneSeen:
		return "Another machine speaks with the identity of a node of this pair: it is a copy (a cloned virtual machine, a restored snapshot). It is not obeyed; switch it off."
	case epochMoved:
		return "The peer knows a later life of this node: it was put back to an earlier state. It counts on from there, so that the peer hears it again."
	case keyChanged:
		return "The heartbeat's key was changed on this node; the old one is forgotten."
	case restarted:
		return "The heartbeat was restarted by the operator: its paths were opened anew, and nothing else has changed."
	}
	if s := r.Sentence(); s != "" {
		return s
	}
	return "The peer decided " + string(r.Code) + ", which this version does not know."
}
