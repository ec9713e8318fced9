package demo

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"evenkeel/appliance"
	"evenkeel/engine/dicom"
)

// archive is a storage service: it takes every object, and keeps it as a file when it has a folder.
type archive struct {
	keep   string
	served *atomic.Int64
}

// openArchive makes the folder, if one is named, and looks whether it can be written.
func openArchive(keep string, served *atomic.Int64) (*archive, error) {
	a := &archive{keep: keep, served: served}
	if keep == "" {
		return a, nil
	}
	if err := makeFolder(keep); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(keep, ".probe-*")
	if err != nil {
		return nil, unwritable(keep, err)
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	return a, nil
}

func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	return &appliance.Error{
		Kind: appliance.Denied, Op: "open sample", Subject: path, Field: "keep", Message: fmt.Sprintf("The folder %s cannot be written.", path),
		Hint: "Choose another folder, or give this user the right to write there.", Err: err,
	}
}

// negotiate takes every storage class in whatever transfer syntax is offered first, since nothing is decoded.
func (a *archive) negotiate(offer dicom.ContextOffer) dicom.ContextAnswer {
	if !storageClass(offer.AbstractSyntax) {
		return refuse(offer, dicom.ContextNoAbstractSyntax)
	}
	return first(offer)
}

// storageClass reports whether a class is one of PS3.4 annex B, or private.
func storageClass(uid string) bool {
	const standard, composite = "1.2.840.10008.", "1.2.840.10008.5.1.4.1.1."
	switch uid {
	case "1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10", // RT beams delivery instructions
		"1.2.840.10008.5.1.4.43.1", "1.2.840.10008.5.1.4.44.1", "1.2.840.10008.5.1.4.45.1": // implant templates
		return true
	}
	return strings.HasPrefix(uid, composite) || !strings.HasPrefix(uid, standard)
}

func (a *archive) handle(m *message) error {
	if m.command.Field != dicom.StoreRequest {
		return m.reply(dicom.UnrecognizedOperation, "", nil)
	}
	name := fileName(m.command.Instance)
	switch {
	case name == "":
		return m.reply(dicom.InvalidInstance, "no SOP instance UID", nil)
	case !m.command.HasDataSet:
		return m.reply(dicom.CannotUnderstand, "no data set", nil)
	}
	written, err := a.receive(m, name)
	switch {
	case err != nil:
		return err
	case written != nil:
		return m.reply(dicom.OutOfResources, "the object could not be written", nil)
	}
	a.served.Add(1)
	return m.reply(dicom.Success, "", nil)
}

// receive takes the data set as it comes. written says why it could not be kept; err, why it did not come whole.
func (a *archive) receive(m *message, name string) (written, err error) {
	if a.keep == "" {
		_, err := io.Copy(io.Discard, m.link.DataSet())
		return nil, err
	}
	file, err := os.CreateTemp(a.keep, ".receiving-*")
	if err != nil {
		return err, nil
	}
	defer os.Remove(file.Name()) // gone already when all went well
	sink := &sink{file: file}
	sink.header(dicom.FileHeader{Class: m.command.Class, Instance: m.command.Instance, TransferSyntax: m.context.TransferSyntax})
	_, err = io.Copy(sink, m.link.DataSet())
	closed := file.Close()
	switch {
	case err != nil:
		return nil, err
	case sink.err != nil:
		return sink.err, nil
	case closed != nil:
		return closed, nil
	}
	return os.Rename(file.Name(), filepath.Join(a.keep, name+".dcm")), nil
}

// sink writes to a file until that fails, and then swallows the rest, so that the association stays in step.
type sink struct {
	file *os.File
	err  error
}

func (s *sink) header(h dicom.FileHeader) {
	header, err := dicom.AppendFileHeader(nil, h)
	if err != nil {
		s.err = err
		return
	}
	_, _ = s.Write(header)
}

// Write never fails: err keeps the reason.
func (s *sink) Write(p []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.file.Write(p)
	}
	return len(p), nil
}

// fileName makes an instance UID a name that stays in its folder. It is empty when the UID is.
func fileName(uid string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.', r == '-':
			return r
		}
		return '_'
	}, uid[:min(len(uid), 64)])
	if strings.HasPrefix(name, ".") {
		name = "_" + name[1:]
	}
	return name
}
