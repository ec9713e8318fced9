package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// FileName is the newest file; older ones have .1, .2 and so on behind their name.
const FileName = "traffic.log"

// file is the log's local file. It belongs to whoever holds the log's lock.
type file struct {
	path string
	open *os.File
	size int64
	lost uint64 // lines that could not be written
}

// write appends whole lines, turning over before the file grows beyond most bytes, and returns how many lines are written. count is how many files stay.
func (f *file) write(batch []byte, most int64, count int) (lines int, err error) {
	for len(batch) > 0 {
		if err := f.prepare(most, count); err != nil {
			return lines, err
		}
		part := batch[:wholeLines(batch, most-f.size)]
		n, err := f.open.Write(part)
		f.size += int64(n)
		if err != nil {
			whole := bytes.LastIndexByte(part[:n], '\n') + 1 // half a line must not become the beginning of another
			if f.open.Truncate(f.size-int64(n-whole)) == nil {
				f.size -= int64(n - whole)
			}
			f.close()
			return lines + countLines(part[:whole]), err
		}
		lines += countLines(part)
		batch = batch[len(part):]
	}
	return lines, nil
}

// wholeLines is how much of batch fits into room, at least one line.
func wholeLines(batch []byte, room int64) int {
	if int64(len(batch)) <= room {
		return len(batch)
	}
	if n := bytes.LastIndexByte(batch[:max(room, 0)], '\n'); n >= 0 {
		return n + 1
	}
	return bytes.IndexByte(batch, '\n') + 1
}

// prepare opens the file, and turns it over when it is full.
func (f *file) prepare(most int64, count int) error {
	if f.open != nil {
		if there, err := os.Stat(f.path); err != nil || !same(f.open, there) { // moved or removed by somebody
			f.close()
		}
	}
	if f.open == nil {
		if err := f.reopen(); err != nil {
			return err
		}
	}
	if f.size < most {
		return nil
	}
	f.close()
	if err := turnOver(f.path, count); err != nil {
		return err
	}
	return f.reopen()
}

func same(open *os.File, there fs.FileInfo) bool {
	ours, err := open.Stat()
	return err == nil && os.SameFile(ours, there)
}

func (f *file) reopen() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	open, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	stat, err := open.Stat()
	if err != nil {
		open.Close()
		return err
	}
	f.open, f.size = open, stat.Size()
	return nil
}

// turnOver makes room for a new file: the oldest goes, the others move on by one.
func turnOver(path string, count int) error {
	for i := count; ; i++ { // more may be there when the number was lowered
		err := os.Remove(older(path, i))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
	}
	for i := count - 1; i > 0; i-- {
		if err := os.Rename(older(path, i-1), older(path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if count == 1 {
		return os.Remove(path)
	}
	return nil
}

// older is the name of the n-th file, 0 being the newest.
func older(path string, n int) string {
	if n == 0 {
		return path
	}
	return path + "." + strconv.Itoa(n)
}

func (f *file) close() {
	if f.open != nil {
		_ = f.open.Close() // what could not be written was told when it was
		f.open = nil
	}
}

func countLines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }

// cause is what the kernel said, without the path.
func cause(err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		return fmt.Errorf("%s: %w", filepath.Base(at.Path), at.Err)
	case errors.As(err, &link):
		return fmt.Errorf("%s: %w", filepath.Base(link.Old), link.Err)
	}
	return err
}
