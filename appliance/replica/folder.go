package replica

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/pkg/sftp"

	"evenkeel/appliance"
)

// What a peer may keep in the folder. Nothing of it is a file of this machine: a name is only a name, so that no path, link or device leads anywhere.
const (
	mostFiles  = 4
	mostBytes  = 64 << 20 // in all files together
	mostReads  = 8        // files open for reading at a time
	partSuffix = ".part"
	wholeName  = "settings.bundle"
)

// The names of the files that can be read.
const (
	fileState   = "state-"  // and the format of who asks: what this node has
	fileAnswer  = "answer"  // what became of the last bundle
	fileRunning = "running" // the configuration that runs
)

// Who asks for the state says so which format it speaks, in every format.
var stateName = regexp.MustCompile(`^/` + fileState + `([1-9][0-9]{0,8})$`)

var partName = regexp.MustCompile(`^/[a-z0-9-]{1,64}\.part$`)

// folder is what one connection of the peer sees over SFTP.
type folder struct {
	ctx  context.Context // of the connection: SFTP's requests have none of their own
	from netip.Addr
	key  string
	r    *Receiver

	mu    sync.Mutex // guards what follows
	files map[string]*file
	bytes int64
	reads int
}

// file is an upload. It is whole when it was renamed.
type file struct {
	folder *folder
	open   bool
	b      []byte
}

func (f *folder) handlers() sftp.Handlers {
	return sftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f}
}

// refuse is the answer to everything that is not there. What a hostile peer tries is recorded.
func (f *folder) refuse(method, path string) error {
	f.r.refused(f.ctx, f.from, "There is no "+clean(method)+" of "+clean(path)+" here.")
	return sftp.ErrSSHFxPermissionDenied
}

// Fileread implements sftp.FileReader.
func (f *folder) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	var b []byte
	var err error
	asks := stateName.FindStringSubmatch(r.Filepath)
	switch {
	case asks != nil:
		format, _ := strconv.Atoi(asks[1]) // nine digits
		b, err = f.r.state(f.ctx, f.key, format)
	case r.Filepath == "/"+fileAnswer:
		b, err = f.r.answer()
	case r.Filepath == "/"+fileRunning:
		b, err = f.r.running(f.key)
	case r.Filepath == "/"+fileForks:
		b, err = f.r.forks(f.ctx, f.key)
	default:
		return nil, f.refuse(r.Method, r.Filepath)
	}
	if err != nil {
		return nil, errors.New(appliance.ErrorsOf(err)[0].Text())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads >= mostReads {
		return nil, sftp.ErrSSHFxFailure
	}
	f.reads++
	return &reading{Reader: bytes.NewReader(b), folder: f}, nil
}

// reading is a file that is open for reading.
type reading struct {
	*bytes.Reader
	folder *folder
	once   sync.Once
}

// Close implements io.Closer.
func (r *reading) Close() error {
	r.once.Do(func() {
		r.folder.mu.Lock()
		defer r.folder.mu.Unlock()
		r.folder.reads--
	})
	return nil
}

// Filewrite implements sftp.FileWriter. A file is written anew each time.
func (f *folder) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	flags := r.Pflags()
	if !partName.MatchString(r.Filepath) || !flags.Write || flags.Read || flags.Append {
		return nil, f.refuse(r.Method, r.Filepath)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.files[r.Filepath]; old != nil {
		if old.open {
			return nil, sftp.ErrSSHFxFailure
		}
		f.remove(r.Filepath)
	}
	if len(f.files) >= mostFiles {
		return nil, errors.New("too many files")
	}
	w := &file{folder: f, open: true}
	f.files[r.Filepath] = w
	return w, nil
}

func (f *folder) remove(path string) {
	f.bytes -= int64(len(f.files[path].b))
	delete(f.files, path)
}

// WriteAt implements io.WriterAt.
func (w *file) WriteAt(b []byte, at int64) (int, error) {
	f := w.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	end := at + int64(len(b))
	if at < 0 || end < at || end > mostBytes || !w.open {
		return 0, sftp.ErrSSHFxFailure
	}
	if more := end - int64(len(w.b)); more > 0 {
		if f.bytes+more > mostBytes {
			return 0, errors.New("the folder is full")
		}
		f.bytes += more
		w.b = append(w.b, make([]byte, more)...)
	}
	return copy(w.b[at:end], b), nil
}

// Close implements io.Closer.
func (w *file) Close() error {
	w.folder.mu.Lock()
	defer w.folder.mu.Unlock()
	w.open = false
	return nil
}

// Filecmd implements sftp.FileCmder: renaming an upload to its whole name is what makes it count; renaming one of a few names
// to another ends the pair, or restarts the heartbeat.
func (f *folder) Filecmd(r *sftp.Request) error {
	switch {
	case r.Method == "Rename" && partName.MatchString(r.Filepath) && r.Target == "/"+wholeName:
		return f.take(r.Filepath)
	case r.Method == "Remove" && partName.MatchString(r.Filepath):
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.files[r.Filepath] == nil {
			return os.ErrNotExist
		}
		f.remove(r.Filepath)
		return nil
	case r.Method == "Rename" && r.Target == "/"+fileDone && (r.Filepath == "/"+fileKeep || r.Filepath == "/"+fileLeave):
		return f.r.end(f.ctx, f.from, f.key, r.Filepath == "/"+fileKeep)
	case r.Method == "Rename" && r.Target == "/"+fileDone && r.Filepath == "/"+fileRestart && f.r.o.Restart != nil:
		return f.r.restart(f.ctx, f.key)
	case r.Method == "Setstat" && partName.MatchString(r.Filepath):
		return nil // clients set times and modes; there are none
	}
	path := r.Filepath
	if r.Target != "" {
		path += " to " + r.Target
	}
	return f.refuse(r.Method, path)
}

func (f *folder) take(path string) error {
	f.mu.Lock()
	w := f.files[path]
	if w == nil || w.open {
		f.mu.Unlock()
		return os.ErrNotExist
	}
	b := w.b
	f.remove(path)
	f.mu.Unlock()
	return f.r.take(f.ctx, f.from, f.key, b)
}

// Filelist implements sftp.FileLister: nothing is listed.
func (f *folder) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method == "Stat" && strings.HasSuffix(r.Filepath, partSuffix) {
		return nil, os.ErrNotExist
	}
	return nil, f.refuse(r.Method, r.Filepath)
}
