package demo

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"evenkeel/engine/dicom"
)

// someday is the day of the worklist in tests.
func someday() time.Time { return time.Date(2026, 2, 27, 12, 0, 0, 0, time.UTC) }

// names returns the patients that a query finds.
func names(query dicom.DataSet) []string {
	var out []string
	for _, item := range items(someday()) {
		if matches(query, item) {
			out = append(out, item.Text(dicom.PatientName))
		}
	}
	return out
}

func step(keys ...dicom.Element) dicom.DataSet {
	return dicom.NewDataSet(dicom.Items(dicom.ScheduledStepSequence, dicom.NewDataSet(keys...)))
}

func TestWorklistMatching(t *testing.T) {
	const jane, robert, juergen, john = "Doe^Jane", "Smith^Robert^James", "Müller^Jürgen", "Doe^John"
	all := []string{jane, robert, juergen, john}
	tests := []struct {
		name  string
		query dicom.DataSet
		want  []string
	}{
		{"nothing asked", nil, all},
		{"empty keys match everything", dicom.NewDataSet(dicom.Text(dicom.PatientName, ""), dicom.Text(dicom.PatientID, "")), all},
		{"star", dicom.NewDataSet(dicom.Text(dicom.PatientName, "*")), all},
		{"name in any case", dicom.NewDataSet(dicom.Text(dicom.PatientName, "DOE*")), []string{jane, john}},
		{"name with trailing carets", dicom.NewDataSet(dicom.Text(dicom.PatientName, "doe^jane^^^")), []string{jane}},
		{"question mark is one character", dicom.NewDataSet(dicom.Text(dicom.PatientName, "M?ller^J?rgen")), []string{juergen}},
		{"name whole", dicom.NewDataSet(dicom.Text(dicom.PatientName, "Doe")), nil},
		{"id", dicom.NewDataSet(dicom.Text(dicom.PatientID, "PAT002")), []string{robert}},
		{"id padded", dicom.NewDataSet(dicom.Text(dicom.PatientID, "PAT002 ")), []string{robert}},
		{"id counts case", dicom.NewDataSet(dicom.Text(dicom.PatientID, "pat002")), nil},
		{"accession number", dicom.NewDataSet(dicom.Text(dicom.AccessionNumber, "ACC100?")), all},
		{"list of UIDs", dicom.NewDataSet(dicom.Text(dicom.StudyInstanceUID, `2.25.1001\2.25.1004`)), []string{jane, john}},
		{"both must fit", dicom.NewDataSet(dicom.Text(dicom.PatientName, "Doe*"), dicom.Text(dicom.PatientID, "PAT004")), []string{john}},
		{"character set is no key", dicom.NewDataSet(dicom.Text(dicom.SpecificCharacterSet, "ISO_IR 100")), all},
		{"unknown attribute", dicom.NewDataSet(dicom.Element{Tag: 0x00101010, VR: dicom.AgeString, Value: []byte("040Y")}), all},
		{"empty sequence", dicom.NewDataSet(dicom.Items(dicom.ScheduledStepSequence)), all},
		{"modality", step(dicom.Text(dicom.ModalityTag, "MR")), []string{robert}},
		{"station", step(dicom.Text(dicom.ScheduledStationAETitle, "CT*")), []string{jane}},
		{"modality and day", step(dicom.Text(dicom.ModalityTag, "CT"), dicom.Text(dicom.ScheduledStartDate, "20260228")), nil},
		{"today", step(dicom.Text(dicom.ScheduledStartDate, "20260227")), []string{jane, robert}},
		{"over the end of the month", step(dicom.Text(dicom.ScheduledStartDate, "20260228-20260301")), []string{juergen, john}},
		{"until", step(dicom.Text(dicom.ScheduledStartDate, "-20260228")), []string{jane, robert, juergen}},
		{"from", step(dicom.Text(dicom.ScheduledStartDate, "20260301-")), []string{john}},
		{"old way to write a day", step(dicom.Text(dicom.ScheduledStartDate, "2026.02.28")), []string{juergen}},
		{"hours", step(dicom.Text(dicom.ScheduledStartTime, "08-0930")), []string{jane, juergen}},
		{"minute with fraction", step(dicom.Text(dicom.ScheduledStartTime, "101500.000")), []string{robert}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := names(test.query); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// find asks the worklist and returns the answers and the final status.
func find(t *testing.T, s *Sample, syntaxes []string, query dicom.DataSet) ([]dicom.DataSet, dicom.Status) {
	t.Helper()
	conn := dial(t, s)
	request := &dicom.AssociateRequest{Called: "A", Calling: "B", Contexts: []dicom.ContextOffer{{ID: 1, AbstractSyntax: dicom.ModalityWorklist, TransferSyntaxes: syntaxes}}}
	if err := dicom.Write(conn, request); err != nil {
		t.Fatal(err)
	}
	in := dicom.NewReader(conn, dicom.ReaderOptions{})
	unit, err := in.Next()
	accept, ok := unit.(*dicom.AssociateAccept)
	if !ok || accept.Contexts[0].Result != dicom.ContextAccepted {
		t.Fatalf("got %+v, %v", unit, err)
	}
	syntax := accept.Contexts[0].TransferSyntax
	encoded, err := dicom.AppendDataSet(nil, syntax, query)
	if err != nil {
		t.Fatal(err)
	}
	link := dicom.NewLink(in, conn, accept.User.MaxPDU)
	if err := link.Send(1, dicom.Command{Field: dicom.FindRequest, Class: dicom.ModalityWorklist, MessageID: 7}, bytes.NewReader(encoded)); err != nil {
		t.Fatal(err)
	}
	// A cancel behind a query that is answered already must not disturb.
	if err := link.Send(1, dicom.Command{Field: dicom.CancelRequest, MessageID: 7}, nil); err != nil {
		t.Fatal(err)
	}
	var out []dicom.DataSet
	for {
		_, c, err := link.Receive()
		if err != nil || c.MessageID != 7 || c.Field != dicom.FindResponse {
			t.Fatalf("got %+v, %v", c, err)
		}
		if c.Status != dicom.Pending {
			return out, c.Status
		}
		raw, err := io.ReadAll(link.DataSet())
		if err != nil {
			t.Fatal(err)
		}
		set, err := dicom.DecodeDataSet(syntax, raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, set)
	}
}

func TestWorklistAnswersWhatIsAskedForInEachSyntax(t *testing.T) {
	s := running(t, Options{Kind: Worklist, Now: someday})
	query := dicom.NewDataSet(
		dicom.Text(dicom.PatientName, "doe*"), dicom.Text(dicom.PatientID, ""), dicom.Element{Tag: 0x00101010, VR: dicom.AgeString},
		dicom.Items(dicom.ScheduledStepSequence, dicom.NewDataSet(dicom.Text(dicom.ModalityTag, "CT"), dicom.Text(dicom.ScheduledStartDate, ""))),
		dicom.Items(dicom.RequestedProcedureCode),
	)
	for _, syntaxes := range [][]string{{dicom.ImplicitLittleEndian}, {dicom.ExplicitLittleEndian}, {dicom.ExplicitBigEndian}, {jpegBaseline, dicom.ImplicitLittleEndian}} {
		found, status := find(t, s, syntaxes, query)
		if status != dicom.Success || len(found) != 1 {
			t.Fatalf("%v: %d found, %v", syntaxes, len(found), status)
		}
		var tags []string
		for _, e := range found[0] {
			tags = append(tags, e.Tag.String())
		}
		if got := strings.Join(tags, " "); got != "(0008,0005) (0010,0010) (0010,0020) (0010,1010) (0032,1064) (0040,0100)" {
			t.Errorf("%v: answered %s", syntaxes, got)
		}
		sequence, _ := found[0].Get(dicom.ScheduledStepSequence)
		if found[0].Text(dicom.PatientName) != "Doe^Jane" || found[0].Text(dicom.PatientID) != "PAT001" || len(sequence.Items) != 1 {
			t.Fatalf("%v: %v", syntaxes, found[0])
		}
		if s := sequence.Items[0]; len(s) != 2 || s.Text(dicom.ModalityTag) != "CT" || s.Text(dicom.ScheduledStartDate) != "20260227" {
			t.Errorf("%v: %v", syntaxes, s)
		}
	}
	found, _ := find(t, s, []string{dicom.ExplicitLittleEndian}, dicom.NewDataSet(dicom.Items(dicom.ScheduledStepSequence)))
	if len(found) != 4 {
		t.Fatalf("%d found", len(found))
	}
	if whole, _ := found[0].Get(dicom.ScheduledStepSequence); len(whole.Items) != 1 || len(whole.Items[0]) < 8 {
		t.Errorf("a sequence without keys must come whole: %v", whole)
	}
	if s.Served() != 5 {
		t.Errorf("served %d", s.Served())
	}
}

func TestWorklistRefusesWhatIsNotItsOwn(t *testing.T) {
	s := running(t, Options{Kind: Worklist})
	offers := []dicom.ContextOffer{
		{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []string{dicom.ImplicitLittleEndian}},
		{ID: 3, AbstractSyntax: dicom.SecondaryCapture, TransferSyntaxes: []string{dicom.ImplicitLittleEndian}},
		{ID: 5, AbstractSyntax: dicom.ModalityWorklist, TransferSyntaxes: []string{jpegBaseline}},
	}
	a, err := dicom.Associate(dial(t, s), dicom.AssociateOptions{Contexts: offers})
	if err != nil {
		t.Fatal(err)
	}
	for class, want := range map[string]string{dicom.SecondaryCapture: "abstract syntax not supported", dicom.ModalityWorklist: "transfer syntaxes not supported"} {
		if _, err := a.Context(class, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", class, err)
		}
	}
	if status, err := a.Echo(); err != nil || status != dicom.Success {
		t.Errorf("C-ECHO: %v, %v", status, err)
	}
}

func FuzzMatches(f *testing.F) {
	f.Add("D*e?", "20260101-20260301", "08-")
	f.Add("**?*^", "-", "1.2.3")
	f.Fuzz(func(t *testing.T, name, day, at string) {
		query := dicom.NewDataSet(dicom.Text(dicom.PatientName, name), dicom.Items(dicom.ScheduledStepSequence,
			dicom.NewDataSet(dicom.Text(dicom.ScheduledStartDate, day), dicom.Text(dicom.ScheduledStartTime, at))))
		for _, item := range items(someday()) {
			if matches(query, item) && len(project(query, item)) != 3 {
				t.Fatalf("projection of %v: %v", query, project(query, item))
			}
		}
	})
}
