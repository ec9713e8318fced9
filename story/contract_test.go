package story

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evenkeel/appliance"
	"evenkeel/engine/wire/wiretest"
)

func TestDemoServesItsFourServicesAndLeavesNothingBehind(t *testing.T) {
	need(t, "curl")
	p, d := demo(t)
	if len(p.leftovers(t)) == 0 {
		t.Fatal("the demo has no folder where it is looked for")
	}
	if d.User != "loadbalancer" || len(d.Password) < 12 || len(d.Services) != 4 || !strings.HasSuffix(d.WebUI, "/lbadmin/") {
		t.Fatalf("%+v", d)
	}
	for _, label := range []string{"VNA_DICOM", "HL7", "DMWL", "WEB"} {
		c, err := net.DialTimeout("tcp", d.address(t, label), 20*time.Second)
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		defer c.Close() // open when the demo is told to end, and deaf to what it says
	}
	code, body, _ := command(t, "", "curl", "-sS", "-i", "http://"+d.address(t, "WEB")+"/headers")
	if code != 0 || !strings.Contains(body, "200 OK") || !strings.Contains(body, "Set-Cookie: SERVERID=") || !strings.Contains(strings.ToLower(body), "x-forwarded-for") {
		t.Fatalf("curl ended with %d:\n%s", code, body)
	}
	began := time.Now()
	p.stop(t)
	if took := time.Since(began); took > slack*2*time.Second || p.err != nil {
		t.Errorf("the demo ended after %s with %v", took, p.err)
	}
	if after := p.leftovers(t); len(after) > 0 {
		t.Errorf("left behind: %v", after)
	}
}

// leftovers lists what the process has in the folder for temporary files.
func (p *process) leftovers(t *testing.T) []string {
	t.Helper()
	found, err := os.ReadDir(p.tmp)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name()
	}
	return names
}

func TestASecondDemoSaysWhichPortIsTaken(t *testing.T) {
	n := offset(t)
	p := start(t, "demo", "--json", "--port-offset", strconv.Itoa(n))
	p.line(t)
	code, out, said := run(t, "", "demo", "--json", "--port-offset", strconv.Itoa(n))
	if code != 1 || out != "" {
		t.Errorf("the second demo ended with %d and printed %q", code, out)
	}
	named := false
	for _, port := range []int{9443, 9081, 11112, 6667, 5104, 8080} {
		named = named || strings.Contains(said, strconv.Itoa(port+n))
	}
	if !named {
		t.Errorf("no port is named: %s", said)
	}
	if !strings.Contains(said, "--port-offset") || strings.Contains(said, "--fallback") {
		t.Errorf("the way out is not one of the demo: %s", said)
	}
}

func TestADemoThatWouldNeedAKeptPortSaysWhatToChoose(t *testing.T) {
	code, _, said := run(t, "", "demo", "--json", "--webui", "127.0.0.1:0", "--port-offset", "1000")
	if code != 1 || !strings.Contains(said, "9080") || !strings.Contains(said, "--port-offset") {
		t.Errorf("ended with %d: %s", code, said)
	}
}

func TestServeBesideTheDemoSaysWhichPortIsTaken(t *testing.T) {
	_, d := demo(t)
	c := d.client()
	c.allUp(t)
	web := strings.TrimSuffix(strings.TrimPrefix(d.WebUI, "https://"), "/lbadmin/")
	code, _, said := run(t, "", "serve", "--data", t.TempDir(), "--webui", web, "--fallback", "127.0.0.1:0")
	if code != 1 || !strings.Contains(said, web) {
		t.Errorf("serve on the demo's WebUI port ended with %d: %s", code, said)
	}
	// A wildcard service of a second appliance against the address of the first.
	a := appliance2(t)
	_, port, _ := net.SplitHostPort(d.address(t, "HL7"))
	got := a.do(t, "POST", "virtual-services", `{"label":"Wild","address":"0.0.0.0","ports":"`+port+`","protocol":"tcp"}`)
	if got.status != 409 || !strings.Contains(string(got.body), port) {
		t.Errorf("a wildcard service on a port that another program has: %d %s", got.status, got.body)
	}
}

