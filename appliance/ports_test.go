package appliance

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePortsReadsOneListAndRanges(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"80", "80"},
		{"80,443", "80,443"},
		{" 443 , 80 ", "80,443"},
		{"800-900", "800-900"},
		{"81,80,79", "79-81"},
		{"10-20,15-30,31", "10-31"},
		{"65535", "65535"},
	} {
		got, err := ParsePorts(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("ParsePorts(%q) = %v, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestParsePortsRefusesWithASentence(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "missing",
		"80,":                  "missing",
		"0":                    "Port 0 does not exist",
		"65536":                "Port 65536 does not exist",
		"80-70":                "write 70-80",
		"http":                 "is not a port",
		"+80":                  "is not a port",
		"-80":                  "missing",
		"0x50":                 "is not a port",
		"1-10000":              "10000 ports",
		"80;id":                "is not a port",
		"8 0":                  "is not a port",
		"99999999999999999999": "is not a port",
	} {
		_, err := ParsePorts(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePorts(%q): %v; want a sentence with %q", in, err, want)
		}
		if KindOf(err) != Invalid {
			t.Errorf("ParsePorts(%q): kind %s", in, KindOf(err))
		}
	}
}

func TestPortsAreCanonicalAndCountRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Uint16Range(1, 400), 1, 60).Draw(t, "ports")
		var p Ports
		set := map[uint16]bool{}
		for _, port := range in {
			p = append(p, PortRange{port, port})
			set[port] = true
		}
		p = p.canonical()
		if p.Count() != len(set) || len(p.All()) != len(set) {
			t.Fatalf("%v holds %d ports, want %d", p, p.Count(), len(set))
		}
		for port := range uint16(402) {
			if p.Contains(port) != set[port] {
				t.Fatalf("%v contains %d: %v", p, port, p.Contains(port))
			}
		}
		again, err := ParsePorts(p.String())
		if err != nil || again.String() != p.String() {
			t.Fatalf("%v read again: %v, %v", p, again, err)
		}
	})
}

func TestPortsReadEveryJSONForm(t *testing.T) {
	for in, want := range map[string]string{`"80,443"`: "80,443", `80`: "80", `[80,"443","500-510"]`: "80,443,500-510"} {
		var p Ports
		if err := json.Unmarshal([]byte(in), &p); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v", in, p, err)
		}
	}
	for _, in := range []string{`80.5`, `null`, `{}`, `[true]`, `-1`, `1e9`} {
		var p Ports
		if err := json.Unmarshal([]byte(in), &p); err == nil {
			t.Errorf("%s was read as %v", in, p)
		}
	}
}

func TestParseDurationReadsWhatPeopleType(t *testing.T) {
	for in, want := range map[string]string{
		"4s": "4s", "4 s": "4s", "4000": "4s", "4000 ms": "4s", "250ms": "250ms", "30 min": "30m", "30m": "30m", "12 h": "12h", "1h30m": "90m", "0": "0s", "1500ms": "1500ms",
	} {
		d, err := ParseDuration(in)
		if err != nil || d.String() != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %s", in, d, err, want)
		}
	}
	for _, in := range []string{"", "soon", "NaN", "1e9", "4 parsecs", "999999999999999999999", "9223372036854775807"} {
		if d, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v", in, d)
		}
	}
}

func FuzzParsePorts(f *testing.F) {
	f.Add("80,443,800-900")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePorts(text)
		if err != nil {
			return
		}
		if n := p.Count(); n < 1 || n > MaxPorts || p.Contains(0) {
			t.Fatalf("%q gave %v", text, p)
		}
	})
}
