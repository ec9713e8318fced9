package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/pkg/sftp"

	"evenkeel/appliance"
)

// line is an open connection to the folder of the other node.
type line struct {
	client *peerClient
	files  *sftp.Client
	peer   appliance.Membership
	ended  chan struct{} // closed when the connection is no more
}

// close ends the connection first: who is in the middle of a call over it stops waiting.
func (l *line) close() {
	l.client.Close()
	l.files.Close()
	<-l.ended
}

// wait tells when the connection has ended, whoever ended it.
func (l *line) wait() {
	_ = l.client.Wait()
	close(l.ended)
}

func openFolder(ctx context.Context, c *peerClient, m appliance.Membership, limit time.Duration) (*line, error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	_ = c.raw.SetDeadline(time.Now().Add(limit)) // a connection that takes no deadline ends with ctx
	f, err := begin(c.Client, func() (*sftp.Client, error) { return sftp.NewClient(c.Client) })
	if err != nil {
		c.Close()
		return nil, lost(m.Peer, err)
	}
	_ = c.raw.SetDeadline(time.Time{})
	l := &line{client: c, files: f, peer: m, ended: make(chan struct{})}
	go l.wait()
	return l, nil
}

func lost(peer appliance.Node, err error) error {
	return &appliance.Error{Kind: appliance.Unavailable, Op: "send settings", Message: fmt.Sprintf("The connection to %s was lost.", peer.Name), Err: err}
}

// guarded ends a call when its time is over or the context ends, by closing the connection.
func (l *line) guarded(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.client.Close() })
	defer stop()
	return f()
}

// read reads one of the files of the other node.
func (l *line) read(ctx context.Context, name string, most int64, into any) error {
	var b []byte
	err := l.guarded(ctx, askTime, func() error {
		f, err := l.files.Open("/" + name)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err = io.ReadAll(io.LimitReader(f, most+1))
		return err
	})
	if err != nil {
		return lost(l.peer.Peer, err)
	}
	if int64(len(b)) > most {
		return lost(l.peer.Peer, errors.New("an answer that is too long"))
	}
	if err := json.Unmarshal(b, into); err != nil {
		return lost(l.peer.Peer, err)
	}
	return nil
}

func (l *line) state(ctx context.Context) (state, error) {
	var s state
	if err := l.read(ctx, fileState+strconv.Itoa(Format), mostAnswer, &s); err != nil {
		return s, err
	}
	if s.Format != Format {
		return s, &appliance.Error{
			Kind: appliance.Unsupported, Op: "send settings", Message: fmt.Sprintf("%s has version %s, which takes no settings of this version.", l.peer.Peer.Name, clean(s.Version)),
			Hint: "Bring both nodes to the same version.",
		}
	}
	return s, nil
}

// give uploads a bundle under a name that does not count, gives it the one that does, and reads what became of it.
func (l *line) give(ctx context.Context, raw []byte, sequence uint64) (answer, error) {
	name := "/" + strconv.FormatUint(sequence, 10) + partSuffix
	err := l.guarded(ctx, sendTime, func() error {
		f, err := l.files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return err
		}
		if _, err := f.ReadFromWithConcurrency(bytes.NewReader(raw), 16); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		err = l.files.Rename(name, "/"+wholeName)
		var status *sftp.StatusError
		if errors.As(err, &status) { // the answer says why
			return nil
		}
		return err
	})
	if err != nil {
		return answer{}, lost(l.peer.Peer, err)
	}
	var a answer
	if err := l.read(ctx, fileAnswer, mostAnswer, &a); err != nil {
		return a, err
	}
	if a.Sequence != sequence && len(a.Refused) == 0 {
		return a, lost(l.peer.Peer, errors.New("the answer is to another bundle"))
	}
	return a, nil
}
