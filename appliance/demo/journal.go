package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"evenkeel/engine/mllp"
)

// journalName is the file that holds every accepted HL7 message in its frame.
const journalName = "messages.mllp"

// journal appends messages to a file, each whole or not at all.
type journal struct {
	mu   sync.Mutex // guards what follows
	file *os.File
	size int64 // end of the last whole message
}

// openJournal opens the file in a folder, which it makes when it is missing, and cuts off a message that was being written
// when the last process died: it was never acknowledged.
func openJournal(folder string) (*journal, error) {
	if err := makeFolder(folder); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, journalName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(folder, err)
	}
	j := &journal{file: file}
	if j.size, err = wholeLength(file); err == nil {
		err = file.Truncate(j.size)
	}
	if err != nil {
		_ = file.Close()
		return nil, unwritable(folder, err)
	}
	return j, nil
}

// wholeLength returns where the last whole frame of the file ends.
func wholeLength(file *os.File) (int64, error) {
	const step = 64 << 10
	end := []byte{0x1C, 0x0D}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	for to := size; to > 0; {
		from := max(0, to-step)
		block := make([]byte, to-from)
		if _, err := file.ReadAt(block, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndex(block, end); i >= 0 {
			return from + int64(i+len(end)), nil
		}
		if from == 0 {
			break
		}
		to = from + 1 // the end may lie across the edge
	}
	return 0, nil
}

// append writes one message; when it returns nil the kernel has all of it.
func (j *journal) append(message []byte) error {
	frame, err := mllp.AppendFrame(nil, message)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.WriteAt(frame, j.size); err != nil {
		return errors.Join(fmt.Errorf("append message: %w", err), j.file.Truncate(j.size))
	}
	j.size += int64(len(frame))
	return nil
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.file.Close() // a second time it is closed already
}
