package monitor

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// The bounds of an answer in lines.
const (
	maxLine    = 1024 // bytes of one line
	maxReplies = 100  // lines of one answer
)

// errLine says that a line is longer than any of its protocol.
var errLine = errors.New("the line is too long")

// lineReader bounds each line by its buffer and the whole answer.
func lineReader(in io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(io.LimitReader(in, maxLine*maxReplies), maxLine)
}

// readLine returns one line without its end. On errLine it returns the line's beginning; a line that the peer did not end is an error and what came of it.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return string(line), errLine
	}
	return strings.TrimRight(string(line), "\r\n"), err
}
