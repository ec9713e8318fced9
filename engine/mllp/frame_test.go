package mllp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReaderTakesFramesAndRefusesTheRest(t *testing.T) {
	var frame *FrameError
	tests := []struct {
		name, stream string
		want         []string
		end          any // the error after the messages: a value for errors.Is, or &frame for errors.As
	}{
		{"nothing", "", nil, io.EOF},
		{"one", "\x0bMSH|a\r\x1c\r", []string{"MSH|a\r"}, io.EOF},
		{"two with line ends between", "\x0ba\x1c\r\r\n\x0bb\x1c\r\n", []string{"a", "b"}, io.EOF},
		{"empty message", "\x0b\x1c\r", []string{""}, io.EOF},
		{"no start", "HTTP/1.1 400 Bad Request\r\n", nil, &frame},
		{"cut in the message", "\x0bMSH|", nil, io.ErrUnexpectedEOF},
		{"cut before the last byte", "\x0bMSH|\x1c", nil, io.ErrUnexpectedEOF},
		{"end without carriage return", "\x0ba\x1c\n", nil, &frame},
		{"start inside", "\x0ba\x0bb\x1c\r", nil, &frame},
		{"at the bound", "\x0b" + strings.Repeat("x", 10000) + "\x1c\r", []string{strings.Repeat("x", 10000)}, io.EOF},
		{"above the bound", "\x0b" + strings.Repeat("x", 10001) + "\x1c\r", nil, ErrTooLarge},
		{"endless", "\x0b" + strings.Repeat("x", 50000), nil, ErrTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(test.stream), iotest.OneByteReader(strings.NewReader(test.stream))} {
				r := NewReader(in, ReaderOptions{MaxMessage: 10000})
				for _, want := range test.want {
					got, err := r.Next()
					if err != nil || string(got) != want {
						t.Fatalf("Next = %.40q, %v; want %.40q", got, err, want)
					}
				}
				got, err := r.Next()
				if want, ok := test.end.(error); ok && !errors.Is(err, want) || !ok && !errors.As(err, test.end) || got != nil {
					t.Fatalf("Next at the end = %.40q, %v; want %v", got, err, test.end)
				}
			}
		})
	}
}

func TestReaderQuotesWhatIsNotMLLP(t *testing.T) {
	_, err := NewReader(strings.NewReader("HTTP/1.1 400 Bad Request\r\n"), ReaderOptions{}).Next()
	if err == nil || !strings.Contains(err.Error(), `"HTTP/1.1 400 Bad Request`) {
		t.Fatalf("error %v does not show what came", err)
	}
}

func TestWriteRefusesWhatCannotBeFramed(t *testing.T) {
	for _, message := range []string{"a\x0bb", "a\x1cb"} {
		var out bytes.Buffer
		if err := Write(&out, []byte(message)); err == nil || out.Len() != 0 {
			t.Errorf("Write(%q) = %v and wrote %q", message, err, out.Bytes())
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x0bMSH|^~\\&|\r\x1c\r\r\n\x0b\x1c\r"))
	f.Add([]byte("\x0b\x0b\x1c\x1c\r"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream), ReaderOptions{MaxMessage: 1000})
		for range len(stream) + 1 {
			message, err := r.Next()
			if err != nil {
				return
			}
			if len(message) > 1000 {
				t.Fatalf("a message of %d bytes passed the bound", len(message))
			}
			frame, err := AppendFrame(nil, message)
			if err != nil || !bytes.Contains(stream, frame) {
				t.Fatalf("frame %q of an accepted message: %v; it is not in the stream %q", frame, err, stream)
			}
		}
		t.Fatal("more messages than bytes")
	})
}
