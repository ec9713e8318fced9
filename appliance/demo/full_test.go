package demo

import (
	"bytes"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"evenkeel/engine/dicom"
	"evenkeel/engine/mllp"
)

// limitFiles makes writes beyond n bytes of a file fail, as a full disk does, until the test ends or the function returned is called.
func limitFiles(t *testing.T, n uint64) (lift func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	lift = func() {
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)
		signal.Reset(syscall.SIGXFSZ)
	}
	t.Cleanup(lift)
	return lift
}

func TestArchiveSaysWhenTheDiskIsFull(t *testing.T) {
	keep := t.TempDir()
	s := running(t, Options{Kind: DICOM, Keep: keep})
	a := associate(t, s, 0)
	o := Object(1, 500_000)
	store := func() (dicom.Status, error) {
		return a.Store(dicom.FileHeader{Class: o.Class, Instance: o.UID, TransferSyntax: o.TransferSyntax}, bytes.NewReader(o.DataSet))
	}
	lift := limitFiles(t, 200_000)
	status, err := store()
	lift()
	if err != nil || status != dicom.OutOfResources {
		t.Errorf("%v, %v", status, err)
	}
	if files, err := os.ReadDir(keep); err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if status, err := store(); err != nil || status != dicom.Success {
		t.Errorf("with room again: %v, %v", status, err)
	}
}

func TestReceiverSaysWhenTheDiskIsFull(t *testing.T) {
	folder := t.TempDir()
	s := running(t, Options{Kind: HL7, Keep: folder})
	conn := dial(t, s)
	in := mllp.NewReader(conn, mllp.ReaderOptions{})
	long := append(admission("LONG"), "NTE|1||"+strings.Repeat("x", 300_000)+"\r"...)
	for _, step := range []struct {
		id, code string
		message  []byte
		limit    uint64
	}{{"1", "AA", admission("1"), 200_000}, {"LONG", "AE", long, 200_000}, {"3", "AA", admission("3"), 200_000}, {"LONG", "AA", long, 1 << 30}} {
		lift := limitFiles(t, step.limit)
		ack, err := exchange(conn, in, step.message)
		lift()
		if err != nil || ack.Code != step.code || ack.ControlID != step.id {
			t.Errorf("message %s: %+v, %v", step.id, ack, err)
		}
		if got := kept(t, folder); (got[step.id] == 1) != (step.code == "AA") {
			t.Errorf("after message %s, kept %v", step.id, got)
		}
	}
	if got := kept(t, folder); len(got) != 3 || got["1"] != 1 || got["3"] != 1 || got["LONG"] != 1 {
		t.Errorf("kept %v", got)
	}
}
