package demo

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"evenkeel/engine/dicom"
)

// maxIdentifier bounds the data set of a query.
const maxIdentifier = 1 << 20

// schedule is a modality worklist service, PS3.4 annex K.
type schedule struct {
	now    func() time.Time
	served *atomic.Int64
}

// negotiate takes the worklist in the first transfer syntax offered that can be read.
func (s *schedule) negotiate(offer dicom.ContextOffer) dicom.ContextAnswer {
	if offer.AbstractSyntax != dicom.ModalityWorklist {
		return refuse(offer, dicom.ContextNoAbstractSyntax)
	}
	for _, syntax := range offer.TransferSyntaxes {
		if dicom.Supported(syntax) {
			return dicom.ContextAnswer{ID: offer.ID, TransferSyntax: syntax}
		}
	}
	return refuse(offer, dicom.ContextNoTransferSyntaxes)
}

func (s *schedule) handle(m *message) error {
	if m.command.Field != dicom.FindRequest {
		return m.reply(dicom.UnrecognizedOperation, "", nil)
	}
	identifier, err := io.ReadAll(io.LimitReader(m.link.DataSet(), maxIdentifier+1))
	if err != nil {
		return err
	}
	if len(identifier) > maxIdentifier {
		return m.reply(dicom.CannotUnderstand, "the query is too long", nil)
	}
	query, err := dicom.DecodeDataSet(m.context.TransferSyntax, identifier)
	if err != nil {
		return m.reply(dicom.CannotUnderstand, err.Error(), nil)
	}
	for _, item := range items(s.now()) {
		if !matches(query, item) {
			continue
		}
		found, err := dicom.AppendDataSet(nil, m.context.TransferSyntax, project(query, item))
		if err != nil {
			return m.reply(dicom.CannotUnderstand, err.Error(), nil)
		}
		if err := m.reply(dicom.Pending, "", bytes.NewReader(found)); err != nil {
			return err
		}
	}
	s.served.Add(1)
	return m.reply(dicom.Success, "", nil)
}

// order is what the worklist's items are made of.
type order struct {
	name, id, birth, sex                string
	accession, modality, station, scan  string
	physician, performer, stationName   string
	day                                 int // from today on
	start, studyUID, procedureID, study string
}

// items returns the worklist of the day: two steps today, one tomorrow, one the day after.
func items(now time.Time) []dicom.DataSet {
	orders := []order{
		{"Doe^Jane", "PAT001", "19710423", "F", "ACC1001", "CT", "CT01", "CT chest with contrast", "Hale^Miriam", "Okafor^Ada", "CT-EAST", 0, "083000", "2.25.1001", "RP1001", "STU1001"},
		{"Smith^Robert^James", "PAT002", "19550909", "M", "ACC1002", "MR", "MR01", "MR knee left", "Hale^Miriam", "Lindqvist^Per", "MR-WEST", 0, "101500", "2.25.1002", "RP1002", "STU1002"},
		{"Müller^Jürgen", "PAT003", "19630117", "M", "ACC1003", "US", "US02", "Ultrasound abdomen", "Tan^Wei", "Okafor^Ada", "US-2", 1, "090000", "2.25.1003", "RP1003", "STU1003"},
		{"Doe^John", "PAT004", "20120630", "M", "ACC1004", "CR", "CR01", "X-ray wrist right", "Tan^Wei", "Lindqvist^Per", "CR-ER", 2, "140000", "2.25.1004", "RP1004", "STU1004"},
	}
	out := make([]dicom.DataSet, len(orders))
	for i, o := range orders {
		out[i] = o.item(now)
	}
	return out
}

func (o order) item(now time.Time) dicom.DataSet {
	step := dicom.NewDataSet(
		dicom.Text(dicom.ModalityTag, o.modality), dicom.Text(dicom.ScheduledStationAETitle, o.station),
		dicom.Text(dicom.ScheduledStartDate, now.AddDate(0, 0, o.day).Format("20060102")), dicom.Text(dicom.ScheduledStartTime, o.start),
		dicom.Text(dicom.ScheduledPerformer, o.performer), dicom.Text(dicom.ScheduledDescription, o.scan),
		dicom.Text(dicom.ScheduledStepID, "S"+o.procedureID), dicom.Text(dicom.ScheduledStationName, o.stationName),
		dicom.Items(dicom.ScheduledProtocolCode),
	)
	return dicom.NewDataSet(
		dicom.Text(dicom.SpecificCharacterSet, "ISO_IR 192"), dicom.Text(dicom.AccessionNumber, o.accession),
		dicom.Text(dicom.ReferringPhysicianName, o.physician), dicom.Items(dicom.ReferencedStudySequence), dicom.Items(dicom.ReferencedPatientSequence),
		dicom.Text(dicom.PatientName, o.name), dicom.Text(dicom.PatientID, o.id), dicom.Text(dicom.PatientBirthDate, o.birth), dicom.Text(dicom.PatientSex, o.sex),
		dicom.Text(dicom.StudyInstanceUID, o.studyUID), dicom.Text(dicom.StudyID, o.study), dicom.Text(dicom.RequestingPhysician, o.physician),
		dicom.Text(dicom.RequestedProcedure, o.scan), dicom.Items(dicom.RequestedProcedureCode), dicom.Items(dicom.ScheduledStepSequence, step),
		dicom.Text(dicom.RequestedProcedureID, o.procedureID),
	)
}
