package control

import (
	"bytes"
	"strings"
	"testing"

	"evenkeel/appliance"
)

func exportOf(t *testing.T) ([]byte, appliance.Config) {
	b := newBench(t)
	b.commit(func(c *appliance.Config) error {
		c.Local = appliance.Local{Hostname: "lb1", Names: []string{"lb.example"}}
		c.Cluster.Scripts = []appliance.Script{{Label: "probe", Body: "#!/bin/sh\nexit 0 # <&>\n"}}
		c.Cluster.Settings.ApplyAtOnce = true
		return imaging(c)
	})
	config := b.Saved().Config
	named(&config, "HL7").RealServers[0].Weight = 0
	return ConfigJSON(config), config
}

func TestExportIsReadBackWhole(t *testing.T) {
	text, config := exportOf(t)
	back, err := ParseConfig(text)
	if err != nil || appliance.Hash(back) != appliance.Hash(config) {
		t.Errorf("%v: %s", err, appliance.Diff(config, back).Summary())
	}
	if !bytes.Equal(ConfigJSON(back), text) {
		t.Error("equal configurations are not equal bytes")
	}
}

func TestImportIsStrict(t *testing.T) {
	text, _ := exportOf(t)
	good := string(text)
	swap := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in the export", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, test := range map[string]struct {
		text  string
		kind  appliance.Kind
		field string
		says  string
	}{
		"empty":             {"", appliance.Invalid, "", "line 1"},
		"not JSON":          {"listen: 80\n", appliance.Invalid, "", "line 1"},
		"breaks off":        {good[:len(good)/2], appliance.Invalid, "", "in line"},
		"something behind":  {good + "{}", appliance.Invalid, "", "follows the end"},
		"not UTF-8":         {swap("HL7", "H\xffL7"), appliance.Invalid, "", "UTF-8"},
		"another format":    {swap(`"evenkeel": 1`, `"evenkeel": 2`), appliance.Unsupported, "evenkeel", "format 2"},
		"no format":         {`{"cluster":{}}`, appliance.Invalid, "", "does not begin"},
		"format twice":      {swap(`"evenkeel": 1`, `"evenkeel": 2, "evenkeel": 1`), appliance.Invalid, "evenkeel", "twice"},
		"a list":            {`[1]`, appliance.Invalid, "", "does not begin"},
		"no cluster":        {`{"evenkeel":1}`, appliance.Invalid, "cluster", "missing"},
		"cluster is null":   {`{"evenkeel":1,"cluster":null}`, appliance.Invalid, "cluster", "missing"},
		"unknown at top":    {swap(`"cluster"`, `"colour": 1, "cluster"`), appliance.Invalid, "", "colour"},
		"unknown in server": {swap(`"weight": 0`, `"weight": 0, "mass": 1`), appliance.Invalid, "", "mass"},
		"unknown in check":  {swap(`"rise": 2`, `"rise": 2, "ryse": 3`), appliance.Invalid, "", "ryse"},
		"twice":             {swap(`"weight": 0`, `"weight": 0, "weight": 5`), appliance.Invalid, "cluster.virtual_services[0].real_servers[0].weight", "twice"},
		"twice, other case": {swap(`"weight": 0`, `"weight": 0, "Weight": 5`), appliance.Invalid, "cluster.virtual_services[0].real_servers[0].Weight", "twice"},
		"twice, long s":     {swap(`"rise": 2`, `"rise": 2, "riſe": 3`), appliance.Invalid, "cluster.virtual_services[0].check.riſe", "twice"},
		"a wrong type":      {swap(`"weight": 0`, `"weight": "much"`), appliance.Invalid, "weight", "cannot be a string"},
		"a bad port":        {swap(`"ports": "6667"`, `"ports": "80-70"`), appliance.Invalid, "ports", "backwards"},
		"a bad time":        {swap(`"interval": "4s"`, `"interval": "soon"`), appliance.Invalid, "", "not a time"},
		"deep":              {`{"evenkeel":1,"cluster":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", appliance.Invalid, "", "levels"},
		"large":             {strings.Repeat(" ", maxImport+1), appliance.Invalid, "", "larger than 64 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseConfig([]byte(test.text))
			wantKind(t, err, test.kind)
			if e := appliance.ErrorsOf(err)[0]; e.Field != test.field || !strings.Contains(e.Text(), test.says) {
				t.Errorf("at %q: %s", e.Field, e.Text())
			}
		})
	}
}

func TestImportFillsInDefaults(t *testing.T) {
	config, err := ParseConfig([]byte(`{"evenkeel":1,"cluster":{"virtual_services":[{"label":"B","address":"10.0.0.1","ports":80},{"label":"A","real_servers":[{"label":"R"}]}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	list := config.Cluster.VirtualServices
	if list[0].Label != "A" || list[0].RealServers[0].Weight != 100 || list[1].Monitor.Rise != 2 || list[1].ID != "" {
		t.Errorf("%+v", list)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"evenkeel":1,"cluster":{"virtual_services":[{"label":"A","address":"10.0.0.1","ports":"80,90-95","check":"hl7","real_servers":[{"label":"R","address":"10.0.0.2"}]}],"scripts":[{"label":"s","body":"#!/bin/sh"}],"settings":{"apply_at_once":true}},"local":{"hostname":"lb1"}}`))
	f.Add([]byte(`{"evenkeel":1,"cluster":{"virtual_services":[null]}}`))
	f.Add([]byte(`{"evenkeel":1,"cluster":{"settings":{},"Settings":{}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		config, err := ParseConfig(b)
		if err != nil {
			if k := appliance.KindOf(err); k != appliance.Invalid && k != appliance.Unsupported {
				t.Fatalf("kind %q: %v", k, err)
			}
			return
		}
		for _, s := range config.Cluster.VirtualServices {
			if s.Ports.Count() == 0 {
				return // which no text can say, and Validate refuses
			}
		}
		text := ConfigJSON(config)
		back, err := ParseConfig(text)
		if err != nil || !bytes.Equal(ConfigJSON(back), text) {
			t.Fatalf("%v: what was read is not read back: %s", err, text)
		}
	})
}
