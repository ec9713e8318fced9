package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"evenkeel/appliance"
)

// Keys are the certificates as the engine finds them.
type Keys interface {
	// Stage reads what is given and lets the engine find it beside what is kept; an error says what is wrong with it, and nothing is staged then.
	Stage(appliance.Belongings) error
	// Reload makes what is kept count again, and takes up what else it holds.
	Reload(context.Context) error
}

const receiveOp = "take over settings"

// What a revision of another node may say of itself.
const (
	longestWord     = 1024 // bytes of a name, a source or a reason
	longestSentence = 16 << 10
	mostContent     = 16 << 20
)

// Receive takes what the active node of a pair gives, examined as if a stranger had typed it: what is saved and what runs there must be valid here, for this node's engine and
// host. All of it is kept in one transaction, with the numbers of the other node, or nothing. What runs there runs here then; when that fails, the error says why, what was kept is
// kept, and the State that is returned tells that something else runs. Revisions that only this node had are set aside. Kinds beside those of a commit: conflict when
// this node is active itself, stale for a sequence that came before.
func (c *Control) Receive(ctx context.Context, o appliance.Origin, source string, sequence uint64, given appliance.Shared) (appliance.Taken, error) {
	done, err := c.begin(ctx)
	if err != nil {
		return appliance.Taken{}, err
	}
	defer done()
	ctx = context.WithoutCancel(ctx) // half of it would be worse
	if !c.paired() || c.Writable() == nil {
		return appliance.Taken{}, &appliance.Error{Kind: appliance.Conflict, Op: receiveOp, Message: "This node does not take settings: it is active itself, or in no pair."}
	}
	saved, running, err := c.examine(ctx, given)
	if err != nil {
		return appliance.Taken{}, err
	}
	before, err := c.SharedState(ctx)
	if err != nil {
		return appliance.Taken{}, err
	}
	aside, err := c.keep(ctx, o, source, sequence, given, saved, running)
	if err != nil {
		return appliance.Taken{}, err
	}
	if len(aside) > 0 {
		c.log.Warn("revisions were set aside", "revisions", aside)
		c.readForks(ctx)
	}
	err = c.run(ctx, o, saved, running, before.Belongings != given.Belongings.Hash())
	out := appliance.Taken{Aside: aside}
	state, failed := c.SharedState(ctx)
	if out.State = state; err == nil {
		err = failed
	}
	return out, err
}

// examine reads both configurations and checks them on this machine; with the certificates that came with them.
func (c *Control) examine(ctx context.Context, given appliance.Shared) (saved, running held, err error) {
	if err := checkLine(given); err != nil {
		return saved, running, err
	}
	if err := checkBelongings(given.Belongings); err != nil {
		return saved, running, err
	}
	v := c.view.Load()
	if saved, err = c.given(ctx, given, given.Saved, v.saved); err != nil {
		return saved, running, err
	}
	running = v.running
	if given.Running.Number > 0 {
		if running, err = c.given(ctx, given, given.Running, v.running); err != nil {
			return saved, running, err
		}
	}
	if c.keys != nil {
		if err := c.keys.Stage(given.Belongings); err != nil {
			return saved, running, ours(receiveOp, err)
		}
	}
	if err = c.check(ctx, saved.config, v.saved.config); err == nil && !running.same(saved) && !running.same(v.running) {
		err = c.check(ctx, running.config, v.running.config)
	}
	if err != nil && c.keys != nil {
		if failed := c.keys.Reload(ctx); failed != nil {
			c.log.Error("certificates not read", "error", failed)
		}
	}
	return saved, running, err
}

