// Package socket opens the Unix sockets of the data folder, by which processes of one owner talk to each other.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// Listen makes DIR/NAME, a socket of that network ("unix", "unixpacket") that only the owner of the process can open, and replaces what is there. It gets its name only
// when everybody else's rights are gone. The folder is addressed through its descriptor, because the name of a socket may have 107 bytes only (unix(7)). Closing the
// listener does not remove the file. Errors are those of the system.
func Listen(ctx context.Context, network, dir, name string) (*net.UnixListener, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	fresh := name + ".new"
	if err := os.Remove(filepath.Join(dir, fresh)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), fresh))
	if err != nil {
		return nil, err
	}
	own := l.(*net.UnixListener)
	own.SetUnlinkOnClose(false)
	if err := os.Chmod(filepath.Join(dir, fresh), 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := os.Rename(filepath.Join(dir, fresh), filepath.Join(dir, name)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return own, nil
}
