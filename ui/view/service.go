package view

import (
	"slices"

	"evenkeel/appliance"
	"evenkeel/ui/form"
)

// ServiceForm is the form of a virtual service, for adding and for modifying.
type ServiceForm struct {
	Title    string
	Path     string // where it is posted
	Button   string
	ID       string // empty: new
	Base     string // hash of the service as it was read
	First    []form.Field
	Sections []FormSection
	Values   form.Values
	Rows     []ServiceFormRow
	Rules    []form.RuleRow
	Trial    Trial         // of the rules
	Pools    []form.Option // what a rule may use
	Servers  []form.Option
	Errors   form.Errors
	Stale    *Stale
	Call     *APICall
	Edit     bool // else it can only be looked at
	Kept     string
}

// FormSection is a part of the form that folds.
type FormSection struct {
	form.Section
	Summary string
	Open    bool
	Bad     bool
}

// ServiceFormRow is one real server as typed, and what it answered.
type ServiceFormRow struct {
	form.Row
	Index  int
	Answer *appliance.Probe
	Note   string // why there is no answer
}

// Stale says what happened to an object while it was edited.
type Stale struct {
	Text    string
	Changes []Change
	Theirs  string // where the object is read anew
	Gone    bool
}

// APICall is the request that does the same as the form.
type APICall struct{ Method, Path, Body, Curl string }

func (f ServiceForm) value(path string) string { return f.Values[path] }

func fieldID(path string) string {
	if path == "protocol" {
		return "protocol"
	}
	return "f-" + path
}

func hasOption(list []form.Option, value string) bool {
	return slices.ContainsFunc(list, func(o form.Option) bool { return o.Value == value })
}

// ServiceList is the list of Layer 7 services.
type ServiceList struct {
	Rows []ServiceListRow
	Edit bool
}

// ServiceListRow is one service as saved.
type ServiceListRow struct {
	ID, Label, Address, Ports, Protocol string
	Servers                             int
	Balance, Persistence, Check         string
	Pending                             string // how it differs from what runs
}

// ScriptList lists the health check scripts.
type ScriptList struct {
	Rows []ScriptRow
	Edit bool
}

// ScriptRow is one script.
type ScriptRow struct {
	ID, Label, First string
	Lines            int
	UsedBy           []string // labels of services
}

// SimpleForm is a form of a few fields, drawn from the catalogue.
type SimpleForm struct {
	Title, Lead, Path, Button string
	Back                      string
	Base                      string
	Fields                    []SimpleField
	Errors                    form.Errors
	Stale                     *Stale
	Edit                      bool
	Extra                     []string // sentences above the form
	Delete                    string   // path of the page that asks; empty: nothing to delete
}

// SimpleField is one of its fields.
type SimpleField struct {
	Name, Path, Kind, Value, Help, Example string
	Rows                                   int
	Options                                []form.Option // of a choice
}
