package view

import (
	"strconv"
	"strings"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// Asked is a question as typed.
type Asked struct {
	Prefix   string // of the names of its fields
	Fields   []string
	More     []string // that are folded
	Values   map[string]string
	Errors   form.Errors
	Services []form.Option
	Open     bool // what is folded
}

// Explain is the page of one question.
type Explain struct {
	Asked  Asked
	Answer *appliance.Explanation // nil: nothing was asked, or it could not be
	Links  Links
}

// Trial is a request that rules are tried with.
type Trial struct {
	Asked  Asked
	Answer *appliance.Explanation // nil: they were not tried
}

// Links lead from an explanation to the pages of what it names; empty: there is none.
type Links struct {
	Service string
	Servers map[string]string // by id
}

// Unfold opens what is folded when something of it is wrong.
func (a *Asked) Unfold() {
	for _, name := range a.More {
		a.Open = a.Open || a.Errors.Of(name) != ""
	}
}

// given says how much was typed of what is folded.
func (a Asked) given() string {
	n := 0
	for _, name := range a.More {
		if a.Values[name] != "" {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return ": " + strconv.Itoa(n) + " given"
}

func (a Asked) field(name string) form.Field {
	kind, example := form.Text, ""
	var options []form.Option
	switch name {
	case "virtual_service":
		kind, options = form.Choice, a.Services
	case "headers", "answer":
		kind = form.Area
	}
	switch name {
	case "client":
		example = "10.0.0.7"
	case "url":
		example = "https://www.example.org/path?query"
	case "headers":
		example = "Accept-Language: de"
	case "answer":
		example = "200 OK\nContent-Type: text/html"
	case "listener":
		example = "192.168.0.188:80"
	case "method":
		example = "GET"
	case "rdp_cookie":
		example = "mstshash=alice"
	case "cookies":
		example = "theme=dark; SERVERID=…"
	}
	return form.Field{Path: a.Prefix + name, Kind: kind, Options: options, Example: example}
}

func (a Asked) help(name string) string {
	f, _ := appliance.FieldOf("question", name)
	return f.Help
}

// servedState is how the end of an explanation is shown.
func servedState(x *appliance.Explanation) State {
	switch x.By {
	case appliance.ByServer:
		return State{"up", "Served"}
	case appliance.ByFallback:
		return State{"fallback", "Fallback"}
	case appliance.ByAppliance:
		return State{"drain", "Answered"}
	}
	return State{"down", "Refused"}
}

func stepState(m appliance.Mark) State {
	switch m {
	case appliance.MarkNote:
		return State{"degraded", "Note"}
	case appliance.MarkStop:
		return State{"down", "End"}
	}
	return State{"up", "Good"}
}

// subjectName is what a step is about, for people.
func subjectName(s string) string {
	switch s {
	case "listener":
		return "Listener"
	case "limit":
		return "Connections"
	case "proxy":
		return "PROXY protocol"
	case "tls":
		return "TLS"
	case "request":
		return "Request"
	case "rules":
		return "Rules"
	case "persistence":
		return "Persistence"
	case "servers":
		return "Real servers"
	case "scheduler":
		return "Balance mode"
	case "sent":
		return "To the server"
	case "answer":
		return "Answer"
	}
	return s
}

func candidateState(c appliance.Candidate) State {
	return ServerState(appliance.ServerStatus{State: c.State, Connections: int(c.Connections), Check: appliance.ServerHealth{Health: c.Health}})
}

func (l Links) server(id string) string { return l.Servers[id] }

// marked tells whether a server is the one that is chosen.
func marked(x *appliance.Explanation, id string) bool { return x.ServerID == id && id != "" }

func sawWords(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// heads are the texts that an explanation shows of a request and its answer.
func heads(x *appliance.Explanation) []headText {
	var out []headText
	add := func(name, text string) {
		if text != "" {
			out = append(out, headText{name, strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")})
		}
	}
	add("The client sends", x.Request)
	add("The server gets", x.Sent)
	add("The server answers", x.Given)
	add("The client gets", x.Answer)
	return out
}

type headText struct{ Name, Text string }

func held(r appliance.RuleTrial) State {
	switch {
	case r.Held:
		return State{"up", "Holds"}
	case len(r.Conditions) == 0:
		return State{"unknown", "Not asked"}
	}
	return State{"unknown", "Does not hold"}
}

func limitWord(n int) string {
	if n == 0 {
		return ""
	}
	return " of " + strconv.Itoa(n)
}
