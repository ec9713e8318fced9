package story

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
	samples "evenkeel/appliance/demo"
)

// via forwards connections from a source address of its own, so that one machine's DICOM programs are several clients.
func via(t *testing.T, source, service string) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: time.Minute}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c.(*net.TCPConn), &dialer, service)
		}
	}()
	host, port, _ = net.SplitHostPort(l.Addr().String())
	return host, port
}

func forward(c *net.TCPConn, dialer *net.Dialer, service string) {
	defer c.Close()
	far, err := dialer.Dial("tcp", service)
	if err != nil {
		return
	}
	defer far.Close()
	back := make(chan struct{})
	go func() {
		_, _ = io.Copy(c, far)
		_ = c.CloseWrite()
		close(back)
	}()
	_, _ = io.Copy(far, c)
	_ = far.(*net.TCPConn).CloseWrite()
	<-back
}

func TestWorklistAnswersThroughTheService(t *testing.T) {
	need(t, "findscu", "echoscu")
	_, d := demoUp(t)
	host, port, _ := net.SplitHostPort(d.address(t, "DMWL"))
	if code, _, said := command(t, "", "echoscu", host, port); code != 0 {
		t.Fatalf("echoscu ended with %d: %s", code, said)
	}
	code, out, said := command(t, "", "findscu", "-W", "-k", "0010,0010=*", "-k", "0010,0020", "-k", "0008,0050", host, port)
	if code != 0 || !strings.Contains(out+said, "(0010,0010)") && !strings.Contains(out+said, "PatientName") {
		t.Fatalf("findscu ended with %d: %s%s", code, out, said)
	}
}

// demoUp is demo, with every server up.
func demoUp(t *testing.T) (*client, demoLine) {
	t.Helper()
	_, d := demo(t)
	c := d.client()
	c.allUp(t)
	return c, d
}

func TestTwoHundredObjectsArriveBitIdenticalAndASeriesSurvivesADeadServer(t *testing.T) {
	need(t, "storescu", "echoscu")
	c, d := demoUp(t)
	addresses := []string{freeAddress(t), freeAddress(t)}
	keeps := []string{t.TempDir(), t.TempDir()}
	servers := []*process{sample(t, "dicom", addresses[0], keeps[0]), sample(t, "dicom", addresses[1], keeps[1])}
	pointAt(t, c, "VNA_DICOM", addresses...)
	service := d.address(t, "VNA_DICOM")

	folder := t.TempDir()
	sent := writeObjects(t, folder, 200)
	var owner [4]int
	for client := range owner {
		host, port := via(t, fmt.Sprintf("127.0.0.%d", 2+client), service)
		files := sent[client*50 : client*50+50]
		before := [2]int{len(stored(t, keeps[0])), len(stored(t, keeps[1]))}
		for half := range 2 { // two associations of one client
			args := append([]string{"--propose-little", host, port}, paths(files[half*25:half*25+25])...)
			if code, _, said := command(t, "", "storescu", args...); code != 0 {
				t.Fatalf("storescu ended with %d: %s", code, tail(said, 2000))
			}
		}
		after := [2]int{len(stored(t, keeps[0])), len(stored(t, keeps[1]))}
		grown := [2]int{after[0] - before[0], after[1] - before[1]}
		if grown != [2]int{50, 0} && grown != [2]int{0, 50} {
			t.Errorf("client %d was spread over both servers: %v", client, grown)
		}
		if grown[1] == 50 {
			owner[client] = 1
		}
	}
	compareObjects(t, sent, keeps)

	// The server of client 0 dies in the middle of a series; its next association lands on the other.
	host, port := via(t, "127.0.0.2", service)
	dead := owner[0]
	series := writeObjects(t, t.TempDir(), 20)
	for i, o := range series {
		if i == 10 {
			servers[dead].kill()
		}
		code, _, said := command(t, "", "storescu", "--propose-little", host, port, o.path)
		if code != 0 {
			t.Fatalf("object %d after the death of its server: storescu ended with %d: %s", i, code, tail(said, 2000))
		}
	}
	compareObjects(t, series, keeps)
	eventually(t, 20*time.Second, "the overview is red with a sentence", func() bool {
		s := c.status(t, "VNA_DICOM")
		return s.Health == appliance.ServiceDegraded && s.Servers[dead].Check.Health == appliance.Down && strings.Contains(s.Servers[dead].Check.Sentence, "refused")
	})
}

// object is one generated DICOM object and its data set's bytes.
type object struct {
	path string
	uid  string
	set  []byte
}

// writeObjects writes n objects from 1 KB to 20 MB (two of that size, most small).
func writeObjects(t *testing.T, folder string, n int) []object {
	t.Helper()
	sizes := []int{1 << 10, 4 << 10, 64 << 10, 300 << 10, 1 << 20}
	out := make([]object, n)
	for i := range out {
		size := sizes[i%len(sizes)]
		if i%100 == 99 {
			size = 20 << 20
		}
		made := samples.Object(uint64(i)+uint64(time.Now().UnixNano()), size)
		out[i] = object{path: filepath.Join(folder, fmt.Sprintf("%04d.dcm", i)), uid: made.UID, set: made.DataSet}
		if err := os.WriteFile(out[i].path, made.File, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func paths(list []object) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = o.path
	}
	return out
}

func stored(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// compareObjects holds every data set against what the servers kept, byte for byte.
func compareObjects(t *testing.T, sent []object, keeps []string) {
	t.Helper()
	for _, o := range sent {
		found := 0
		for _, dir := range keeps {
			kept, err := os.ReadFile(filepath.Join(dir, o.uid+".dcm"))
			if err != nil {
				continue
			}
			found++
			if !bytes.HasSuffix(kept, o.set) {
				t.Errorf("object %s (%d bytes) is not identical", o.uid, len(o.set))
			}
		}
		if found != 1 {
			t.Errorf("object %s is kept %d times", o.uid, found)
		}
	}
}