// given finds a revision among those that came, or here if it is not behind the common one, and reads it.
func (c *Control) given(ctx context.Context, given appliance.Shared, id appliance.RevisionID, beside held) (held, error) {
	h := held{config: appliance.Config{Local: beside.config.Local}, local: beside.local}
	if id.Number == 0 { // the other node has none yet
		h.config.Cluster = emptyCluster()
		return h.hashed(), nil
	}
	var content []byte
	i := slices.IndexFunc(given.Revisions, func(g appliance.SharedRevision) bool { return idOf(g.Revision) == id })
	if i >= 0 {
		h.cluster, content = given.Revisions[i].Revision, given.Revisions[i].Content
		h.cluster.Outcome, h.cluster.Reason, h.cluster.AppliedAt = appliance.Pending, "", time.Time{}
	} else {
		var err error
		h.cluster, content, err = c.store.Get(ctx, appliance.ClusterLine, id.Number)
		if err != nil || h.cluster.Hash != id.Hash || id.Number > given.Common.Number {
			return h, &appliance.Error{Kind: appliance.Stale, Op: receiveOp, Message: fmt.Sprintf("Revision %d is neither here nor among what came.", id.Number), Err: err}
		}
	}
	if err := readOnce(content); err != nil {
		return h, err
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&h.config.Cluster); err != nil {
		e := appliance.ErrorsOf(badContent(err))[0]
		at := *e
		at.Op, at.Hint = receiveOp, "If the other node has a newer version, bring this one to the same."
		return h, &at
	}
	canonical(&h.config)
	return h.hashed(), nil
}

// checkLine looks at the revisions themselves: numbers that rise, contents that are what their hash says, words that fit on a page.
func checkLine(given appliance.Shared) error {
	bad := func(format string, args ...any) error {
		return &appliance.Error{Kind: appliance.Invalid, Op: receiveOp, Message: fmt.Sprintf(format, args...)}
	}
	if given.Common.Number < 0 || given.Saved.Number < 0 || given.Running.Number < 0 || given.Running.Number > given.Saved.Number || len(given.Revisions) > 2*mostShared {
		return bad("The line of revisions makes no sense.")
	}
	last := given.Common.Number
	for _, g := range given.Revisions {
		r := g.Revision
		switch {
		case r.Line != appliance.ClusterLine || r.Number <= last || r.Number > given.Saved.Number:
			return bad("The revisions are not those that follow revision %d.", last)
		case len(g.Content) > mostContent || !json.Valid(g.Content) || appliance.Hash(g.Content) != r.Hash:
			return bad("The content of revision %d is not what its hash says.", r.Number)
		case r.Outcome != appliance.Pending && r.Outcome != appliance.Applied && r.Outcome != appliance.Failed:
			return bad("Revision %d has no outcome that there is.", r.Number)
		case !sane(r.At) || !r.AppliedAt.IsZero() && !sane(r.AppliedAt):
			return bad("Revision %d was made at no time that there is.", r.Number)
		}
		for _, word := range []string{r.Origin.Operator, r.Origin.Via, r.Origin.Why, r.Reason} {
			if !printable(word, longestWord) {
				return bad("Revision %d was made by whom no page can show.", r.Number)
			}
		}
		if !printable(r.Summary, longestSentence) {
			return bad("Revision %d has a summary that no page can show.", r.Number)
		}
		last = r.Number
	}
	return nil
}

// sane tells whether a moment can be kept in nanoseconds.
func sane(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 2262 }

