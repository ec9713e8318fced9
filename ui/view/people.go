package view

import (
	"strings"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// People is the page of passwords: the own one, and for administrators users; API tokens.
type People struct {
	Me        string
	MyRole    appliance.Role
	Users     []User // nil: not an administrator
	Tokens    []Token
	Sessions  []Session
	Own       form.Errors // of the own password's form
	New       form.Errors // of the new user's form
	Typed     form.Values // of the new user's form
	TokenForm form.Errors
	ReadOnly  bool   // accounts are changed on the pair's active node
	Fresh     string // a token that was just made: shown once
}

// Session is one row: a browser in which the user is signed in.
type Session struct {
	ID            string
	Created, Seen time.Time
	From, Agent   string
	This          bool // the one that asks
}

// Browser names what an agent says of itself, in short.
func (s Session) Browser() string {
	name, system := "", ""
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}} {
		if name == "" && strings.Contains(s.Agent, b[0]) {
			name = b[1]
		}
	}
	for _, o := range [][2]string{{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iOS"}, {"iPad", "iOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}} {
		if system == "" && strings.Contains(s.Agent, o[0]) {
			system = " on " + o[1]
		}
	}
	if name == "" {
		return s.Agent
	}
	return name + system
}

// User is one row.
type User struct {
	Name    string
	Role    appliance.Role
	Created time.Time
	Me      bool
}

// Token is one row.
type Token struct {
	ID, Label, Operator string
	Role                appliance.Role
	Created, Expires    time.Time
	Mine                bool
}

// Audit is the record of who did what.
type Audit struct {
	Entries []appliance.AuditEntry
	Older   string
	Newest  bool
}

// Hit is one thing that a search found.
type Hit struct{ Kind, Name, Path, Note string }

func roles() []form.Option {
	return []form.Option{
		{Value: string(appliance.Administrator), Name: "administrator: everything"},
		{Value: string(appliance.OperatorRole), Name: "operator: drain, halt, online, weight"},
		{Value: string(appliance.Viewer), Name: "viewer: looks"},
	}
}

func atMost(role appliance.Role) []form.Option {
	list := roles()
	switch role {
	case appliance.OperatorRole:
		return list[1:]
	case appliance.Viewer:
		return list[2:]
	}
	return list
}
