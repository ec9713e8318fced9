package replica

import (
	"context"
	"encoding/json"
	"time"

	"evenkeel/appliance"
)

// asideTime is for one question. What a passive node knows of the revisions that the other one set aside comes from its time as the active one, or from asking for it:
// nobody tells it.
const asideTime = 3 * time.Second

// fileForks is what was set aside on the node, and nobody has seen.
const fileForks = "forks"

// aside is what a passive node has asked; only Run's.
type aside struct {
	cluster string    // of the pair that it is about
	at      time.Time // of the last try
	known   bool      // it was answered since this node is passive
}

// lookAside asks the active node what it set aside itself, once, and again for as long as there is something. What is not answered stays as it was.
func (s *Sender) lookAside(ctx context.Context, m appliance.Membership) {
	if s.aside.cluster != m.Cluster {
		s.aside = aside{cluster: m.Cluster}
	}
	if s.aside.known && s.known().forks == "" || s.o.Now().Sub(s.aside.at) < s.look {
		return
	}
	s.aside.at = s.o.Now()
	ctx, cancel := context.WithTimeout(ctx, asideTime)
	defer cancel()
	list, err := s.asideThere(ctx, m)
	if err != nil {
		s.log.Debug("the other node does not say what it set aside", "error", err)
		return
	}
	s.aside.known = true
	s.tellForks(m.Peer.Name, list)
}

func (s *Sender) asideThere(ctx context.Context, m appliance.Membership) (list []appliance.Fork, err error) {
	l, err := s.dial(ctx, m, asideTime)
	if err != nil {
		return nil, err
	}
	defer l.close()
	err = l.read(ctx, fileForks, mostAnswer, &list)
	return list, err
}

// forks are what this node set aside, for the peer.
func (r *Receiver) forks(ctx context.Context, key string) ([]byte, error) {
	if _, err := r.peer(key); err != nil {
		return nil, err
	}
	own, err := r.o.Settings.SharedState(ctx)
	if err != nil {
		return nil, err
	}
	if own.Forks == nil {
		own.Forks = []appliance.Fork{}
	}
	return json.Marshal(own.Forks)
}
