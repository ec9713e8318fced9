package story

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// disk gives a node's folder a file system of its own, which can be full and can stand still.
func (n *node) disk() {
	t := n.f.t
	t.Helper()
	need(t, "mkfs.ext4", "fsfreeze", "mount")
	image := filepath.Join(temporary(t), "disk")
	must(t, "truncate", "-s", "48M", image)
	must(t, "mkfs.ext4", "-q", "-F", image)
	if code, _, said := command(t, "", "mount", "-o", "loop", image, n.dir); code != 0 {
		t.Logf("no faults of disks are tried: %s", said) // some kernels have no loop devices
		n.f.diskless = true
		return
	}
	t.Cleanup(func() { must(t, "umount", "-l", n.dir) })
}

// slowServer is behind the gateway's address: /slow answers after two seconds, /large with more than a client takes at once.
func (f *field) slowServer() {
	f.t.Helper()
	var l net.Listener
	var err error
	within(f.t, f.gate, func() { l, err = net.Listen("tcp", labGateway+":8082") })
	if err != nil {
		f.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 64<<20))
			return
		}
		<-time.After(2 * time.Second)
		_, _ = io.WriteString(w, "finished")
	})}
	go func() { _ = server.Serve(l) }()
	f.t.Cleanup(func() { _ = server.Close() })
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// dialClient connects from the client's namespace.
func (f *field) dialClient(to string) (conn net.Conn, err error) {
	if failed := inside(f.client, func() { conn, err = net.DialTimeout("tcp", to, 5*time.Second) }); failed != nil {
		return nil, failed
	}
	return conn, err
}

// request asks once and returns the whole answer.
func (f *field) request(to, path string) (string, error) {
	conn, err := f.dialClient(to)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n", path); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	return string(b), err
}

func (n *node) thaw() { must(n.f.t, "fsfreeze", "-u", n.dir) }

func diskStandsStill() fault {
	return fault{
		name: "owner's disk stands still for 10s", moves: stays, disks: true, full: 20, lasts: 10 * time.Second,
		inject: func(r *round) { must(r.t, "fsfreeze", "-f", r.owner.dir) }, heal: func(r *round) { r.owner.thaw() },
	}
}

// needs are faults of what a node stands on.
func needs() []fault {
	brief := diskStandsStill()
	brief.name, brief.lasts, brief.short = "owner's disk stands still for 2s", 2*time.Second, 1
	return []fault{
		brief,
		{
			name: "kill -9, and the other's disk stands still", moves: moves, disks: true, full: 20, short: 1,
			inject: func(r *round) {
				must(r.t, "fsfreeze", "-f", r.other.dir)
				r.at = time.Now()
				r.owner.cmd.kill()
			},
			heal: func(r *round) {
				r.other.thaw()
				r.owner.begin()
			},
		},
		{
			name: "both disks full", moves: stays, disks: true, full: 20, short: 1, lasts: 3 * time.Second,
			inject: func(r *round) {
				fill(r.t, filepath.Join(r.a.dir, "ballast"))
				fill(r.t, filepath.Join(r.b.dir, "ballast"))
			},
			heal: func(r *round) {
				_ = os.Remove(filepath.Join(r.a.dir, "ballast"))
				_ = os.Remove(filepath.Join(r.b.dir, "ballast"))
			},
		},
		{
			name: "starved processors", moves: stays, full: 20, lasts: 5 * time.Second, rough: true,
			inject: func(r *round) {
				ctx, cancel := context.WithCancel(context.Background())
				r.keep["end"] = cancel
				for range 4 * runtime.NumCPU() {
					busy := exec.CommandContext(ctx, "nice", "-n", "-5", "sh", "-c", "while :; do :; done")
					if err := busy.Start(); err != nil {
						r.t.Error(err)
						continue
					}
					go func() { _ = busy.Wait() }()
				}
			},
			heal: func(r *round) { r.keep["end"].(context.CancelFunc)() },
		},
	}
}

// quiet freezes an owner that has data on the way to clients that do not take it, and that has forgotten where they are: its kernel asks for them, and must not be heard.
func quiet() fault {
	const d = 2 * time.Second
	var open []net.Conn
	return fault{
		name: "frozen for 2s with open connections", moves: moves, full: 20, short: 1, lasts: d + 100*time.Millisecond, freezes: true, rough: true,
		inject: func(r *round) {
			for range 20 {
				conn, err := r.dialClient(labService + ":81")
				if err != nil {
					r.t.Error(err)
					continue
				}
				_, _ = io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: lab\r\n\r\n")
				open = append(open, conn)
			}
			pause(r.t, 200*time.Millisecond)
			r.at = time.Now()
			r.owner.signal(syscall.SIGSTOP)
			must(r.t, "ip", "-n", r.node(r.owner.letter), "neigh", "flush", "all")
			owner := r.owner
			time.AfterFunc(d, func() { owner.signal(syscall.SIGCONT) })
		},
		check: func(r *round, t tally) (bad []string) {
			for _, conn := range open {
				_ = conn.Close()
			}
			open = nil
			for _, s := range t.seen {
				if s.node == r.owner.letter[0] && s.at.After(r.at.Add(time.Second)) {
					bad = append(bad, fmt.Sprintf("the frozen owner was heard %v after it was frozen (arp: %v)", s.at.Sub(r.at), s.arp))
				}
			}
			return bad[:min(len(bad), 3)]
		},
	}
}

// slowRequest is a planned switch while a request is answered that takes two seconds.
func slowRequest() fault {
	return fault{
		name: "planned switch, a slow request in flight", moves: moves, spares: true, full: 20, short: 1,
		inject: func(r *round) {
			answer := make(chan string, 1)
			r.keep["answer"] = answer
			go func() {
				text, err := r.request(labService+":81", "/slow")
				answer <- fmt.Sprint(text, err)
			}()
			pause(r.t, 300*time.Millisecond)
			r.at = time.Now()
			makePeerActive(r)
		},
		check: func(r *round, t tally) []string {
			bad := planned(r, t)
			if text := <-r.keep["answer"].(chan string); !strings.Contains(text, "finished") {
				bad = append(bad, fmt.Sprintf("the request in flight: %q", text))
			}
			return bad
		},
	}
}
