package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"evenkeel/appliance"
	"evenkeel/appliance/socket"
)

// SocketName is the name of the control socket in the data folder.
const SocketName = "control.sock"

// Socket serves handler on DIR/control.sock, which only the owner of the process can open, until the context ends; then it removes the socket. The caller holds
// the lock of the folder, so a socket that is there already was left behind and is replaced. Errors are of kind unavailable.
func Socket(ctx context.Context, dir string, handler http.Handler, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := socket.Listen(ctx, "unix", dir, SocketName)
	if err != nil {
		return &appliance.Error{
			Kind: appliance.Unavailable, Op: "open control socket", Message: fmt.Sprintf("The control socket in %s cannot be opened: %v.", dir, err),
			Hint: "Look at the rights and the free space of that folder.", Err: err,
		}
	}
	file := filepath.Join(dir, SocketName)
	own, _ := os.Lstat(file)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- shutdown(ctx, server) })
	err = server.Serve(l)
	if !stop() {
		err = <-stopped
	}
	if now, missing := os.Lstat(file); missing == nil && own != nil && os.SameFile(own, now) { // a process that took over has put its own there
		if gone := os.Remove(file); gone != nil {
			log.Warn("control socket not removed", "error", gone)
		}
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return &appliance.Error{Kind: appliance.Unavailable, Op: "serve control socket", Err: err}
	}
	return nil
}

// shutdown lets requests finish for a moment.
func shutdown(ctx context.Context, server *http.Server) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		return server.Close()
	}
	return nil
}
