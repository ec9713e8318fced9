package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/appliance"
)

// serve runs Socket in dir and returns a client for it and a function that ends it.
func serve(t *testing.T, dir string, handler http.Handler) (*http.Client, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Socket(ctx, dir, handler, nil) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		folder, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer folder.Close()
		return new(net.Dialer).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), SocketName))
	}}}
	deadline := time.Now().Add(10 * time.Second)
	for {
		resp, err := client.Get("http://appliance" + Prefix + "/version")
		if err == nil {
			_ = resp.Body.Close()
			return client, func() error { cancel(); return <-ended }
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestSocketIsTheAdministratorsAndEndsCleanly(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30)) // longer than the name of a socket may be
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, SocketName), nil, 0o666); err != nil { // left behind
		t.Fatal(err)
	}
	client, end := serve(t, dir, p.api.ConsoleHandler())
	at, err := os.Stat(filepath.Join(dir, SocketName))
	if err != nil || at.Mode().Perm() != 0o600 || at.Mode().Type() != fs.ModeSocket {
		t.Errorf("%v %v", at, err)
	}
	resp, err := client.Post("http://appliance"+Prefix+"/virtual-services", "application/json", strings.NewReader(hl7))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if _ = resp.Body.Close(); err != nil || resp.StatusCode != http.StatusCreated {
		t.Errorf("%d %s %v", resp.StatusCode, text, err)
	}
	if o := p.control.Saved().Revision.Origin; o.Operator != "console" || o.Via != "cli" {
		t.Errorf("%+v", o)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := Socket(t.Context(), filepath.Join(dir, "absent"), nil, nil); appliance.KindOf(err) != appliance.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestSocketAnswersWhatIsUnderWayBeforeItEnds(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			close(entered)
			<-leave
		}
		w.WriteHeader(http.StatusNoContent)
	})
	client, end := serve(t, t.TempDir(), slow)
	answered := make(chan error, 1)
	go func() {
		resp, err := client.Post("http://appliance/", "", nil)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusNoContent {
				err = errors.New(resp.Status)
			}
		}
		answered <- err
	}()
	<-entered
	ended := make(chan error, 1)
	go func() { ended <- end() }()
	close(leave)
	if err := errors.Join(<-answered, <-ended); err != nil {
		t.Error(err)
	}
}
