package appliance

import (
	"fmt"
	"time"
)

// PairEnd is a pair that the other node has broken, until somebody has dismissed it or this node is in a pair again.
type PairEnd struct {
	At   time.Time `json:"at"`   // when this node has learned it
	By   string    `json:"by"`   // the name of the node on which it was broken
	Away bool      `json:"away"` // it was broken while this node was not there
	Kept bool      `json:"kept"` // this node has kept the services; else it gave them up
}

// Sentence says who broke the pair, when, and what this node does now.
func (e PairEnd) Sentence() string {
	at := e.At.UTC().Format("2 January 2006 at 15:04 UTC")
	text := fmt.Sprintf("%s broke the pair on %s", e.By, at)
	if e.Away {
		text = fmt.Sprintf("%s broke the pair while this node was away, as it learned on %s", e.By, at)
	}
	if e.Kept {
		return text + ": this node keeps the virtual services with their addresses, and is alone."
	}
	return text + fmt.Sprintf(": %s keeps the virtual services, and this node has given up its own and is alone.", e.By)
}

// Hint is what to do next.
func (e PairEnd) Hint() string {
	if e.Kept {
		return "When this node fails, its services fail. A new pair is made under High-Availability."
	}
	return fmt.Sprintf("Add this node to a pair again on %s, under High-Availability; or, only if %s serves no more, bring the services back from the History.", e.By, e.By)
}

// CodePairEnded is the alert about such a pair, and the line about it in the timeline.
const CodePairEnded = "pair_ended"

// Alert is it among what stands above every page.
func (e PairEnd) Alert() Alert {
	return Alert{Code: CodePairEnded, Severity: Warning, Since: e.At, Sentence: e.Sentence(), Hint: e.Hint()}
}
