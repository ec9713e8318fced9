// Package takeover passes what a running appliance holds to the process that replaces it: descriptors and facts, over a Unix socket in the data folder which only the
// owner can open. It knows nothing of what it passes; the two ends agree on names.
//
// The new process asks; the old one gives everything and goes on as before; the new one serves beside it and confirms; the old one lets go, gives its last facts and is
// replaced. Whatever goes wrong before the confirmation leaves the old one as it was.
package takeover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"evenkeel/appliance"
)

// SocketName is the name of the socket in the data folder.
const SocketName = "takeover.sock"

const (
	version     = 1
	maxMessage  = 16 << 10 // of one message, without its descriptors
	perMessage  = 200      // descriptors; the kernel takes 253 (SCM_MAX_FD, unix(7))
	maxFiles    = 1 << 20  // of one takeover
	maxFacts    = 1 << 30
	helloWithin = 5 * time.Second
	// ConfirmWithin is how long the new process may take to read the configuration and to serve it.
	ConfirmWithin = 2 * time.Minute
)

// message is one packet of the conversation.
type message struct {
	Version int      `json:"version,omitempty"` // of the asking process: the one of this conversation
	Names   []string `json:"names,omitempty"`   // one for each descriptor that comes with the message
	Last    bool     `json:"last,omitempty"`    // nothing follows before the other end speaks
	Confirm bool     `json:"confirm,omitempty"` // the new process serves
	Refused string   `json:"refused,omitempty"` // why the old process gives nothing
}

// nameFacts is the name of the descriptor that holds the facts.
const nameFacts = "facts"

// File is one descriptor with the name that both ends know it by.
type File struct {
	Name string
	FD   int
}

// conn sends and receives messages; each keeps its boundaries (SOCK_SEQPACKET).
type conn struct{ *net.UnixConn }

func (c conn) send(m message, fds []int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(b, rights, nil)
	return err
}

// receive returns a message and its descriptors, which are the caller's. On an error there are none.
func (c conn) receive(within time.Duration) (m message, fds []int, err error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	b, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*253))
	n, rn, flags, _, err := c.ReadMsgUnix(b, rights)
	if err != nil {
		return m, nil, err
	}
	if fds, err = descriptors(rights[:rn]); err != nil {
		return m, nil, err
	}
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	switch {
	case n == 0:
		return m, fds, io.EOF
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		return m, fds, errors.New("message too long")
	}
	if err = json.Unmarshal(b[:n], &m); err == nil && len(m.Names) != len(fds) {
		err = fmt.Errorf("%d descriptors with %d names", len(fds), len(m.Names))
	}
	return m, fds, err
}

func descriptors(rights []byte) ([]int, error) {
	list, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range list {
		more, err := unix.ParseUnixRights(&list[i])
		if err != nil {
			continue // another kind of message brings no descriptors
		}
		fds = append(fds, more...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// sendAll sends the files and, as one more, the facts, which may be of any size.
func (c conn) sendAll(files []File, facts any) error {
	memory, err := written(facts)
	if err != nil {
		return err
	}
	defer memory.Close()
	files = append(files[:len(files):len(files)], File{nameFacts, int(memory.Fd())})
	for len(files) > 0 {
		part := files[:min(perMessage, len(files))]
		files = files[len(part):]
		m := message{Last: len(files) == 0}
		fds := make([]int, len(part))
		for i, f := range part {
			m.Names, fds[i] = append(m.Names, f.Name), f.FD
		}
		if err := c.send(m, fds); err != nil {
			return err
		}
	}
	return nil
}

// receiveAll returns what sendAll sent, but for the facts, which it reads.
func (c conn) receiveAll(within time.Duration, facts any) (files []File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				_ = unix.Close(f.FD)
			}
			files = nil
		}
	}()
	memory := -1
	for {
		m, fds, err := c.receive(within)
		if err != nil {
			return files, err
		}
		for i, fd := range fds {
			files = append(files, File{m.Names[i], fd})
			if m.Names[i] == nameFacts {
				memory = fd
			}
		}
		switch {
		case m.Refused != "":
			return files, &appliance.Error{Kind: appliance.Unavailable, Op: "take over", Message: m.Refused}
		case len(files) > maxFiles:
			return files, errors.New("too many descriptors")
		case m.Last && memory < 0:
			return files, errors.New("no facts")
		case m.Last:
			files = files[:len(files)-1] // the facts come last
			return files, read(memory, facts)
		}
	}
}

// written returns an unnamed file in memory with v as JSON.
func written(v any) (*os.File, error) {
	fd, err := unix.MemfdCreate("evenkeel-takeover", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "facts")
	if err := json.NewEncoder(f).Encode(v); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func read(fd int, into any) error {
	f := os.NewFile(uintptr(fd), "facts")
	defer f.Close()
	if s, err := f.Stat(); err != nil || s.Size() > maxFacts {
		return errors.Join(err, errors.New("facts of an impossible size"))
	}
	return json.NewDecoder(io.NewSectionReader(f, 0, maxFacts)).Decode(into)
}
