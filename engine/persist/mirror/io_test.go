package mirror

import (
	"bufio"
	"bytes"
	"io"
)

func newWriter(w io.Writer) *bufio.Writer { return bufio.NewWriter(w) }
func newReader(b []byte) *bufio.Reader    { return bufio.NewReader(bytes.NewReader(b)) }
