package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"evenkeel/appliance"
)

const (
	searched   = 200             // revisions that are looked through for what an editor started from
	searchTime = 2 * time.Second // the longest that this may take: others wait for the turn
)

// object finds what a base names; nil when it does not exist.
func object(config *appliance.Config, b Base) (any, error) {
	var found any
	switch b.Object {
	case "virtual_service":
		if s := config.Cluster.Service(b.ID); s != nil {
			found = s
		}
	case "real_server":
		for i := range config.Cluster.VirtualServices {
			if r := config.Cluster.VirtualServices[i].Server(b.ID); r != nil {
				found = r
			}
		}
	case "script":
		if s := config.Cluster.Script(b.ID); s != nil {
			found = s
		}
	case "settings":
		found = &config.Cluster.Settings
	case "heartbeat":
		h := config.Cluster.Heartbeat.OrDefault()
		found = &h
	case "local":
		found = &config.Local
	case "cluster":
		found = &config.Cluster
	default:
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "find the object", Message: fmt.Sprintf("There is no kind of object %q.", b.Object)}
	}
	return found, nil
}

// checkBase returns nil when the object is as its editor read it, a *StaleError when it changed, kind not_found when it never was.
func (c *Control) checkBase(ctx context.Context, saved held, b Base) error {
	if b.Hash == "" {
		return nil
	}
	now, err := object(&saved.config, b)
	if err != nil || now != nil && appliance.Hash(now) == b.Hash {
		return err
	}
	before, by, ever := c.whenRead(ctx, saved, b)
	if now == nil && !ever {
		return &appliance.Error{Kind: appliance.NotFound, Op: "find the object", Subject: b.ID, Message: "There is no such object any more, or there never was."}
	}
	stale := &StaleError{Base: b, By: by, Err: &appliance.Error{
		Kind: appliance.Stale, Op: "save the configuration", Subject: b.ID,
		Message: "Someone else changed this meanwhile; your change was not saved.", Hint: "Look at what changed, then save again.",
	}}
	who := ""
	if by.Number > 0 && by.Origin.Operator != "" {
		who = by.Origin.Operator
		stale.Err.Message = who + " changed this meanwhile; your change was not saved."
	}
	if now == nil {
		stale.Err.Message, stale.Err.Hint = "This was removed meanwhile; your change was not saved.", "Add it anew if it is still needed."
		if who != "" {
			stale.Err.Message = who + " removed this meanwhile; your change was not saved."
		}
	} else {
		stale.Theirs = encode(now)
	}
	if before != nil {
		stale.Changed = only(appliance.Diff(*before, saved.config), b)
	}
	return stale
}

// whenRead goes back through the line until the object is as the editor read it. It returns the configuration then, nil if that is too long ago; the newest
// revision by which the object was changed; and whether the object existed in any revision that was seen.
func (c *Control) whenRead(ctx context.Context, saved held, b Base) (*appliance.Config, appliance.Revision, bool) {
	line := appliance.ClusterLine
	if b.Object == "local" {
		line = appliance.LocalLine
	}
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	list, err := c.store.List(ctx, line, 0, searched)
	if err != nil {
		c.log.Warn("history not read", "error", err)
		return nil, appliance.Revision{}, false
	}
	hashNow := hashOf(&saved.config, b)
	var by, later appliance.Revision
	ever := false
	for _, r := range list {
		then := saved.config
		if c.contentOf(ctx, line, r.Number, &then) != nil {
			continue
		}
		hash := hashOf(&then, b)
		ever = ever || hash != ""
		if by.Number == 0 && hash != hashNow {
			by = later
		}
		if hash == b.Hash {
			return &then, by, true
		}
		later = r
	}
	return nil, by, ever
}

func (c *Control) contentOf(ctx context.Context, line appliance.Line, number int64, into *appliance.Config) error {
	r, content, err := c.store.Get(ctx, line, number)
	if err != nil {
		return err
	}
	if line == appliance.LocalLine {
		into.Local = appliance.Local{}
		return decode(r, content, &into.Local)
	}
	into.Cluster = appliance.Cluster{}
	return decode(r, content, &into.Cluster)
}

// hashOf returns the hash of the object, "" when it does not exist.
func hashOf(config *appliance.Config, b Base) string {
	v, err := object(config, b)
	if err != nil || v == nil {
		return ""
	}
	return appliance.Hash(v)
}

// only keeps the changes of the object that a base names and of what it holds.
func only(p appliance.Plan, b Base) appliance.Plan {
	keep := func(ch appliance.Change) bool {
		switch b.Object {
		case "cluster":
			return ch.Object != "local"
		case "settings", "heartbeat", "local":
			return ch.Object == b.Object
		case "virtual_service":
			return ch.Object == b.Object && ch.ID == b.ID || ch.Service == b.ID
		}
		return ch.Object == b.Object && ch.ID == b.ID
	}
	return appliance.Plan{Changes: slices.DeleteFunc(p.Changes, func(ch appliance.Change) bool { return !keep(ch) })}
}
