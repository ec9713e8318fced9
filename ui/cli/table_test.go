package cli

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func TestEveryCommandHasHelpAndExamplesThatParse(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range commands() {
		if seen[c.Name] || c.Summary == "" || len(c.Example) == 0 || c.do == nil {
			t.Errorf("%s: twice, or without summary, example or deed", c.Name)
		}
		seen[c.Name] = true
		if chosen, _ := find(strings.Fields(c.Name)); chosen == nil || chosen.Name != c.Name {
			t.Errorf("%s is not found", c.Name)
		}
		flags := map[string]bool{}
		for _, o := range c.options() {
			if flags[o.Name] || o.Help == "" {
				t.Errorf("%s: --%s is there twice or has no help", c.Name, o.Name)
			}
			flags[o.Name] = true
		}
		for _, e := range c.Example {
			if !strings.HasPrefix(e, c.Name) {
				t.Errorf("%s: the example %q is of another command", c.Name, e)
			}
			s := session{command: &c}
			err := s.parse(strings.Fields(strings.ReplaceAll(e, "'", ""))[len(strings.Fields(c.Name)):])
			if _, fieldErr := s.fieldsOf(&c); err != nil || fieldErr != nil || len(s.args) < c.least() {
				t.Errorf("%s: the example %q is refused: %v %v", c.Name, e, err, fieldErr)
			}
		}
		for _, flag := range []string{"--help", "-h"} {
			var out, errs bytes.Buffer
			code := Run(context.Background(), Options{Args: append(strings.Fields(c.Name), flag), Stdout: &out, Stderr: &errs})
			if code != exitDone || !strings.Contains(out.String(), "Usage: evenkeel lb "+c.Name) || errs.Len() > 0 {
				t.Errorf("%s %s: %d %s", c.Name, flag, code, errs.String())
			}
		}
	}
}

// fieldsOf is fields, for commands that have some.
func (s *session) fieldsOf(c *command) (map[string]any, error) {
	if c.Fields == "" {
		return nil, nil
	}
	return s.fields()
}

func TestFieldFlagsReachEveryFieldOfTheCatalogue(t *testing.T) {
	for _, object := range []string{"virtual_service", "real_server", "settings", "heartbeat", "local"} {
		paths := strings.Join(settable(object), " ") + " "
		for _, f := range appliance.Fields() {
			if f.Object == object && f.Path != "real_servers" && f.Path != "rules" && !strings.Contains(paths, f.Path+" ") {
				t.Errorf("%s has no flag for %s", object, f.Path)
			}
		}
	}
}

func TestInertKeepsTextAndDropsWhatATerminalObeys(t *testing.T) {
	for in, want := range map[string]string{
		"Zähler №1 → 2": "Zähler №1 → 2", "a\x1b]0;x\x07b": "a?]0;x?b", "a\rb": "a?b", "a\tb": "a b", "\u202eabc": "?abc", "\x00": "?", "\u009b31m": "?31m",
	} {
		if got := inert(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTableAlignsNumbersRightAndKeepsRowsOnOneLine(t *testing.T) {
	var s session
	s.table([]string{"NAME", "N", "WHY"}, [][]string{{"é", "5", "a\nb"}, {"long", "100", ""}})
	want := "NAME    N  WHY\né       5  a b\nlong  100\n"
	if got := s.out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestConfigGoesOverTheSocketOrSaysThatNothingRuns(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	if _, err := ConfigExport(ctx, dir); !NotRunning(err) {
		t.Fatalf("%v", err)
	}
	if _, err := ConfigImport(ctx, dir, []byte("{}"), ""); !NotRunning(err) {
		t.Fatalf("%v", err)
	}
	if err := os.Mkdir(dir+"/appliance", 0o700); err != nil {
		t.Fatal(err)
	}
	stop, err := start(context.WithoutCancel(ctx), dir+"/appliance")
	if err != nil {
		t.Fatal(err)
	}
	text, err := ConfigExport(ctx, dir+"/appliance")
	if err != nil || !bytes.HasPrefix(text, []byte("{\n  \"evenkeel\": 1,\n")) {
		t.Errorf("%s %v", text, err)
	}
	changed := bytes.Replace(text, []byte(`"hostname": ""`), []byte(`"hostname": "lb1"`), 1)
	if revision, err := ConfigImport(ctx, dir+"/appliance", changed, "name"); err != nil || revision != "1" {
		t.Errorf("%s %v", revision, err)
	}
	if again, err := ConfigExport(ctx, dir+"/appliance"); err != nil || !bytes.Equal(again, changed) {
		t.Errorf("%s %v", again, err)
	}
	_, err = ConfigImport(ctx, dir+"/appliance", []byte(`{"evenkeel":1,"nonsense":2}`), "")
	if NotRunning(err) || appliance.ErrorsOf(err)[0].Field != "nonsense" {
		t.Errorf("%v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestStaleEditsSayWhatChanged(t *testing.T) {
	body := `{"type":"urn:evenkeel:stale","title":"x","status":412,"detail":"Changed.","errors":[{"field":"","message":"root changed this meanwhile.","hint":"Look."}],
	  "changed":[{"object":"virtual_service","id":"a","label":"HL7","action":"changed","effect":"keeps","fields":[{"field":"ports","name":"Ports","from":"1","to":"2"}]}]}`
	var out bytes.Buffer
	Complain(&out, refusal(412, []byte(body)))
	for _, want := range []string{"evenkeel: root changed this meanwhile.\n", "          Look.\n", "          Changed meanwhile: HL7: ports 1 → 2\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if err := refusal(502, []byte("<html>")); appliance.KindOf(err) != appliance.Internal {
		t.Errorf("%v", err)
	}
}
