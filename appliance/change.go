package appliance

import (
	"encoding/json"
	"time"
)

// Snapshot is a configuration together with the revisions it came from. It is shared by its readers, who must not change what its slices hold; Clone the Config for that.
type Snapshot struct {
	Config        Config
	Revision      Revision // of the cluster line; number 0 when nothing was ever committed
	LocalRevision Revision // of the local line; likewise
}

// Base names an object that an edit is about, as its editor read it. Objects: "virtual_service", "real_server", "script" (with ID), "settings", "heartbeat", "local", "cluster".
type Base struct {
	Object string
	ID     string // empty for objects of which there is one
	Hash   string // Hash of the object as it was read; empty: not checked
}

// Edit changes a clone of the newest configuration. It may return an *Error or Errors, which the committer gets as they are.
type Edit func(*Config) error

// Committed is what a commit, or the try of one, came to.
type Committed struct {
	Revision  Revision // the newest that was made, of the cluster line if that changed; the latest one when Unchanged; number 0 for a try
	Plan      Plan     // the difference to the configuration before
	Unchanged bool     // nothing differed: no revision was made
	Config    Config   // as saved now, or as it would be after a try
	Warnings  []string // what an action means that its operator may not want
}

// Act is an operator's action on one live real server.
type Act struct {
	Service string        // id
	Server  string        // id
	State   State         // empty: unchanged
	Weight  *int          // nil: unchanged
	Limit   time.Duration // with Drain: after it the server is halted; zero: no limit
}

// StaleError says that the object of an edit changed, or went, since its editor read it. Its Err is of kind Stale.
type StaleError struct {
	Err     *Error
	Base    Base            // what the editor started from
	Theirs  json.RawMessage // the object as it is now; nil when it is gone
	Changed Plan            // what happened to the object since; empty when that revision is no longer known
	By      Revision        // the newest revision that changed it; number 0 when not known
}

// Error returns the sentence.
func (e *StaleError) Error() string { return e.Err.Error() }

// Unwrap returns the Error of kind Stale.
func (e *StaleError) Unwrap() error { return e.Err }

// NewRevision is a revision that is about to be written; its number is given by the store.
type NewRevision struct {
	Line    Line
	Content []byte // canonical JSON of Cluster or Local
	At      time.Time
	Origin  Origin
	Summary string
	Outcome Outcome // Pending or Applied; with Applied it was applied At
}
