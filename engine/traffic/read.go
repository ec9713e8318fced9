package traffic

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"evenkeel/appliance"
)

const (
	searched  = 16 << 20 // bytes that one search looks at, from the newest on
	readPiece = 256 << 10
)

// Filter says which lines are wanted; its zero value wants all.
type Filter struct {
	Service  string // label; empty: of every service
	Contains string // text that must be in the line; empty: any
	Newest   int    // bytes that are looked at, from the newest on; 0: 16 MB
}

// wants returns what must be in a line.
func (f *Filter) wants() [][]byte {
	var out [][]byte
	if f.Service != "" {
		out = append(out, append(appendLabel([]byte(" service="), f.Service), ' '))
	}
	if f.Contains != "" {
		out = append(out, []byte(f.Contains))
	}
	return out
}

func holds(line []byte, wants [][]byte) bool {
	for _, w := range wants {
		if !bytes.Contains(line, w) {
			return false
		}
	}
	return true
}

// Last returns the newest lines that a filter wants, at most limit, the oldest of them first, without line feeds. whole tells whether every line that is kept
// was looked at.
func (l *Log) Last(f Filter, limit int) (lines []string, whole bool, err error) {
	wants, left := f.wants(), searched
	if f.Newest > 0 {
		left = f.Newest
	}
	for n := 0; ; n++ {
		if l.file == nil {
			return nil, true, nil
		}
		some, read, err := lastOf(older(l.file.path, n), wants, limit-len(lines), left)
		if errors.Is(err, fs.ErrNotExist) {
			return lines, true, nil
		}
		if err != nil {
			return nil, false, &appliance.Error{Kind: appliance.Unavailable, Op: "read traffic log", Message: "The traffic log cannot be read.", Err: err}
		}
		lines = append(some, lines...)
		if left -= read; left <= 0 || len(lines) >= limit {
			return lines, false, nil
		}
	}
}

// lastOf reads a file from its end and returns the last lines that are wanted, and how much it read.
func lastOf(path string, wants [][]byte, limit, most int) (lines []string, read int, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	stat, err := in.Stat()
	if err != nil {
		return nil, 0, err
	}
	var rest []byte // the beginning of what was read before: the end of a line
	for at := stat.Size(); at > 0 && read < most && len(lines) < limit; {
		n := min(at, readPiece)
		at -= n
		piece := make([]byte, int(n), int(n)+len(rest))
		if _, err := in.ReadAt(piece, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, read, err
		}
		read += int(n)
		piece = append(piece, rest...)
		cut := 0
		if at > 0 {
			cut = bytes.IndexByte(piece, '\n') + 1
			rest = slices.Clone(piece[:cut])
		}
		lines = appendBackward(lines, piece[cut:], wants, limit)
	}
	slices.Reverse(lines)
	return lines, read, nil
}

// appendBackward appends the wanted lines of text, the last first.
func appendBackward(lines []string, text []byte, wants [][]byte, limit int) []string {
	for len(text) > 0 && len(lines) < limit {
		text = bytes.TrimSuffix(text, []byte{'\n'})
		start := bytes.LastIndexByte(text, '\n') + 1
		if line := text[start:]; len(line) > 0 && holds(line, wants) {
			lines = append(lines, string(line))
		}
		text = text[:start]
	}
	return lines
}

// WriteTo writes every line that is kept and that a filter wants, the oldest first.
func (l *Log) WriteTo(w io.Writer, f Filter) error {
	if l.file == nil {
		return nil
	}
	var names []string
	for n := 0; ; n++ {
		if _, err := os.Stat(older(l.file.path, n)); err != nil {
			break
		}
		names = append(names, older(l.file.path, n))
	}
	wants := f.wants()
	for _, name := range slices.Backward(names) {
		if err := copyWanted(w, name, wants); err != nil {
			return &appliance.Error{Kind: appliance.Unavailable, Op: "read traffic log", Message: "The traffic log cannot be read.", Err: err}
		}
	}
	return nil
}

func copyWanted(w io.Writer, name string, wants [][]byte) error {
	in, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // turned over meanwhile
	}
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 && holds(line, wants) {
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
