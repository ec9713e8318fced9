package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	"evenkeel/appliance"
)

// maxEvent is the longest line that is read; longer ones are not ours.
const maxEvent = 16 << 10

// maxSentence bounds what is kept of a sentence, which may hold what a server said.
const maxSentence = 2 << 10

// file is two files of lines, one JSON object each: the current one, and the one before it. Appending beyond the size makes the current one the one before.
type file struct {
	path string
	size int64
	next int64 // id of the next event; 0: not known yet

	begun bool // something was appended since the start
}

func (f *file) append(events []appliance.HealthEvent) error {
	if len(events) == 0 {
		return nil
	}
	if f.next == 0 {
		if err := f.each(func(*appliance.HealthEvent) {}); err != nil {
			return err
		}
	}
	var text []byte
	if !f.begun { // the last line may be half of one
		text = append(text, '\n')
	}
	for i := range events {
		e := &events[i]
		e.ID, f.next = f.next, f.next+1
		if len(e.Sentence) > maxSentence {
			e.Sentence = e.Sentence[:maxSentence]
		}
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	if seen, err := os.Stat(f.path); err == nil && seen.Size() > 0 && seen.Size()+int64(len(text)) > f.size {
		if err := os.Rename(f.path, f.path+".1"); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	err = errors.Join(err, out.Close())
	f.begun = f.begun || err == nil
	return err
}

// each shows every event, the oldest first. Lines that are damaged, as the last one may be after a loss of power, are passed over.
func (f *file) each(see func(*appliance.HealthEvent)) error {
	last := int64(0)
	for _, path := range []string{f.path + ".1", f.path} {
		in, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = lines(in, func(line []byte) {
			var e appliance.HealthEvent
			if json.Unmarshal(line, &e) == nil && e.ServiceID != "" && !e.At.IsZero() {
				last = max(last, e.ID)
				see(&e)
			}
		})
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	f.next = max(f.next, last+1)
	return nil
}

// lines shows each line; one that is too long is passed over.
func lines(in io.Reader, see func([]byte)) error {
	r := bufio.NewReaderSize(in, maxEvent)
	for skipping := false; ; {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			skipping = true
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if !skipping && len(line) > 0 {
			see(line)
		}
		if skipping = false; err != nil {
			return nil
		}
	}
}
