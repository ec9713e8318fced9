package appliance

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"time"
)

// RevisionID names one revision of the cluster line, by which two nodes find out whether they have the same. Number 0: none.
type RevisionID struct {
	Number int64  `json:"number"`
	Hash   string `json:"hash"`
}

// SharedState is what a node has of what both nodes of a pair have in common.
type SharedState struct {
	Saved      RevisionID   `json:"saved"`
	Running    RevisionID   `json:"running"`         // number 0: what runs is no whole revision
	Line       []RevisionID `json:"line"`            // the newest revisions, newest first
	Belongings string       `json:"belongings"`      // hash
	Forks      []Fork       `json:"forks,omitempty"` // that nobody has seen yet, without their revisions
}

// Same tells whether both nodes have the same, and run it.
func (s SharedState) Same(o SharedState) bool {
	return s.Saved == o.Saved && s.Running == o.Running && s.Belongings == o.Belongings
}

// Shared is what the Active node gives to the other: all of it counts, or nothing.
type Shared struct {
	Common     RevisionID       `json:"common"`    // the newest revision that both have; revisions behind it that only the receiver has are set aside
	Revisions  []SharedRevision `json:"revisions"` // that follow it, oldest first
	Saved      RevisionID       `json:"saved"`
	Running    RevisionID       `json:"running"` // number 0: leave what runs
	Belongings Belongings       `json:"belongings"`

	From string `json:"-"` // the name of the node that gives, as the one that receives knows it
}

// SharedRevision is a revision with its content.
type SharedRevision struct {
	Revision Revision        `json:"revision"`
	Content  json.RawMessage `json:"content"` // of the cluster line
}

// Belongings are what nodes of a pair have in common beside the configuration: it is in no revision.
type Belongings struct {
	Certificates []CertificateRecord `json:"certificates"`
	Requests     []SigningRecord     `json:"signing_requests"`
	Authorities  []AuthorityRecord   `json:"authorities"`
	Operators    []OperatorRecord    `json:"operators"`
	Secrets      map[string][]byte   `json:"secrets"` // by name: of persistence cookies, of session tickets
}

// LogValue keeps secrets out of logs.
func (b Belongings) LogValue() slog.Value {
	return slog.StringValue(strconv.Itoa(len(b.Certificates)) + " certificates, " + strconv.Itoa(len(b.Operators)) + " users")
}

// Hash is the same on both nodes when their belongings are. What is hidden does not count: each node may keep more of that, for revisions that the other does not have.
func (b Belongings) Hash() string {
	b.Certificates = slices.DeleteFunc(slices.Clone(b.Certificates), func(r CertificateRecord) bool { return !r.Hidden.IsZero() })
	b.Authorities = slices.DeleteFunc(slices.Clone(b.Authorities), func(r AuthorityRecord) bool { return !r.Hidden.IsZero() })
	return Hash(b)
}

// OperatorRecord is what is kept of an operator.
type OperatorRecord struct {
	Name         string    `json:"name"`
	Role         Role      `json:"role"`
	PasswordHash string    `json:"password_hash"`
	Created      time.Time `json:"created"`
	Changed      time.Time `json:"changed"` // of the password
}

// LogValue keeps the hash out of logs.
func (r OperatorRecord) LogValue() slog.Value { return slog.StringValue("user " + r.Name) }

// Taken says what a node made of what it was given.
type Taken struct {
	State SharedState `json:"state"`
	Aside []int64     `json:"aside,omitempty"` // revisions that only this node had: they are kept beside the line
}
