package takeover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
	"evenkeel/appliance/socket"
)

// Offer is what a process gives to the one that takes over.
type Offer struct {
	Files []File // stay the giver's; the other process gets its own
	Facts any    // as JSON
	// Leave is called when the other process serves: this one lets go of everything and returns its last facts. An error makes no difference to the other process.
	Leave func() (facts any, err error)
	// Stay is called instead when the other process went away before that.
	Stay func()
}

// Options of Run.
type Options struct {
	Dir string // the data folder, whose lock the caller holds
	Log *slog.Logger
	// Give is called when a process asks. An error is told to it as a sentence.
	Give func(context.Context) (Offer, error)
}

// Run answers on DIR/takeover.sock until the context ends, which returns nil, or until this process was replaced, which returns the number of the process that
// replaced it. Errors are of kind Unavailable.
func Run(ctx context.Context, o Options) (replacedBy int, err error) {
	l, err := socket.Listen(ctx, "unixpacket", o.Dir, SocketName)
	if err != nil {
		return 0, &appliance.Error{
			Kind: appliance.Unavailable, Op: "open takeover socket", Message: fmt.Sprintf("The socket for a takeover in %s cannot be opened: %v.", o.Dir, err),
			Hint: "Look at the rights and the free space of that folder.", Err: err,
		}
	}
	file := filepath.Join(o.Dir, SocketName)
	own, _ := os.Lstat(file)
	defer func() {
		l.Close()
		if now, err := os.Lstat(file); err == nil && own != nil && os.SameFile(own, now) { // the next process may have put its own there
			_ = os.Remove(file)
		}
	}()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return 0, nil
		}
		if err != nil {
			return 0, &appliance.Error{Kind: appliance.Unavailable, Op: "accept takeover", Err: err}
		}
		pid, err := o.serve(ctx, conn{c})
		c.Close()
		if err == nil {
			return pid, nil
		}
		o.Log.Warn("takeover failed, this process goes on", "component", "takeover", "error", err.Error())
	}
}

// serve has one conversation; without an error this process was replaced.
func (o *Options) serve(ctx context.Context, c conn) (pid int, err error) {
	if pid, err = owner(c.UnixConn); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	hello, fds, err := c.receive(helloWithin)
	closeAll(fds)
	if err != nil {
		return 0, err
	}
	if hello.Version != version {
		refusal := fmt.Sprintf("This process speaks version %d of the takeover, the other one version %d.", version, hello.Version)
		return 0, errors.Join(errors.New("another version of the takeover"), c.send(message{Refused: refusal}, nil))
	}
	offer, err := o.Give(ctx)
	if err != nil {
		return 0, errors.Join(err, c.send(message{Refused: err.Error()}, nil))
	}
	if err = c.sendAll(offer.Files, offer.Facts); err == nil {
		var m message
		if m, fds, err = c.receive(ConfirmWithin); err == nil && !m.Confirm {
			err = errors.New("no confirmation")
		}
		closeAll(fds)
	}
	if err != nil {
		offer.Stay()
		return 0, err
	}
	last, err := offer.Leave()
	if err == nil {
		err = c.sendAll(nil, last)
	}
	if err != nil {
		o.Log.Warn("last facts not given", "component", "takeover", "error", err.Error())
	}
	return pid, nil
}

// owner makes sure that the process at the other end belongs to who owns this one, or to root, and returns its number.
func owner(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var who *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || failed != nil {
		return 0, errors.Join(err, failed)
	}
	if who.Uid != 0 && int(who.Uid) != os.Geteuid() {
		return 0, fmt.Errorf("process %d belongs to user %d", who.Pid, who.Uid)
	}
	return int(who.Pid), nil
}
