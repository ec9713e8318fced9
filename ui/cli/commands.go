package cli

import (
	"fmt"
	"slices"
	"strings"
)

const program = "evenkeel lb"

// command is one row of the table.
type command struct {
	Name    string // one or two words
	Args    []string
	Summary string
	Flags   []option
	Fields  string // object of the catalogue whose fields are flags
	Changes bool   // ends in a commit: --why, --dry-run, --apply
	Example []string
	do      func(*session) error
}

// least is how many arguments must be there; those in brackets need not.
func (c *command) least() int {
	n := 0
	for _, a := range c.Args {
		if !strings.HasPrefix(a, "[") {
			n++
		}
	}
	return n
}

func (c *command) takes() string {
	if len(c.Args) == 0 {
		return "no arguments"
	}
	return strings.Join(c.Args, " ")
}

func commands() []command {
	return slices.Concat(lookingCommands(), serviceCommands(), serverCommands(), ruleCommands(), runningCommands(), logCommands(), statisticsCommands(), rememberedCommands(), connectionCommands(), explainCommands(), healthCommands(), pairCommands(), historyCommands(), accountCommands(), certificateCommands(), fileCommands(), localCommands())
}

func lookingCommands() []command {
	return []command{
		{Name: "status", Args: []string{"[SERVICE]"}, Summary: "what runs, and how it does", Example: []string{"status", "status HL7 --json"}, do: showStatus},
		{Name: "alerts", Summary: "standing messages", Example: []string{"alerts"}, do: listAlerts},
		{Name: "services", Summary: "all virtual services as saved", Example: []string{"services"}, do: listServices},
		{Name: "version", Summary: "version of the running appliance", Example: []string{"version"}, do: showVersion},
	}
}

func serviceCommands() []command {
	const s = "virtual_service"
	servers := option{Name: "server", Value: "LABEL=ADDRESS", Help: "A real server, with LABEL=ADDRESS:PORT for a port of its own. May be repeated."}
	return []command{
		{Name: "service show", Args: []string{"SERVICE"}, Summary: "one service with every field", Example: []string{"service show HL7"}, do: showService},
		{Name: "service add", Args: []string{"LABEL"}, Summary: "add a service; what is not said gets its default", Fields: s, Flags: []option{servers}, Changes: true, Example: []string{
			"service add HL7 --address 192.168.0.188 --ports 6667 --persistence source_ip --check hl7 --server Corepoint1=192.168.0.40 --server Corepoint2=192.168.0.41",
			"service add WEB --address 192.168.0.189 --ports 80,8080-8090 --protocol http --check http --check-http-path /healthz --apply",
		}, do: addService},
		{Name: "service set", Args: []string{"SERVICE"}, Summary: "change fields of a service", Fields: s, Changes: true, Example: []string{
			"service set HL7 --check-interval 2s --check-fall 5", "service set HL7 --field persistence.kind=none --why 'vendor asks for it' --dry-run",
		}, do: setService},
		{
			Name: "service clone", Args: []string{"SERVICE", "LABEL"}, Summary: "add a copy of a service, with other fields", Fields: s, Changes: true,
			Example: []string{"service clone HL7 HL7-test --ports 6668"}, do: cloneService,
		},
		{Name: "service delete", Args: []string{"SERVICE"}, Summary: "remove a service", Changes: true, Example: []string{"service delete HL7-test --apply"}, do: deleteService},
	}
}

func serverCommands() []command {
	const r = "real_server"
	both := []string{"SERVICE", "SERVER"}
	why := []option{whyOption()}
	return []command{
		{Name: "server add", Args: []string{"SERVICE", "LABEL"}, Summary: "add a real server to a service", Fields: r, Changes: true, Example: []string{"server add HL7 Corepoint3 --address 192.168.0.42 --weight 50"}, do: addServer},
		{Name: "server set", Args: both, Summary: "change fields of a real server", Fields: r, Changes: true, Example: []string{"server set HL7 Corepoint3 --address 192.168.0.43"}, do: setServer},
		{Name: "server delete", Args: both, Summary: "remove a real server", Changes: true, Example: []string{"server delete HL7 Corepoint3"}, do: deleteServer},
		{Name: "server drain", Args: both, Summary: "no new clients, at once; open connections finish", Flags: append([]option{{Name: "limit", Value: "DURATION", Help: "Halt the server after this time, such as 30m."}}, why...), Example: []string{"server drain HL7 Corepoint1 --why 'patch day'", "server drain HL7 Corepoint1 --limit 30m"}, do: stateTo("drain")},
		{Name: "server halt", Args: both, Summary: "end open connections, at once", Flags: why, Example: []string{"server halt HL7 Corepoint1"}, do: stateTo("halt")},
		{Name: "server online", Args: both, Summary: "let it work again, at once", Flags: why, Example: []string{"server online HL7 Corepoint1"}, do: stateTo("online")},
		{Name: "server weight", Args: []string{"SERVICE", "SERVER", "N"}, Summary: "its share, 0 to 1000, at once", Flags: why, Example: []string{"server weight HL7 Corepoint1 50"}, do: weigh},
		{Name: "server test", Args: both, Summary: "try the check now and show what was seen", Example: []string{"server test HL7 Corepoint1"}, do: testServer},
	}
}