// appliance2 sets up and serves an appliance of its own and returns its API.
func appliance2(t *testing.T, more ...string) *client {
	t.Helper()
	_, c := served(t, t.TempDir(), more...)
	return c
}

// served sets up an appliance in dir when it is new, serves it, and returns its process and a client with a token.
func served(t *testing.T, dir string, more ...string) (*process, *client) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "evenkeel.db")); err != nil {
		if code, _, said := run(t, "correct horse battery\n", "setup", "--data", dir, "--password-stdin"); code != 0 {
			t.Fatalf("setup ended with %d: %s", code, said)
		}
	}
	web := freeAddress(t)
	p := start(t, append([]string{"serve", "--data", dir, "--webui", web, "--fallback", freeAddress(t)}, more...)...)
	socket := filepath.Join(dir, "control.sock")
	eventually(t, 20*time.Second, "the appliance serves", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("serve ended: %s", p.stderr)
		default:
		}
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	code, out, said := run(t, "", "lb", "tokens", "add", "story", "--user", "loadbalancer", "--role", "administrator", "--data", dir, "--json")
	if code != 0 {
		t.Fatalf("tokens add ended with %d: %s", code, said)
	}
	var made struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Token == "" {
		t.Fatalf("%v: %s", err, out)
	}
	d := demoLine{WebUI: "https://" + web + "/lbadmin/", Token: made.Token}
	return p, d.client()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", port(t))
}

func TestASecondStartOnTheSameFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	p, _ := served(t, dir)
	code, _, said := run(t, "", "serve", "--data", dir, "--webui", freeAddress(t), "--fallback", freeAddress(t))
	if code != 1 || !strings.Contains(said, "in use") || !strings.Contains(said, strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("the second start ended with %d: %s", code, said)
	}
}

func TestConfigurationIsExportedAndImportedAtRestAndRunning(t *testing.T) {
	dir := t.TempDir()
	p, c := served(t, dir)
	c.must(t, 201, "POST", "virtual-services", `{"label":"One","address":"127.0.0.1","ports":"`+port(t)+`","protocol":"tcp"}`)
	file := filepath.Join(t.TempDir(), "config.json")
	if code, _, said := run(t, "", "config", "export", "--data", dir, file); code != 0 {
		t.Fatalf("export while running ended with %d: %s", code, said)
	}
	p.stop(t)
	other := t.TempDir()
	if code, _, said := run(t, "correct horse battery\n", "setup", "--data", other, "--password-stdin"); code != 0 {
		t.Fatal(said)
	}
	if code, _, said := run(t, "", "config", "import", "--data", other, file); code != 0 {
		t.Fatalf("import at rest ended with %d: %s", code, said)
	}
	again := filepath.Join(t.TempDir(), "again.json")
	if code, _, said := run(t, "", "config", "export", "--data", other, again); code != 0 {
		t.Fatalf("export at rest ended with %d: %s", code, said)
	}
	a, _ := os.ReadFile(file)
	b, _ := os.ReadFile(again)
	if len(a) == 0 || string(a) != string(b) {
		t.Errorf("what came back differs:\n%s\n%s", a, b)
	}
	if code, _, said := run(t, "", "check", "--data", other); code != 0 {
		t.Errorf("check ended with %d: %s", code, said)
	}
	broken := strings.Replace(string(a), `"tcp"`, `"quic"`, 1)
	if code, _, said := run(t, broken, "config", "import", "--data", other, "-"); code != 1 || !strings.Contains(said, "protocol") {
		t.Errorf("a broken import ended with %d: %s", code, said)
	}
}

func port(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(int(wiretest.Port(t, 1)))
}

func TestBadInputEndsInASentence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		in   string
		code int
		says string
	}{
		"a file as folder":    {[]string{"serve", "--data", file}, "", 1, file},
		"unknown command":     {[]string{"sreve"}, "", 2, "sreve"},
		"unknown flag":        {[]string{"serve", "--colour"}, "", 2, "colour"},
		"bad address":         {[]string{"serve", "--data", t.TempDir(), "--webui", "nowhere"}, "", 2, "nowhere"},
		"short password":      {[]string{"setup", "--data", t.TempDir(), "--password-stdin"}, "short\n", 1, "12"},
		"common password":     {[]string{"setup", "--data", t.TempDir(), "--password-stdin"}, "password1234\n", 1, "common"},
		"check of nothing":    {[]string{"check", "--data", filepath.Join(t.TempDir(), "none")}, "", 1, "none"},
		"lb without a server": {[]string{"lb", "status", "--data", t.TempDir()}, "", 1, "No appliance is running"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, said := run(t, c.in, c.args...)
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("ended with %d: %s", code, said)
			}
			if strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
				t.Errorf("a stack is shown: %s", said)
			}
		})
	}
}

