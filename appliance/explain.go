package appliance

import "net/netip"

// ServedBy says who serves a client.
type ServedBy string

// Who may serve.
const (
	ByServer    ServedBy = "server"    // a real server
	ByFallback  ServedBy = "fallback"  // the fallback
	ByAppliance ServedBy = "appliance" // the appliance answers by itself
	ByNobody    ServedBy = "nobody"    // it is turned away, or nothing listens there
)

// Mark says how a step of an explanation went.
type Mark string

// The marks.
const (
	MarkGood Mark = "good" // on it goes
	MarkNote Mark = "note" // on it goes, and that is worth knowing
	MarkStop Mark = "stop" // here it ends
)

// Step is one thing that was decided, in the order in which it is.
type Step struct {
	Subject  string `json:"subject"` // such as listener, tls, rules, persistence or scheduler
	Mark     Mark   `json:"mark"`
	Sentence string `json:"sentence"`
}

// Explanation is what would become of a client, and why.
type Explanation struct {
	ServiceID string         `json:"service_id,omitempty"` // that listens; empty: nobody does
	Service   string         `json:"virtual_service,omitempty"`
	Listener  netip.AddrPort `json:"listener,omitzero"`
	By        ServedBy       `json:"served_by"`
	Sentence  string         `json:"sentence"` // all of it in one sentence
	ServerID  string         `json:"server_id,omitempty"`
	Server    string         `json:"real_server,omitempty"` // label
	Address   netip.AddrPort `json:"address,omitzero"`      // that is connected to
	Reason    string         `json:"reason,omitempty"`      // rule, persistence, scheduler or fallback
	// Possible are the ids of all servers that it may be: the loops of the appliance take turns by themselves, and the kernel decides which gets the client.
	Possible   []string    `json:"possible,omitempty"`
	Status     int         `json:"status,omitempty"` // of an answer that the appliance gives by itself
	Steps      []Step      `json:"steps"`
	Rules      []RuleTrial `json:"rules,omitempty"`
	Candidates []Candidate `json:"candidates,omitempty"`
	Request    string      `json:"request,omitempty"` // head that the client sends
	Sent       string      `json:"sent,omitempty"`    // head that the server gets
	Answer     string      `json:"answer,omitempty"`  // head that the client gets: of the answer by the appliance itself, or of the server's
	// Given is the server's head that Answer is made of.
	Given string `json:"given,omitempty"`
}

// RuleTrial is what became of one rule.
type RuleTrial struct {
	Number     int              `json:"number"` // 1 for the first of the service's rules
	Label      string           `json:"label"`
	Held       bool             `json:"held"`
	Sentence   string           `json:"sentence"`
	Conditions []ConditionTrial `json:"conditions,omitempty"`
}

// ConditionTrial is what one condition saw.
type ConditionTrial struct {
	Condition string   `json:"condition"`
	Holds     bool     `json:"holds"`
	Saw       []string `json:"saw,omitempty"` // what it looked at; nothing: it was not there
}

// Candidate is one real server when a choice is made.
type Candidate struct {
	ID          string `json:"id"`
	Label       string `json:"label"`
	State       State  `json:"state"`
	Health      Health `json:"health"`
	Weight      int    `json:"weight"`
	Connections int64  `json:"connections"`
	Limit       int    `json:"max_connections,omitempty"`
	Backup      bool   `json:"backup,omitempty"`
	Usable      bool   `json:"usable"` // for new clients, now
	Sentence    string `json:"sentence"`
}
