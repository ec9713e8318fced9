package appliance

import (
	"cmp"
	"fmt"
	"time"
)

// Fork is what was set aside on a node at once: revisions that only this node had when the other one's line was taken over. Nothing of it was merged.
type Fork struct {
	ID    string    `json:"id"` // digits
	Since time.Time `json:"since"`
	Kept  string    `json:"kept"` // the name of the node whose line went on; empty: not known
	Seen  bool      `json:"seen"` // an administrator has seen it, or it is the line that a node had before the pair
	First int64     `json:"first"`
	Last  int64     `json:"last"`

	Revisions []Revision `json:"revisions,omitempty"` // oldest first; nil where a node only tells of it
}

// Sentence says what was set aside, where it was made and when it was set aside.
func (f Fork) Sentence(where string) string {
	which, was, it := fmt.Sprintf("Revision %d", f.First), "was", "it"
	if f.Last > f.First {
		which, was, it = fmt.Sprintf("Revisions %d to %d", f.First, f.Last), "were", "them"
	}
	return fmt.Sprintf("%s, made on %s, %s set aside on %s: %s had gone on without %s, and nothing was merged.",
		which, where, was, f.Since.UTC().Format("2 January 2006 at 15:04 UTC"), cmp.Or(f.Kept, "the other node"), it)
}