func TestAFolderWithoutRightsEndsInASentence(t *testing.T) {
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--data", locked, "--webui", freeAddress(t), "--fallback", freeAddress(t))
	if os.Geteuid() == 0 { // root may write everywhere: be nobody
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	said, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(said), locked) || strings.Contains(string(said), "goroutine ") {
		t.Errorf("ended with %d: %s", cmd.ProcessState.ExitCode(), said)
	}
}

func TestListsAndRangesOfPortsAreServed(t *testing.T) {
	c, d := demoUp(t)
	web := c.services(t)["WEB"]
	_, first, _ := net.SplitHostPort(d.address(t, "WEB"))
	second, third := port(t), int(wiretest.Port(t, 2))
	ports := fmt.Sprintf("%s,%s,%d-%d", first, second, third, third+1)
	c.must(t, 200, "PATCH", "virtual-services/"+web.ID, fmt.Sprintf(`{"ports":%q}`, ports), "If-Match", "*")
	c.must(t, 200, "POST", "apply", "")
	for _, p := range []string{first, second, strconv.Itoa(third), strconv.Itoa(third + 1)} {
		if code, body, said := command(t, "", "curl", "-sS", "-m", "5", "http://127.0.0.1:"+p+"/"); code != 0 || !strings.HasPrefix(body, "Web") {
			t.Errorf("port %s of %s: %s %s", p, ports, body, said)
		}
	}
	c.must(t, 200, "PATCH", "virtual-services/"+web.ID, fmt.Sprintf(`{"ports":%q}`, first), "If-Match", "*")
	c.must(t, 200, "POST", "apply", "")
	if code, _, _ := command(t, "", "curl", "-sS", "-m", "5", "http://127.0.0.1:"+second+"/"); code == 0 {
		t.Errorf("port %s still answers after it was taken away", second)
	}
}

func TestWithoutServersTheFallbackPageAnswersAndTCPIsClosed(t *testing.T) {
	need(t, "curl")
	c, d := demoUp(t)
	for _, label := range []string{"WEB", "HL7"} {
		pointAway(t, c, label)
	}
	eventually(t, 20*time.Second, "the fallback serves", func() bool { return c.status(t, "WEB").Health == appliance.ServiceFallback })
	_, body, _ := command(t, "", "curl", "-sS", "-i", "-m", "5", "http://"+d.address(t, "WEB")+"/any/page")
	if !strings.Contains(body, "503") || !strings.Contains(body, "not available right now") {
		t.Errorf("the fallback page: %s", body)
	}
	eventually(t, 20*time.Second, "HL7 is down", func() bool { return c.status(t, "HL7").Health == appliance.ServiceDown })
	conn, err := net.Dial("tcp", d.address(t, "HL7"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("a TCP service without servers is not closed at once: %d %v", n, err)
	}
}

// pointAway gives a service one server that refuses.
func pointAway(t *testing.T, c *client, label string) {
	t.Helper()
	s := c.services(t)[label]
	c.must(t, 200, "PATCH", "virtual-services/"+s.ID, `{"check":{"interval":"200ms","timeout":"1s","rise":1,"fall":1},"real_servers":[{"label":"Gone","address":"127.0.0.1","port":`+port(t)+`}]}`, "If-Match", "*")
	c.must(t, 200, "POST", "apply", "")
}

func TestVersionIsPrinted(t *testing.T) {
	if code, out, _ := run(t, "", "version"); code != 0 || !strings.HasPrefix(out, "evenkeel ") {
		t.Errorf("%d %q", code, out)
	}
}

func TestFilesOfTheApplianceAreItsOwnersAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	served(t, dir)
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		s, err := d.Info()
		if err == nil && s.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", p, s.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
