package demo

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"evenkeel/engine/mllp"
)

func admission(id string) []byte {
	return []byte("MSH|^~\\&|RIS|HERE|VNA|THERE|20260101120000||ADT^A01|" + id + "|P|2.5\rPID|1||42\r")
}

// exchange sends a message and returns its acknowledgement.
func exchange(conn net.Conn, in *mllp.Reader, message []byte) (mllp.Acknowledgement, error) {
	if err := mllp.Write(conn, message); err != nil {
		return mllp.Acknowledgement{}, err
	}
	answer, err := in.Next()
	if err != nil {
		return mllp.Acknowledgement{}, err
	}
	return mllp.ParseAcknowledgement(answer)
}

// kept returns the control ids in a journal.
func kept(t *testing.T, folder string) map[string]int {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, journalName))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := map[string]int{}
	in := mllp.NewReader(file, mllp.ReaderOptions{})
	for {
		message, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		header, err := mllp.ParseHeader(message)
		if err != nil {
			t.Fatal(err)
		}
		out[header.ControlID]++
	}
}

func TestReceiverKeepsEveryMessageItAcknowledges(t *testing.T) {
	folder := t.TempDir()
	s := running(t, Options{Kind: HL7, Keep: folder})
	const clients, each = 8, 100
	var all sync.WaitGroup
	for c := range clients {
		conn := dial(t, s)
		all.Go(func() {
			in := mllp.NewReader(conn, mllp.ReaderOptions{})
			for i := range each {
				id := fmt.Sprintf("C%d-%d", c, i)
				if ack, err := exchange(conn, in, admission(id)); err != nil || ack.Code != "AA" || ack.ControlID != id {
					t.Errorf("message %s: %+v, %v", id, ack, err)
					return
				}
			}
		})
	}
	all.Wait()
	got := kept(t, folder)
	for c := range clients {
		for i := range each {
			if id := fmt.Sprintf("C%d-%d", c, i); got[id] != 1 {
				t.Errorf("message %s is kept %d times", id, got[id])
			}
		}
	}
	if s.Served() != clients*each {
		t.Errorf("served %d", s.Served())
	}
}

func TestReceiverRejectsAndFailsAsHL7Says(t *testing.T) {
	folder := t.TempDir()
	s := running(t, Options{Kind: HL7, Keep: folder})
	conn := dial(t, s)
	in := mllp.NewReader(conn, mllp.ReaderOptions{})
	if ack, err := exchange(conn, in, []byte("PID|1\r")); err != nil || ack.Code != "AR" || !strings.Contains(ack.Text, "MSH") {
		t.Errorf("without a header: %+v, %v", ack, err)
	}
	// An acknowledgement is not acknowledged: the next answer belongs to the next message.
	if err := mllp.Write(conn, mllp.Answer(mllp.Header{}, mllp.AnswerOptions{ID: "5"})); err != nil {
		t.Fatal(err)
	}
	if ack, err := exchange(conn, in, admission("6")); err != nil || ack.Code != "AA" || ack.ControlID != "6" {
		t.Errorf("after an acknowledgement: %+v, %v", ack, err)
	}
	if got := kept(t, folder); len(got) != 1 || got["6"] != 1 {
		t.Errorf("kept %v", got)
	}
	s.server.(*receiver).journal.close()
	if ack, err := exchange(conn, in, admission("7")); err != nil || ack.Code != "AE" || ack.ControlID != "7" || s.Served() != 1 {
		t.Errorf("when nothing can be written: %+v, %v, served %d", ack, err, s.Served())
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Next(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a client that does not speak MLLP is kept: %v", err)
	}
}

func TestJournalCutsOffAMessageThatWasBeingWritten(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	tests := []struct{ name, before, want string }{
		{"nothing", "", ""},
		{"whole", "\x0ba\x1c\r\x0bb\x1c\r", "\x0ba\x1c\r\x0bb\x1c\r"},
		{"short rest", "\x0ba\x1c\r\x0bb", "\x0ba\x1c\r"},
		{"end mark cut", "\x0ba\x1c\r\x0bb\x1c", "\x0ba\x1c\r"},
		{"long rest", "\x0ba\x1c\r\x0b" + long, "\x0ba\x1c\r"},
		{"rest only", "\x0b" + long, ""},
		{"end across the edge of a block", "\x0ba\x1c\r\x0b" + long[:64<<10-2], "\x0ba\x1c\r"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, journalName)
			if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := openJournal(folder)
			if err != nil {
				t.Fatal(err)
			}
			if err := j.append([]byte("next")); err != nil {
				t.Fatal(err)
			}
			j.close()
			got, err := os.ReadFile(path)
			if want := test.want + "\x0bnext\x1c\r"; err != nil || string(got) != want {
				t.Errorf("got %.40q (%d bytes), want %.40q (%d), %v", got, len(got), want, len(want), err)
			}
		})
	}
}
