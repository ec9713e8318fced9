package demo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/engine/dicom"
)

const (
	jpegBaseline = "1.2.840.10008.1.2.4.50"
	ctImage      = "1.2.840.10008.5.1.4.1.1.2"
)

func storageOffers() []dicom.ContextOffer {
	return []dicom.ContextOffer{
		{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []string{dicom.ImplicitLittleEndian}},
		{ID: 3, AbstractSyntax: dicom.SecondaryCapture, TransferSyntaxes: []string{dicom.ExplicitLittleEndian, dicom.ImplicitLittleEndian}},
		{ID: 5, AbstractSyntax: dicom.SecondaryCapture, TransferSyntaxes: []string{jpegBaseline}},
		{ID: 7, AbstractSyntax: ctImage, TransferSyntaxes: []string{dicom.ExplicitBigEndian}},
		{ID: 9, AbstractSyntax: "1.3.6.1.4.1.99.1", TransferSyntaxes: []string{"1.3.6.1.4.1.99.2"}},
		{ID: 11, AbstractSyntax: "1.2.840.10008.5.1.4.1.2.1.1", TransferSyntaxes: []string{dicom.ImplicitLittleEndian}}, // patient root C-FIND
	}
}

func associate(t *testing.T, s *Sample, maxPDU uint32) *dicom.Association {
	t.Helper()
	a, err := dicom.Associate(dial(t, s), dicom.AssociateOptions{Called: "WHATEVER", Contexts: storageOffers(), MaxPDU: maxPDU})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestArchiveKeepsEveryTransferSyntaxByteForByte(t *testing.T) {
	keep := filepath.Join(t.TempDir(), "made", "by", "open")
	s := running(t, Options{Kind: DICOM, Keep: keep})
	a := associate(t, s, 0)
	objects := []dicom.FileHeader{
		{Class: dicom.SecondaryCapture, Instance: "2.25.1", TransferSyntax: dicom.ExplicitLittleEndian},
		{Class: dicom.SecondaryCapture, Instance: "2.25.2", TransferSyntax: jpegBaseline},
		{Class: ctImage, Instance: "2.25.3", TransferSyntax: dicom.ExplicitBigEndian},
		{Class: "1.3.6.1.4.1.99.1", Instance: "2.25.4", TransferSyntax: "1.3.6.1.4.1.99.2"},
	}
	for i, object := range objects {
		sent := bytes.Repeat([]byte{byte(i), 'x', 0, 0xFF}, 100_000*i+1)
		if status, err := a.Store(object, bytes.NewReader(sent)); err != nil || status != dicom.Success {
			t.Fatalf("%+v: %v, %v", object, status, err)
		}
		file, err := os.ReadFile(filepath.Join(keep, object.Instance+".dcm"))
		if err != nil {
			t.Fatal(err)
		}
		header, set, err := dicom.SplitFile(file)
		if err != nil || header != object || !bytes.Equal(set, sent) {
			t.Errorf("%+v was kept as %+v, %d of %d bytes, %v", object, header, len(set), len(sent), err)
		}
	}
	if status, err := a.Echo(); err != nil || status != dicom.Success {
		t.Errorf("C-ECHO in between: %v, %v", status, err)
	}
	if _, err := a.Context("1.2.840.10008.5.1.4.1.2.1.1", ""); err == nil || !strings.Contains(err.Error(), "abstract syntax not supported") {
		t.Errorf("a query service: %v", err)
	}
	if err := a.Release(); err != nil || s.Served() != 4 {
		t.Errorf("release: %v, served %d", err, s.Served())
	}
}

func TestArchiveServesManyAssociationsAtOnce(t *testing.T) {
	keep := t.TempDir()
	s := running(t, Options{Kind: DICOM, Keep: keep})
	var clients sync.WaitGroup
	for c := range 8 {
		a := associate(t, s, 16<<10)
		clients.Go(func() {
			for i := range 5 {
				o := Object(uint64(c*100+i), 1<<(10+2*i))
				status, err := a.Store(dicom.FileHeader{Class: o.Class, Instance: o.UID, TransferSyntax: o.TransferSyntax}, bytes.NewReader(o.DataSet))
				if err != nil || status != dicom.Success {
					t.Errorf("client %d: %v, %v", c, status, err)
					return
				}
				kept, err := os.ReadFile(filepath.Join(keep, o.UID+".dcm"))
				if err != nil || !bytes.HasSuffix(kept, o.DataSet) {
					t.Errorf("client %d: object of %d bytes kept as %d, %v", c, len(o.DataSet), len(kept), err)
				}
			}
			if err := a.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if files, err := os.ReadDir(keep); err != nil || len(files) != 40 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestArchiveWithoutFolderOnlyCounts(t *testing.T) {
	s := running(t, Options{Kind: DICOM})
	a := associate(t, s, 0)
	o := Object(1, 100_000)
	status, err := a.Store(dicom.FileHeader{Class: o.Class, Instance: o.UID, TransferSyntax: o.TransferSyntax}, bytes.NewReader(o.DataSet))
	if err != nil || status != dicom.Success || s.Served() != 1 {
		t.Errorf("%v, %v, served %d", status, err, s.Served())
	}
}

func TestArchiveSaysWhenItCannotWriteAndGoesOn(t *testing.T) {
	keep := filepath.Join(t.TempDir(), "gone")
	s := running(t, Options{Kind: DICOM, Keep: keep})
	if err := os.Remove(keep); err != nil {
		t.Fatal(err)
	}
	a := associate(t, s, 0)
	o := Object(1, 300_000)
	status, err := a.Store(dicom.FileHeader{Class: o.Class, Instance: o.UID, TransferSyntax: o.TransferSyntax}, bytes.NewReader(o.DataSet))
	if err != nil || status != dicom.OutOfResources || s.Served() != 0 {
		t.Errorf("%v, %v, served %d", status, err, s.Served())
	}
	if status, err := a.Echo(); err != nil || status != dicom.Success {
		t.Errorf("afterwards: %v, %v", status, err)
	}
}

// brokenReader gives some bytes and then fails.
type brokenReader struct{ left int }

func (r *brokenReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, fmt.Errorf("the disk is gone")
	}
	n := min(len(p), r.left)
	r.left -= n
	return n, nil
}

func TestArchiveKeepsNothingOfAnObjectThatDidNotCome(t *testing.T) {
	keep := t.TempDir()
	s := running(t, Options{Kind: DICOM, Keep: keep})
	for _, end := range []func(*dicom.Association){(*dicom.Association).Abort, func(*dicom.Association) {}} {
		conn := dial(t, s)
		a, err := dicom.Associate(conn, dicom.AssociateOptions{Contexts: storageOffers()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Store(dicom.FileHeader{Class: ctImage, Instance: "2.25.9", TransferSyntax: dicom.ExplicitBigEndian}, &brokenReader{left: 400_000}); err == nil {
			t.Fatal("the broken object was stored")
		}
		end(a)
		_ = conn.CloseWrite()
		if n, _ := conn.Read(make([]byte, 100)); n > 0 {
			t.Error("the object was answered")
		}
	}
	deadline := time.Now().Add(time.Minute)
	for {
		files, err := os.ReadDir(keep)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v", files)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestProviderAbortsWhatBreaksTheProtocol(t *testing.T) {
	s := running(t, Options{Kind: DICOM})
	for _, stream := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00", "\x01\x00\x00\x00\x00\x02\x00\x00"} {
		conn := dial(t, s)
		if _, err := conn.Write([]byte(stream)); err != nil {
			t.Fatal(err)
		}
		unit, err := dicom.NewReader(conn, dicom.ReaderOptions{}).Next()
		if _, ok := unit.(*dicom.Aborted); !ok {
			t.Errorf("%q was answered with %+v, %v", stream, unit, err)
		}
	}
	if _, err := dicom.Echo(dial(t, s), dicom.EchoOptions{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestFileNameStaysInItsFolder(t *testing.T) {
	for uid, want := range map[string]string{
		"1.2.840.1": "1.2.840.1", "": "", "../../etc/passwd": "_._.._etc_passwd", ".hidden": "_hidden", "a\x00b\\c\n": "a_b_c_",
		"..": "_.", strings.Repeat("1", 100): strings.Repeat("1", 64),
	} {
		if got := fileName(uid); got != want {
			t.Errorf("fileName(%q) = %q, want %q", uid, got, want)
		}
	}
}

func TestObjectHasItsSizeAndIsReadable(t *testing.T) {
	for _, size := range []int{0, 1024, 1025, 1026, 1500, 4096, 65_536, 70_000, 300_001, 3 << 20, 20 << 20} {
		o := Object(uint64(size), size)
		if want := size &^ 1; size >= 1024 && len(o.File) != want {
			t.Errorf("size %d: the file has %d bytes", size, len(o.File))
		}
		header, set, err := dicom.SplitFile(o.File)
		if err != nil || header != (dicom.FileHeader{Class: o.Class, Instance: o.UID, TransferSyntax: o.TransferSyntax}) || !bytes.Equal(set, o.DataSet) {
			t.Fatalf("size %d: %+v, %v", size, header, err)
		}
		elements, err := dicom.DecodeDataSet(o.TransferSyntax, set)
		if err != nil || elements.Text(dicom.SOPInstanceUID) != o.UID {
			t.Errorf("size %d: %v", size, err)
		}
		rows, _ := elements.Get(dicom.Rows)
		columns, _ := elements.Get(dicom.Columns)
		pixels, _ := elements.Get(dicom.PixelData)
		number := func(e dicom.Element) int { return int(e.Value[0]) | int(e.Value[1])<<8 }
		if number(rows)*number(columns) != len(pixels.Value) || len(pixels.Value) == 0 {
			t.Errorf("size %d: %d rows of %d columns have %d pixels", size, number(rows), number(columns), len(pixels.Value))
		}
	}
	if a, b := Object(1, 2000), Object(1, 2000); !bytes.Equal(a.File, b.File) {
		t.Error("equal seeds give different objects")
	}
	if Object(1, 2000).UID == Object(2, 2000).UID {
		t.Error("different seeds give equal UIDs")
	}
}