func printable(text string, most int) bool {
	return len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

const (
	mostRecords = 10_000 // of each kind
	longestHash = 1 << 10
)

// checkBelongings looks at what the store takes as it is; certificates are read by the Keys.
func checkBelongings(b appliance.Belongings) error {
	bad := func(sentence string) error {
		return &appliance.Error{Kind: appliance.Invalid, Op: receiveOp, Message: sentence}
	}
	if max(len(b.Certificates), len(b.Requests), len(b.Authorities), len(b.Operators)) > mostRecords {
		return bad("There are more certificates or users than can be.")
	}
	for name, value := range b.Secrets {
		if !slices.Contains([]string{"cookie_key", "ticket_keys"}, name) || len(value) == 0 || len(value) > 4<<10 {
			return bad("There is a secret among it that nodes do not share.")
		}
	}
	for _, r := range b.Operators {
		if !printable(r.Name, longestWord) || len(r.PasswordHash) > longestHash || !printable(r.PasswordHash, longestHash) || !sane(r.Created) || !sane(r.Changed) {
			return bad("A user among it can be none.")
		}
	}
	times := []time.Time{}
	for _, r := range b.Certificates {
		times = append(times, r.Created)
		if !r.Hidden.IsZero() {
			times = append(times, r.Hidden)
		}
	}
	for _, r := range b.Authorities {
		times = append(times, r.Created)
		if !r.Hidden.IsZero() {
			times = append(times, r.Hidden)
		}
	}
	for _, r := range b.Requests {
		times = append(times, r.Created)
	}
	if !slices.ContainsFunc(times, func(t time.Time) bool { return !sane(t) }) {
		return nil
	}
	return bad("A certificate among it was kept at no time that there is.")
}

// keep writes everything in one transaction and lets the certificates count.
func (c *Control) keep(ctx context.Context, o appliance.Origin, source string, sequence uint64, given appliance.Shared, saved, running held) ([]int64, error) {
	given.Revisions = slices.Clone(given.Revisions)
	for i, g := range given.Revisions {
		if id := idOf(g.Revision); id == idOf(saved.cluster) || id == idOf(running.cluster) { // what becomes of these here is seen here
			r := &given.Revisions[i].Revision
			r.Outcome, r.Reason, r.AppliedAt = appliance.Pending, "", time.Time{}
		}
	}
	aside, err := c.store.TakeShared(ctx, source, sequence, given, appliance.AuditEntry{
		At: c.now().UTC(), Origin: o, Action: "receive", Subject: string(appliance.ClusterLine), Outcome: "done", Detail: fmt.Sprintf("Revision %d", saved.cluster.Number),
	})
	if err != nil {
		err = ours(receiveOp, err)
		c.log.Error("settings of the other node not kept", "error", err)
	}
	if c.keys != nil {
		if failed := c.keys.Reload(ctx); failed != nil {
			c.log.Error("certificates not read", "error", failed)
		}
	}
	if err != nil {
		c.reread(ctx)
		return nil, err
	}
	c.log.Info("settings of the other node taken over", "revision", saved.cluster.Number, "running", running.cluster.Number, "set_aside", len(aside))
	return aside, nil
}

// run makes what runs on the other node run here. again: something beside the configuration changed.
func (c *Control) run(ctx context.Context, o appliance.Origin, saved, running held, again bool) error {
	v := c.view.Load()
	var err error
	if running.same(v.running) && !again || c.engine == nil {
		running.cluster = c.unlessApplied(ctx, running)
	} else {
		running, err = c.applyRunning(ctx, o, running, v.running)
	}
	if saved.cluster.Number == running.cluster.Number {
		saved.cluster = running.cluster
	}
	if err != nil {
		c.publish(saved, v.running)
		return err
	}
	c.settle(saved, running)
	return nil
}

// unlessApplied marks what runs already under another number.
func (c *Control) unlessApplied(ctx context.Context, running held) appliance.Revision {
	if c.engine == nil || running.cluster.Number == 0 || running.cluster.Outcome == appliance.Applied {
		return running.cluster
	}
	return c.mark(ctx, running, appliance.Applied, "").cluster
}

func (c *Control) applyRunning(ctx context.Context, o appliance.Origin, running, old held) (held, error) {
	err := c.perform(ctx, running.config, old.config)
	if err == nil {
		c.clear(codeApplyFailed, codeBootFallback, codeBootFailed)
		running = c.mark(ctx, running, appliance.Applied, "")
		c.log.Info("revision applied", "revision", running.cluster.Number, "operator", o.Operator, "via", o.Via)
		return running, nil
	}
	reason := sentence(err)
	running = c.mark(ctx, running, appliance.Failed, reason)
	c.log.Error("revision of the other node not applied", "revision", running.cluster.Number, "error", err)
	c.raise(appliance.Alert{
		Code: codeApplyFailed, Severity: appliance.Critical, Hint: hintOf(err),
		Sentence: "The settings of the other node could not be applied here; what ran before runs on. " + reason,
	})
	return running, err
}
