package control

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"evenkeel/appliance"
)

var update = flag.Bool("update", false, "write the results into the stories")

// TestStories runs each story: "before" is a configuration, applied; "edit" is a command a line; then "plan" is what is pending, "after" what is saved,
// "running" what runs, "revisions" the history and "told" every refusal. Commands:
//
//	set SERVICE FIELD JSON      server SERVICE SERVER FIELD JSON      add JSON      remove SERVICE      at-once
//	apply      discard      rollback NUMBER      import JSON      drain|halt|online SERVICE SERVER      weight SERVICE SERVER NUMBER      refuse SENTENCE      refuse-weight NUMBER SENTENCE      restart
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txtar")
	if err != nil || len(files) < 5 {
		t.Fatalf("stories %v %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, archive)
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
				t.Errorf("%s (run with -update to accept):\n%s", file, diff)
			}
		})
	}
}

func part(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func tell(t *testing.T, story *txtar.Archive) *txtar.Archive {
	b := newBench(t)
	before, err := ParseConfig([]byte(part(story, "before")))
	b.must(err)
	if _, err := b.Replace(t.Context(), anna(), before); err != nil {
		t.Fatal(err)
	}
	b.apply()
	var told strings.Builder
	for line := range strings.Lines(part(story, "edit")) {
		if err := b.command(strings.TrimSpace(line)); err != nil {
			for _, e := range appliance.ErrorsOf(err) {
				fmt.Fprintf(&told, "%s: %s %s %s\n", strings.Fields(line)[0], e.Kind, e.Field, e.Text())
			}
		}
	}
	for _, a := range b.Alerts() {
		fmt.Fprintf(&told, "alert %s: %s\n", a.Code, a.Sentence)
	}
	out := &txtar.Archive{Comment: story.Comment, Files: []txtar.File{{Name: "before", Data: []byte(part(story, "before"))}, {Name: "edit", Data: []byte(part(story, "edit"))}}}
	var revisions strings.Builder
	list, err := b.Revisions(t.Context(), 0, 100)
	b.must(err)
	for _, r := range list {
		fmt.Fprintf(&revisions, "%d %s: %s", r.Number, r.Outcome, r.Summary)
		for _, more := range []string{r.Origin.Why, r.Reason} {
			if more != "" {
				fmt.Fprintf(&revisions, " (%s)", more)
			}
		}
		revisions.WriteByte('\n')
	}
	for _, f := range []struct{ name, text string }{
		{"plan", planText(b.Pending())}, {"after", outline(b.Saved().Config)}, {"running", outline(b.engine.running)}, {"revisions", revisions.String()}, {"told", told.String()},
	} {
		out.Files = append(out.Files, txtar.File{Name: f.name, Data: []byte(f.text)})
	}
	return out
}

func planText(p appliance.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s [%s]\n", c.Sentence(), c.Effect)
	}
	return b.String()
}

func outline(c appliance.Config) string {
	var b strings.Builder
	for _, s := range c.Cluster.VirtualServices {
		fmt.Fprintf(&b, "%s %s:%s %s, %s\n", s.Label, s.Address, s.Ports, s.Protocol, s.Scheduler)
		for _, r := range s.RealServers {
			fmt.Fprintf(&b, "  %s %s weight %d %s\n", r.Label, r.Address, r.Weight, r.State)
		}
	}
	return b.String()
}

func (b *bench) command(line string) error {
	words := strings.SplitN(line, " ", 2)
	verb, rest := words[0], strings.Join(words[1:], "")
	ctx := b.t.Context()
	commit := func(edit Edit) error { _, err := b.Commit(ctx, anna(), nil, edit); return err }
	switch verb {
	case "apply":
		_, err := b.Apply(ctx, anna())
		return err
	case "discard":
		_, err := b.Discard(ctx, anna())
		return err
	case "rollback":
		n, err := strconv.ParseInt(rest, 10, 64)
		b.must(err)
		_, err = b.Rollback(ctx, anna(), n)
		return err
	case "import":
		whole, err := ParseConfig([]byte(rest))
		if err != nil {
			return err
		}
		_, err = b.Replace(ctx, anna(), whole)
		return err
	case "drain", "halt", "online", "weight":
		return b.live(verb, strings.Fields(rest))
	case "refuse":
		b.engine.refuse = nil
		if rest != "" {
			b.engine.refuse = func(appliance.Config) error { return &appliance.Error{Kind: appliance.Conflict, Message: rest} }
		}
		return nil
	case "refuse-weight":
		w := strings.SplitN(rest, " ", 2)
		b.engine.refuse = func(c appliance.Config) error {
			if strings.Contains(outline(c), " weight "+w[0]+" ") {
				return &appliance.Error{Kind: appliance.Conflict, Message: w[1]}
			}
			return nil
		}
		return nil
	case "restart":
		refuse := b.engine.refuse
		b.restart()
		b.engine.refuse = refuse
		return b.Boot(ctx)
	case "at-once":
		return commit(func(c *appliance.Config) error { c.Cluster.Settings.ApplyAtOnce = true; return nil })
	case "add":
		return commit(func(c *appliance.Config) error {
			var s appliance.VirtualService
			if err := json.Unmarshal([]byte(rest), &s); err != nil {
				return err
			}
			c.Cluster.VirtualServices = append(c.Cluster.VirtualServices, s)
			return nil
		})
	case "remove":
		return commit(func(c *appliance.Config) error {
			for i, s := range c.Cluster.VirtualServices {
				if s.Label == rest {
					c.Cluster.VirtualServices = append(c.Cluster.VirtualServices[:i:i], c.Cluster.VirtualServices[i+1:]...)
					return nil
				}
			}
			return appliance.Refuse("label", "There is no service %s.", rest)
		})
	case "set":
		w := strings.SplitN(rest, " ", 3)
		return commit(change(w[0], func(s *appliance.VirtualService) { b.must(setField(s, w[1], w[2])) }))
	case "server":
		w := strings.SplitN(rest, " ", 4)
		return commit(change(w[0], func(s *appliance.VirtualService) {
			for i := range s.RealServers {
				if s.RealServers[i].Label == w[1] {
					b.must(setField(&s.RealServers[i], w[2], w[3]))
				}
			}
		}))
	}
	b.t.Fatalf("no command %q", line)
	return nil
}

func (b *bench) live(verb string, w []string) error {
	c := b.Running().Config
	s := named(&c, w[0])
	a := Act{Service: s.ID, State: appliance.State(verb)}
	for _, r := range s.RealServers {
		if r.Label == w[1] {
			a.Server = r.ID
		}
	}
	if verb == "weight" {
		n, err := strconv.Atoi(w[2])
		b.must(err)
		a.State, a.Weight = "", &n
	}
	_, err := b.Act(b.t.Context(), anna(), []Act{a})
	return err
}

// setField sets the field at a dotted path of an object to a JSON value.
func setField[T any](object *T, path, value string) error {
	var tree map[string]any
	if err := json.Unmarshal(encode(object), &tree); err != nil {
		return err
	}
	at, names := tree, strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		at = at[name].(map[string]any)
	}
	at[names[len(names)-1]] = json.RawMessage(value)
	return json.Unmarshal(encode(tree), object)
}
