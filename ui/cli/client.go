package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"evenkeel/appliance"
	"evenkeel/ui/problem"
)

// prefix is where the REST interface stands.
const prefix = "/lbadmin/api/v1"

// A body of that size is sent when the appliance says that it takes it, or says nothing for that time: else its refusal would be lost behind a broken pipe.
const (
	largeBody = 256 << 10
	patience  = 5 * time.Second
)

// client asks the appliance behind a control socket.
type client struct {
	socket string
	http   *http.Client
}

func dial(socket string) *client {
	c := &client{socket: socket}
	c.http = &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.connect, ExpectContinueTimeout: patience}}
	return c
}

// connect addresses the folder through its descriptor, because the name of a socket may have 107 bytes only.
func (c *client) connect(ctx context.Context, _, _ string) (net.Conn, error) {
	folder, err := os.Open(filepath.Dir(c.socket))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return new(net.Dialer).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(c.socket)))
}

// answer is what came back.
type answer struct {
	header http.Header
	body   []byte
}

// errNotRunning marks the error of an appliance that does not run.
var errNotRunning = errors.New("no appliance answers")

// do sends a request. A refusal comes back as appliance.Errors, and as *appliance.StaleError when someone else was faster.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body any, ifMatch string) (answer, error) {
	address := url.URL{Scheme: "http", Host: "appliance", Path: prefix + path, RawQuery: query.Encode()}
	text, err := encoded(body)
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(text))
	if err != nil {
		return answer{}, &appliance.Error{Kind: appliance.Internal, Op: "make request", Err: err}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if len(text) >= largeBody {
		r.Header.Set("Expect", "100-continue")
	}
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}, c.unreached(ctx, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, &appliance.Error{Kind: appliance.Unavailable, Message: "The appliance ended in the middle of its answer.", Err: err}
	}
	if resp.StatusCode >= 400 {
		return answer{}, refusal(resp.StatusCode, got)
	}
	return answer{resp.Header, got}, nil
}

// encoded returns the body of a request: bytes as they are, all else as JSON.
func encoded(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return body, nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, &appliance.Error{Kind: appliance.Internal, Op: "write request", Err: err}
	}
	return text, nil
}

func (c *client) unreached(ctx context.Context, err error) error {
	dir := filepath.Dir(c.socket)
	e := &appliance.Error{Kind: appliance.Unavailable, Op: "ask the appliance", Err: err}
	switch {
	case ctx.Err() != nil:
		e.Message = "Interrupted; whether the appliance did it is not known."
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		e.Err = errors.Join(errNotRunning, err)
		e.Message = fmt.Sprintf("No appliance is running on %s.", dir)
		e.Hint = "Start it with: evenkeel serve --data " + dir + "; or name the folder of a running one with --data."
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Message = appliance.Denied, fmt.Sprintf("Only the owner of the appliance may use %s.", c.socket)
		e.Hint = "Run the command as that user, for example with sudo."
	default:
		e.Message = fmt.Sprintf("The appliance on %s does not answer: %v.", dir, err)
	}
	return e
}

// kindOf turns a status back into a kind.
func kindOf(status int) appliance.Kind {
	for _, k := range []appliance.Kind{
		appliance.Invalid, appliance.NotFound, appliance.Conflict, appliance.Stale, appliance.Denied, appliance.Unavailable,
	} {
		if problem.Status(k) == status {
			return k
		}
	}
	if status < 500 {
		return appliance.Invalid
	}
	return appliance.Internal
}

// refusal is the error that a problem tells of.
func refusal(status int, body []byte) error {
	var p problem.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status == 0 {
		return &appliance.Error{Kind: appliance.Internal, Message: fmt.Sprintf("The appliance answered with status %d.", status)}
	}
	kind := kindOf(status)
	var list appliance.Errors
	for _, e := range p.Errors {
		list = append(list, &appliance.Error{Kind: kind, Field: e.Field, Message: e.Message, Hint: e.Hint})
	}
	if len(list) == 0 {
		list = appliance.Errors{{Kind: kind, Message: p.Detail}}
	}
	if kind == appliance.Stale {
		return &appliance.StaleError{Err: list[0], Theirs: p.Current, Changed: appliance.Plan{Changes: p.Changed}}
	}
	switch {
	case p.HostKey != "":
		return &unconfirmedError{list, p.HostKey}
	case p.Steps != nil:
		return &stoppedError{list, p.Steps}
	}
	return list
}

// unconfirmedError is the refusal to speak to an appliance whose host key nobody compared.
type unconfirmedError struct {
	appliance.Errors
	key string
}

// Unwrap returns the refusal.
func (e *unconfirmedError) Unwrap() error { return e.Errors }

// stoppedError is a refusal behind which some steps were done.
type stoppedError struct {
	appliance.Errors
	steps []appliance.PairStep
}

// Unwrap returns the refusal.
func (e *stoppedError) Unwrap() error { return e.Errors }