func runningCommands() []command {
	return []command{
		{Name: "pending", Summary: "what is saved and does not run yet", Example: []string{"pending"}, do: showPending},
		{Name: "apply", Summary: "make what is saved run", Flags: []option{whyOption()}, Example: []string{"apply"}, do: apply},
		{Name: "discard", Summary: "give up what is saved and does not run", Flags: []option{whyOption()}, Example: []string{"discard"}, do: discard},
	}
}

func historyCommands() []command {
	limit := []option{{Name: "limit", Value: "N", Help: "At most so many, 1 to 500; 20 when absent."}, {Name: "before", Value: "N", Help: "Only older ones."}}
	return []command{
		{Name: "history", Summary: "every revision: who, when, from where and why", Flags: limit, Example: []string{"history --limit 5"}, do: listHistory},
		{
			Name: "diff", Args: []string{"N"}, Summary: "what a revision changed", Flags: []option{{Name: "against", Value: "N", Help: "Compare with this revision; the one before when absent."}},
			Example: []string{"diff 142", "diff 142 --against 130"}, do: showDifference,
		},
		{Name: "rollback", Args: []string{"N"}, Summary: "save the content of a revision as a new one", Changes: true, Example: []string{"rollback 141 --apply"}, do: rollback},
		{Name: "forks", Summary: "what was set aside on this node, because the other one of the pair had gone on without it", Example: []string{"forks"}, do: listForks},
		{Name: "forks diff", Args: []string{"ID"}, Summary: "what would change if what was set aside ran instead of what runs", Example: []string{"forks diff 1795275234713654211"}, do: showFork},
		{Name: "forks keep", Args: []string{"ID"}, Summary: "end the alarm; what was set aside stays", Flags: []option{whyOption()}, Example: []string{"forks keep 1795275234713654211"}, do: keepFork},
		{Name: "forks discard", Args: []string{"ID"}, Summary: "remove what was set aside from this node for good", Flags: []option{whyOption()}, Example: []string{"forks discard 1795275234713654211"}, do: discardFork},
		{Name: "audit", Summary: "who did what", Flags: limit, Example: []string{"audit --limit 50"}, do: listAudit},
	}
}

func accountCommands() []command {
	why := whyOption()
	stdin := option{Name: "password-stdin", Help: "Read the password from standard input; there is no other way."}
	role := option{Name: "role", Value: "ROLE", Help: "administrator, operator (drain, halt, online, weight) or viewer."}
	return []command{
		{Name: "users", Summary: "all accounts", Example: []string{"users"}, do: listUsers},
		{Name: "users add", Args: []string{"NAME"}, Summary: "make an account", Flags: []option{role, stdin, why}, Example: []string{"users add radiology --role operator --password-stdin"}, do: addUser},
		{Name: "users role", Args: []string{"NAME", "ROLE"}, Summary: "give an account another role", Flags: []option{why}, Example: []string{"users role radiology viewer"}, do: setRole},
		{Name: "users password", Args: []string{"NAME"}, Summary: "give an account another password; its sessions end", Flags: []option{stdin, why}, Example: []string{"users password radiology --password-stdin"}, do: setPassword},
		{Name: "users delete", Args: []string{"NAME"}, Summary: "remove an account with its sessions and tokens", Flags: []option{why}, Example: []string{"users delete radiology"}, do: deleteUser},
		{Name: "tokens", Summary: "all tokens, without their secrets", Example: []string{"tokens"}, do: listTokens},
		{Name: "tokens add", Args: []string{"LABEL"}, Summary: "make a token for scripts; it is shown once", Flags: []option{
			{Name: "user", Value: "NAME", Help: "The account that it belongs to and ends with."}, role, {Name: "life", Value: "TIME", Help: "How long it is valid, such as 720h; for ever when absent."}, why,
		}, Example: []string{"tokens add nightly-drain --user radiology --role operator"}, do: addToken},
		{Name: "tokens delete", Args: []string{"TOKEN"}, Summary: "end a token, named by label or id", Flags: []option{why}, Example: []string{"tokens delete nightly-drain"}, do: deleteToken},
	}
}

