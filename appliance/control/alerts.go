package control

import (
	"slices"

	"evenkeel/appliance"
)

// The catalogue of this package's alerts; the store adds store_restored.
const (
	codeApplyFailed  = "apply_failed"    // saved, refused, the one before runs on
	codeBootFallback = "boot_fallback"   // an older revision runs since the start
	codeBootFailed   = "boot_failed"     // nothing, or only a part, runs since the start
	codeNotRecorded  = "not_recorded"    // it happened, and could not be written
	codeAddressLeft  = "address_left"    // an address that nothing uses is still there
	codeForked       = "settings_forked" // revisions of this node are in no line any more
	codeDivertLost   = "divert_lost"     // servers see clients' addresses, and the rules for that are gone
)

// Alerts returns the standing messages, the most severe first, then the oldest.
func (c *Control) Alerts() []appliance.Alert {
	c.mu.Lock()
	out := slices.Clone(c.alerts)
	c.mu.Unlock()
	rank := func(a appliance.Alert) int {
		return slices.Index([]appliance.Severity{appliance.Critical, appliance.Warning, appliance.Information}, a.Severity)
	}
	slices.SortStableFunc(out, func(a, b appliance.Alert) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return a.Since.Compare(b.Since)
	})
	return out
}

// Raise adds a standing message of another part, or renews the one of the same code. Since is filled in when it is zero.
func (c *Control) Raise(a appliance.Alert) {
	c.raise(a)
	c.wake()
}

// Clear takes back the message of that code, if there is one.
func (c *Control) Clear(code string) {
	c.clear(code)
	c.wake()
}

func (c *Control) raise(a appliance.Alert) {
	if a.Since.IsZero() {
		a.Since = c.now().UTC()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.alerts, func(x appliance.Alert) bool { return x.Code == a.Code }); i >= 0 {
		c.alerts[i] = a
		return
	}
	c.alerts = append(c.alerts, a)
}

func (c *Control) clear(codes ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alerts = slices.DeleteFunc(c.alerts, func(a appliance.Alert) bool { return slices.Contains(codes, a.Code) })
}

// Watch returns a channel that gets a tick after each commit, apply, action and alert; ticks that nobody has taken yet are one. stop ends it and may be called
// more than once; the channel is never closed.
func (c *Control) Watch() (changed <-chan struct{}, stop func()) {
	ticks := make(chan struct{}, 1)
	c.mu.Lock()
	c.watchers[ticks] = struct{}{}
	c.mu.Unlock()
	return ticks, func() {
		c.mu.Lock()
		delete(c.watchers, ticks)
		c.mu.Unlock()
	}
}

func (c *Control) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ticks := range c.watchers {
		select {
		case ticks <- struct{}{}:
		default:
		}
	}
}
