package takeover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// Taken is what a running process gave to this one, which serves beside it until Confirm or Close.
type Taken struct {
	Files []File // the caller's
	c     conn
}

// Ask asks the process that runs on the data folder for what it holds and reads its facts. The error is of kind NotFound when none runs there, else Unavailable.
func Ask(ctx context.Context, dir string, facts any) (*Taken, error) {
	c, err := dial(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, &appliance.Error{Kind: appliance.NotFound, Op: "take over", Subject: dir, Message: "No appliance runs on the data folder " + dir + ".", Err: err}
	}
	if err != nil {
		return nil, failed(err)
	}
	t := &Taken{c: conn{c}}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err = t.c.send(message{Version: version}, nil); err == nil {
		t.Files, err = t.c.receiveAll(ConfirmWithin, facts)
	}
	if err != nil {
		c.Close()
		return nil, failed(err)
	}
	return t, nil
}

func failed(err error) error {
	var e *appliance.Error
	if errors.As(err, &e) {
		return err
	}
	return &appliance.Error{Kind: appliance.Unavailable, Op: "take over", Message: fmt.Sprintf("The running appliance could not be taken over: %v.", err), Err: err}
}

func dial(ctx context.Context, dir string) (*net.UnixConn, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	c, err := new(net.Dialer).DialContext(ctx, "unixpacket", fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), SocketName))
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// Confirm tells the old process that this one serves, and reads its last facts when it has let go.
func (t *Taken) Confirm(facts any) error {
	defer t.c.Close()
	if err := t.c.send(message{Confirm: true}, nil); err != nil {
		return failed(err)
	}
	files, err := t.c.receiveAll(ConfirmWithin, facts)
	for _, f := range files {
		_ = unix.Close(f.FD)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// Close ends the takeover: without Confirm before it, the old process goes on as if nothing had been.
func (t *Taken) Close() { t.c.Close() }
