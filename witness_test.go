package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/appliance"
	"evenkeel/appliance/ha"
)

func TestWitnessIsStartedFromTheFileOfANode(t *testing.T) {
	good := ha.WitnessedPair{Cluster: "00000000000000c1", Nodes: [2]string{"000000000000000a", "000000000000000b"}, Key: appliance.HeartbeatKey{ID: 1, Secret: make([]byte, 32)}}
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	pair, other := write("pair", text), write("other", []byte(`{"cluster":"00000000000000c1","password":"x"}`))
	ended, end := context.WithCancel(context.Background())
	end()
	for name, tt := range map[string]struct {
		args []string
		want int
		says string
	}{
		"good":          {[]string{"--listen", "127.0.0.1:0", "--pair", pair}, exitDone, "witness answers"},
		"no pair":       {[]string{"--listen", "127.0.0.1"}, exitUsage, "are needed"},
		"no address":    {[]string{"--listen", "here", "--pair", pair}, exitUsage, "not an address"},
		"no file":       {[]string{"--listen", "127.0.0.1", "--pair", filepath.Join(dir, "none")}, exitRefused, ha.WitnessFile},
		"another file":  {[]string{"--listen", "127.0.0.1", "--pair", other}, exitRefused, "does not hold a pair"},
		"not a machine": {[]string{"--listen", "192.0.2.1", "--pair", pair}, exitRefused, "cannot listen on"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(ended, append([]string{"witness"}, tt.args...), streams{in: strings.NewReader(""), out: &out, err: &out})
			if code != tt.want || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit status %d: %s", code, out.String())
			}
		})
	}
}
