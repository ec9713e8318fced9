package appliance

import "time"

// Line names one of the two lines of revisions.
type Line string

// The lines.
const (
	ClusterLine Line = "cluster"
	LocalLine   Line = "local"
)

// Outcome says what became of a revision.
type Outcome string

// The outcomes.
const (
	Pending Outcome = "pending" // saved, not running
	Applied Outcome = "applied" // it ran, or runs
	Failed  Outcome = "failed"  // the engine or the host refused it; Reason says why
)

// Revision is one committed state of a line. Numbers only grow, by one.
type Revision struct {
	Number    int64     `json:"number"`
	Line      Line      `json:"line"`
	At        time.Time `json:"at"`
	Origin    Origin    `json:"origin"`
	Summary   string    `json:"summary"` // one sentence: what changed against the one before
	Hash      string    `json:"hash"`    // of its content
	Outcome   Outcome   `json:"outcome"`
	Reason    string    `json:"reason,omitempty"` // with Failed
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// AuditEntry is one line of the record of who did what.
type AuditEntry struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Origin  Origin    `json:"origin"`
	Action  string    `json:"action"`  // a verb of the catalogue: "sign_in", "commit", "apply", "password_change", …
	Subject string    `json:"subject"` // what it was done to, or ""
	Outcome string    `json:"outcome"` // "done" or "refused"
	Detail  string    `json:"detail,omitempty"`
}
