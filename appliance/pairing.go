package appliance

// PairBroken is what became of the two nodes of a pair that was broken.
type PairBroken struct {
	Keeps  string `json:"keeps"`            // the name of the node that keeps the services and their addresses
	Untold string `json:"untold,omitempty"` // why the other node does not know it yet, in a sentence; empty: it knows
}

// Sentence says it to the one who broke the pair.
func (b PairBroken) Sentence() string {
	text := "The pair is broken. " + b.Keeps + " keeps the services and their addresses."
	if b.Untold == "" {
		return text
	}
	return text + " The other node does not know it yet: " + b.Untold
}

// PairDrill is a failover drill: a planned switch to the peer and back, each measured by the node that took the addresses.
type PairDrill struct {
	There    Takeover `json:"there"`
	Back     Takeover `json:"back"`
	Sentence string   `json:"sentence"`
}

// NoPairHere is what an appliance says that cannot be in a pair.
const NoPairHere = "No pair can be made here: this appliance was started without what a pair needs, as a demonstration is."
