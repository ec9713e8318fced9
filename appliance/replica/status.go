package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"evenkeel/appliance"
)

const (
	freshFor       = 3 * lookEvery // what the other node said counts for so long
	mostRunning    = 32 << 20      // bytes of a configuration
	differencesFor = 20 * time.Second
)

// Status says whether the other node has what this one has, as it was seen last. It is pending while that is not known now; whoever knows since when says whether that
// is a fault. It never waits.
func (s *Sender) Status() appliance.SyncStatus {
	m, ok := s.o.Members.Current()
	if !ok {
		return appliance.SyncStatus{Sentence: "This node is in no pair."}
	}
	n := s.known()
	if n.cluster != m.Cluster {
		n = seen{}
	}
	name := m.Peer.Name
	switch {
	case unlike(n.failed):
		return appliance.SyncStatus{Sentence: fmt.Sprintf("%s does not take the settings of this node. %s", name, texts(n.failed))}
	case n.failed != nil:
		return appliance.SyncStatus{Pending: true, Sentence: fmt.Sprintf("%s cannot be reached for settings. %s", name, texts(n.failed))}
	case n.at.IsZero():
		return appliance.SyncStatus{Pending: true, Sentence: name + " was not asked yet."}
	case n.refused != nil:
		return appliance.SyncStatus{Sentence: fmt.Sprintf("%s does not have the settings of revision %d. %s", name, n.own.Saved.Number, texts(n.refused))}
	case !n.own.Same(n.theirs):
		return appliance.SyncStatus{Sentence: difference(name, n.own, n.theirs)}
	case s.o.Now().Sub(n.at) > freshFor:
		return appliance.SyncStatus{Pending: true, Sentence: fmt.Sprintf("%s had revision %d when it was asked last.", name, n.own.Saved.Number)}
	}
	return appliance.SyncStatus{InSync: true, Sentence: inSync(n.own)}
}

func inSync(s appliance.SharedState) string {
	if s.Saved != s.Running && s.Running.Number > 0 {
		return fmt.Sprintf("in sync, revision %d runs, %d is saved", s.Running.Number, s.Saved.Number)
	}
	return fmt.Sprintf("in sync, revision %d", s.Saved.Number)
}

// difference says in words what is not the same.
func difference(name string, own, theirs appliance.SharedState) string {
	var parts []string
	if own.Saved != theirs.Saved {
		parts = append(parts, fmt.Sprintf("revision %d is saved here, %d there", own.Saved.Number, theirs.Saved.Number))
	}
	if own.Running != theirs.Running {
		parts = append(parts, fmt.Sprintf("revision %d runs here, %d there", own.Running.Number, theirs.Running.Number))
	}
	if own.Saved.Number == theirs.Saved.Number && own.Saved.Hash != theirs.Saved.Hash {
		parts = append(parts, fmt.Sprintf("revision %d is not the same on both", own.Saved.Number))
	}
	if own.Belongings != theirs.Belongings {
		parts = append(parts, "certificates or users differ")
	}
	return name + " is behind: " + strings.Join(parts, "; ") + "."
}

// Status says what this node, as the passive one, has of the other's settings; pending as with the Sender's. It never waits.
func (r *Receiver) Status() appliance.SyncStatus {
	m, ok := r.o.Members.Current()
	if !ok {
		return appliance.SyncStatus{Sentence: "This node is in no pair."}
	}
	r.mu.Lock()
	heard, asked, last, cluster := r.heard, r.asked, r.last, r.cluster
	r.mu.Unlock()
	if cluster != m.Cluster {
		heard, last = time.Time{}, answer{}
	}
	switch {
	case len(last.Refused) > 0:
		return appliance.SyncStatus{Sentence: fmt.Sprintf("The settings of %s were not taken over. %s", m.Peer.Name, last.Refused[0].Message)}
	case heard.IsZero():
		return appliance.SyncStatus{Pending: true, Sentence: m.Peer.Name + " has sent no settings since this node was started."}
	case asked != int(r.format.Load()):
		return appliance.SyncStatus{Sentence: fmt.Sprintf("This node, version %s, does not get the settings of %s: it takes them in format %d, and they are in format %d. Bring both nodes to the same version.",
			r.o.Version, m.Peer.Name, r.format.Load(), asked)}
	case r.o.Now().Sub(heard) > freshFor:
		return appliance.SyncStatus{Pending: true, Sentence: fmt.Sprintf("%s has not asked for this node's settings since %s.", m.Peer.Name, heard.UTC().Format("15:04:05 UTC"))}
	}
	return appliance.SyncStatus{InSync: true, Sentence: inSync(r.shown)}
}

// Differences is what would change here if this node ran what the other one runs, asked of it now; from either node. Errors: not_found without a pair, unavailable when the other
// node cannot be reached, unsupported when what it runs cannot be read by this version.
func (s *Sender) Differences(ctx context.Context) (appliance.Plan, error) {
	const op = "compare with the other node"
	m, ok := s.o.Members.Current()
	if !ok {
		return appliance.Plan{}, &appliance.Error{Kind: appliance.NotFound, Op: op, Message: "This node is in no pair."}
	}
	ctx, cancel := context.WithTimeout(ctx, differencesFor)
	defer cancel()
	l, err := s.dial(ctx, m, signTime)
	if err != nil {
		return appliance.Plan{}, err
	}
	defer l.close()
	var raw json.RawMessage
	if err := l.read(ctx, fileRunning, mostRunning, &raw); err != nil {
		return appliance.Plan{}, err
	}
	var own, theirs appliance.Config
	err = json.Unmarshal(raw, &theirs.Cluster)
	if err == nil {
		theirs.Cluster.Normalize()
		err = appliance.Validate(theirs, appliance.Site{})
	}
	if err != nil {
		return appliance.Plan{}, &appliance.Error{
			Kind: appliance.Unsupported, Op: op, Message: "What " + m.Peer.Name + " runs cannot be read by this version.", Hint: "Bring both nodes to the same version.", Err: err,
		}
	}
	mine, err := s.o.Settings.RunningCluster()
	if err != nil {
		return appliance.Plan{}, err
	}
	if err := json.Unmarshal(mine, &own.Cluster); err != nil {
		return appliance.Plan{}, &appliance.Error{Kind: appliance.Internal, Op: op, Err: err}
	}
	return appliance.Diff(own, theirs), nil
}