func fileCommands() []command {
	script := []string{"LABEL", "FILE"}
	return []command{
		{Name: "scripts", Summary: "all health check scripts", Example: []string{"scripts"}, do: listScripts},
		{Name: "scripts show", Args: []string{"LABEL"}, Summary: "one script", Example: []string{"scripts show archive"}, do: showScript},
		{Name: "scripts add", Args: script, Summary: "add a script from a file, or - for standard input", Changes: true, Example: []string{"scripts add archive check-archive.sh"}, do: addScript},
		{Name: "scripts set", Args: script, Summary: "replace the text of a script", Changes: true, Example: []string{"scripts set archive check-archive.sh"}, do: setScript},
		{Name: "scripts delete", Args: []string{"LABEL"}, Summary: "remove a script that no service uses", Changes: true, Example: []string{"scripts delete archive"}, do: deleteScript},
		{Name: "settings", Summary: "the settings of the appliance", Example: []string{"settings"}, do: showSettings},
		{Name: "settings set", Summary: "change settings", Fields: "settings", Changes: true, Example: []string{"settings set --apply-at-once"}, do: setSettings},
		{Name: "export", Args: []string{"[FILE]"}, Summary: "the whole configuration, into a file or to standard output", Example: []string{"export before-upgrade.json"}, do: export},
		{Name: "import", Args: []string{"FILE"}, Summary: "replace the whole configuration, in one revision", Changes: true, Example: []string{"import before-upgrade.json --dry-run"}, do: importFile},
	}
}

// find returns the command that the first words name, and how many they are.
func find(words []string) (*command, int) {
	all := commands()
	for n := min(2, len(words)); n > 0; n-- {
		name := strings.Join(words[:n], " ")
		for i := range all {
			if all[i].Name == name {
				return &all[i], n
			}
		}
	}
	return nil, 0
}

// below lists the commands of a group; of the empty group all.
func below(group string) []command {
	var out []command
	for _, c := range commands() {
		if group == "" || c.Name == group || strings.HasPrefix(c.Name, group+" ") {
			out = append(out, c)
		}
	}
	return out
}

// listing is the help of a group.
func listing(group string, list []command) string {
	var b strings.Builder
	b.WriteString("Usage: " + strings.TrimSpace(program+" "+group) + " COMMAND [arguments] [flags]\n\n")
	if group == "" {
		b.WriteString("Everything that the pages do, on the appliance that runs on this machine. Services and real\nservers are named by label or id. Edits are saved first; apply makes them run.\n\n")
	}
	width := 0
	for _, c := range list {
		width = max(width, len(c.Name)+len(c.arguments()))
	}
	for _, c := range list {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, c.Name+c.arguments(), c.Summary)
	}
	b.WriteString("\nEvery command takes --json, --data DIR and --help, which shows its flags and examples.\n")
	b.WriteString("Exit status: 0 done, 1 refused with the reason, 2 wrong usage.\n")
	return b.String()
}

func (c *command) arguments() string {
	if len(c.Args) == 0 {
		return ""
	}
	return " " + strings.Join(c.Args, " ")
}

// help is the whole help of a command.
func (c *command) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s %s%s [flags]\n\n%s.\n\nFlags:\n", program, c.Name, c.arguments(), strings.ToUpper(c.Summary[:1])+c.Summary[1:])
	options := c.options()
	width := 0
	for _, o := range options {
		width = max(width, len(o.Name)+len(o.Value)+1)
	}
	width = min(width, 34)
	for _, o := range options {
		fmt.Fprintf(&b, "  --%-*s  %s\n", width, strings.TrimSpace(o.Name+" "+o.Value), o.Help)
	}
	b.WriteString("\nExamples:\n")
	for _, e := range c.Example {
		b.WriteString("  " + program + " " + e + "\n")
	}
	if more := below(c.Name); len(more) > 1 {
		b.WriteString("\nSee also:\n")
		for _, m := range more[1:] {
			fmt.Fprintf(&b, "  %s %s%s  %s\n", program, m.Name, m.arguments(), m.Summary)
		}
	}
	return b.String()
}
