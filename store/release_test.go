package store

import (
	"encoding/json"
	"flag"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// release, when set, writes the database of that release: go test ./store -run Release -release 0.2.0
var release = flag.String("release", "", "write testdata/evenkeel-VERSION.db before the test")

// everyField is a configuration that uses each kind of object once, and each kind of check.
func everyField() (appliance.Cluster, appliance.Local) {
	web := appliance.NewService(appliance.HTTP)
	web.ID, web.Label, web.Address, web.Ports = "web1", "WEB", netip.MustParseAddr("fd00::80"), appliance.Ports{{First: 80, Last: 80}, {First: 800, Last: 900}}
	web.Monitor.Kind, web.Monitor.HTTP = appliance.MonitorHTTPS, appliance.HTTPProbe{Method: "HEAD", Path: "/healthz", Host: "web.example", Codes: "200-299", Content: "ok", ContentRegexp: true, Verify: true}
	web.Persistence.Kind, web.Persistence.ClearOnDrain = appliance.PersistCookie, true
	web.Fallback = appliance.Fallback{Kind: appliance.FallbackServer, Address: netip.MustParseAddrPort("10.0.0.9:80")}
	web.HTTP.ForwardedFor, web.HTTP.KeepAlive = appliance.ForwardedReplace, appliance.KeepAliveClient
	web.RealServers = []appliance.RealServer{{ID: "iis1", Label: "IIS 1", Address: "fd00::1:1", Port: 8080, Weight: 0, MaxConnections: 500, State: appliance.Drain}}
	c := appliance.Cluster{
		VirtualServices: []appliance.VirtualService{web}, Settings: appliance.Settings{ApplyAtOnce: true},
		Scripts: []appliance.Script{{ID: "probe1", Label: "probe", Body: "#!/bin/sh\nexit 0\n"}},
	}
	for i, m := range []appliance.Monitor{
		{Kind: appliance.MonitorDICOM, DICOM: appliance.DICOMProbe{Calling: "EVENKEEL", Called: "VNA"}},
		{Kind: appliance.MonitorScript, Script: "probe1"},
		{Kind: appliance.MonitorHL7, HL7: appliance.HL7Probe{Message: "MSH|^~\\&|EVENKEEL", Expect: "CA"}},
		{Kind: appliance.MonitorNone, Port: 99},
	} {
		s := appliance.NewService(appliance.TCP)
		s.ID, s.Label, s.Address = string(m.Kind[:3])+"1", strings.ToUpper(string(m.Kind[:3])), netip.MustParseAddr("10.0.0.1")
		s.Ports, s.Mode, s.Scheduler = appliance.Ports{{First: uint16(1000 + i), Last: uint16(1000 + i)}}, appliance.Failover, appliance.SourceHash
		s.Persistence.Kind = appliance.PersistSourceIP
		d := s.Monitor
		s.Monitor = m
		s.Monitor.Observe, s.Monitor.Agent = d.Observe, d.Agent // which that release did not know
		s.Monitor.Interval, s.Monitor.Timeout, s.Monitor.Rise, s.Monitor.Fall = d.Interval, d.Timeout, 1, 5
		s.RealServers = []appliance.RealServer{{ID: s.ID + "a", Label: "A", Address: "10.0.1.1", Weight: 100, State: appliance.Online}, {ID: s.ID + "b", Label: "B", Address: "10.0.1.2", Weight: 50, State: appliance.Halt}}
		c.VirtualServices = append(c.VirtualServices, s)
	}
	c.Normalize()
	return c, appliance.Local{Hostname: "lb1", Names: []string{"lb.example"}}
}

func writeRelease(t *testing.T, version string) {
	t.Helper()
	dir := t.TempDir()
	s := openTest(t, dir)
	cluster, local := everyField()
	whole, err := json.Marshal(cluster)
	if err != nil {
		t.Fatal(err)
	}
	node, err := json.Marshal(local)
	if err != nil {
		t.Fatal(err)
	}
	cluster.VirtualServices = cluster.VirtualServices[:2]
	part, err := json.Marshal(cluster)
	if err != nil {
		t.Fatal(err)
	}
	ofNode := revisionOf(node, appliance.Applied)
	ofNode.Line = appliance.LocalLine
	if _, err := s.Append(t.Context(), []appliance.NewRevision{revisionOf(whole, appliance.Applied), ofNode, revisionOf(part, appliance.Pending), revisionOf(whole, appliance.Pending)},
		appliance.AuditEntry{At: s.now(), Origin: origin(), Action: "commit", Subject: "cluster", Outcome: "done", Detail: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Mark(t.Context(), appliance.ClusterLine, 2, appliance.Failed, "Port 80 is taken.", s.now()); err != nil {
		t.Fatal(err)
	}
	addOperator(t, s, "loadbalancer", appliance.Administrator)
	addOperator(t, s, "viewer", appliance.Viewer)
	record := sessionOf("viewer")
	record.Expires = record.Created.Add(100 * 365 * 24 * time.Hour)
	if err := s.CreateSession(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateToken(t.Context(), origin(), appliance.TokenRecord{ID: "t1", Label: "backup", Operator: "viewer", Role: appliance.Viewer, Hash: record.TokenHash, Created: s.now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSecret(t.Context(), "cookie_key", []byte("not a secret: this is a test")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := copyFile(filepath.Join(dir, databaseName), filepath.Join("testdata", "evenkeel-"+version+".db")); err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseOfEveryReleaseOpens(t *testing.T) {
	if *release != "" {
		writeRelease(t, *release)
	}
	files, err := filepath.Glob("testdata/evenkeel-*.db")
	if err != nil || len(files) == 0 {
		t.Fatalf("no database of any release: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := t.TempDir()
			if _, err := copyFile(file, filepath.Join(dir, databaseName)); err != nil {
				t.Fatal(err)
			}
			if err := Check(t.Context(), dir); err != nil {
				t.Fatal(err)
			}
			verifyRelease(t, openTest(t, dir))
		})
	}
}

func verifyRelease(t *testing.T, s *Store) {
	t.Helper()
	want, wantLocal := everyField()
	for read, number := range map[string]int64{"newest": 3, "applied": 1} {
		from := s.Latest
		if read == "applied" {
			from = s.LatestApplied
		}
		r, content, err := from(t.Context(), appliance.ClusterLine)
		var c appliance.Cluster
		if err != nil || r.Number != number || r.Origin != origin() || json.Unmarshal(content, &c) != nil {
			t.Fatalf("%s: %+v %v", read, r, err)
		}
		if plan := appliance.Diff(appliance.Config{Cluster: want}, appliance.Config{Cluster: c}); !plan.Empty() {
			t.Errorf("%s reads differently now: %s", read, plan.Summary())
		}
	}
	if r, _, err := s.Get(t.Context(), appliance.ClusterLine, 2); err != nil || r.Outcome != appliance.Failed || r.Reason == "" {
		t.Errorf("the failed one: %+v %v", r, err)
	}
	_, content, err := s.Latest(t.Context(), appliance.LocalLine)
	var local appliance.Local
	if err != nil || json.Unmarshal(content, &local) != nil || appliance.Hash(local) != appliance.Hash(wantLocal) {
		t.Errorf("local line: %s %v", content, err)
	}
	if hash, o, err := s.PasswordHash(t.Context(), "loadbalancer"); err != nil || hash != "hash of loadbalancer" || o.Role != appliance.Administrator {
		t.Errorf("user: %q %+v %v", hash, o, err)
	}
	if _, o, err := s.Session(t.Context(), sessionOf("viewer").TokenHash); err != nil || o.Name != "viewer" {
		t.Errorf("session: %+v %v", o, err)
	}
	if token, err := s.Token(t.Context(), sessionOf("viewer").TokenHash); err != nil || token.Label != "backup" {
		t.Errorf("token: %+v %v", token, err)
	}
	if b, err := s.Secret(t.Context(), "cookie_key", nil); err != nil || !strings.HasPrefix(string(b), "not a secret") {
		t.Errorf("secret: %q %v", b, err)
	}
	if entries, err := s.AuditEntries(t.Context(), 0, 100); err != nil || len(entries) != 4 {
		t.Errorf("audit: %d entries, %v", len(entries), err)
	}
	if made := appendOK(t, s, revisionOf(clusterNamed("A"), appliance.Pending)); made[0].Number != 4 {
		t.Errorf("the next revision is %d", made[0].Number)
	}
}
