package mllp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

const admission = "MSH|^~\\&|RIS|Radiology|VNA|Archive|20240102030405||ADT^A01^ADT_A01|MSG00001|P|2.5.1||||||UNICODE UTF-8\rEVN|A01\rPID|1||42\r"

func TestParseHeader(t *testing.T) {
	want := Header{
		FieldSeparator: '|', Encoding: `^~\&`, SendingApplication: "RIS", SendingFacility: "Radiology", ReceivingApplication: "VNA",
		ReceivingFacility: "Archive", MessageType: "ADT", Trigger: "A01", ControlID: "MSG00001", ProcessingID: "P", Version: "2.5.1",
		CharacterSet: "UNICODE UTF-8",
	}
	for _, message := range []string{admission, strings.ReplaceAll(admission, "\r", "\n"), strings.ReplaceAll(admission, "\r", "\r\n")} {
		if got, err := ParseHeader([]byte(message)); err != nil || got != want {
			t.Errorf("ParseHeader(%q) = %+v, %v", message, got, err)
		}
	}
	own := "MSH#*!?%#a#b#c#d###QRY*Q01#7"
	if got, err := ParseHeader([]byte(own)); err != nil || got.Trigger != "Q01" || got.ControlID != "7" || got.Version != "" {
		t.Errorf("own delimiters: %+v, %v", got, err)
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	for _, message := range []string{
		"", "MSH", "MSH|", "MSH|^~\\&", "MSH|^~\\&|a|b|c|d||", "MSH|^~\\&|a|b|c|d|||^A01|1", "PID|^~\\&|a|b|c|d|||ADT|1",
		"MSHA^~\\&AaAbAcAdAAAADTA1", "MSH|^^\\&|a|b|c|d|||ADT|1", "MSH||a|b|c|d|||ADT|1", "MSH|^~\\&#$|a|b|c|d|||ADT|1",
		" MSH|^~\\&|a|b|c|d|||ADT|1", "MSH\x00^~\\&\x00a\x00b\x00c\x00d\x00\x00\x00ADT\x001",
	} {
		if h, err := ParseHeader([]byte(message)); !errors.Is(err, ErrNoHeader) || h != (Header{}) {
			t.Errorf("ParseHeader(%q) = %+v, %v", message, h, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	now := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name, message string
		options       AnswerOptions
		want          string
	}{
		{"accept", admission, AnswerOptions{Now: now}, "MSH|^~\\&|VNA|Archive|RIS|Radiology|20240102030405+0000||ACK^A01|MSG00001|P|2.5.1||||||UNICODE UTF-8\rMSA|AA|MSG00001\r"},
		{"fail with a text that cannot break out", admission, AnswerOptions{Code: Fail, Text: "a|b^c\\d\rMSA|AA", ID: "9"}, "MSH|^~\\&|VNA|Archive|RIS|Radiology|||ACK^A01|9|P|2.5.1||||||UNICODE UTF-8\rMSA|AE|MSG00001|a\\F\\b\\S\\c\\E\\d MSA\\F\\AA\r"},
		{"own delimiters, no trigger", "MSH#*!?%#a#b#c#d###QRY#7#T#2.3", AnswerOptions{}, "MSH#*!?%#c#d#a#b###ACK#7#T#2.3\rMSA#AA#7\r"},
		{"escapes are kept", "MSH|^~\\&|a\\T\\|b|c|d|||ADT^A01|x\\F\\y|P|2.5", AnswerOptions{}, "MSH|^~\\&|c|d|a\\T\\|b|||ACK^A01|x\\F\\y|P|2.5\rMSA|AA|x\\F\\y\r"},
		{"few delimiters", "MSH|^|a|b|c|d|||QRY|7|T|2.3", AnswerOptions{Code: Reject, Text: "x|y"}, "MSH|^|c|d|a|b|||ACK|7|T|2.3\rMSA|AR|7|x y\r"},
		{"unreadable", "nonsense", AnswerOptions{Code: Reject, Text: "no header"}, "MSH|^~\\&|||||||ACK|||\rMSA|AR||no header\r"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, _ := ParseHeader([]byte(test.message))
			if got := string(Answer(h, test.options)); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestParseAcknowledgement(t *testing.T) {
	got, err := ParseAcknowledgement([]byte("MSH|^~\\&|||||||ACK|1\rMSA|AE|77|a\\F\\b\\X0D\\\r"))
	if want := (Acknowledgement{Code: "AE", ControlID: "77", Text: `a|b\X0D\`}); err != nil || got != want || got.Accepted() {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ParseAcknowledgement([]byte(admission)); !errors.Is(err, ErrNoAcknowledgement) {
		t.Errorf("a message without MSA: %v", err)
	}
	if got, err := ParseAcknowledgement([]byte("MSH|^~\\&|||||||ACK|1\rMSA|CA\r")); err != nil || !got.Accepted() || got.ControlID != "" {
		t.Errorf("short MSA: %+v, %v", got, err)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(admission), "text|with^delimiters\\")
	f.Add([]byte("MSH#*!?%#a#b#c#d###QRY*Q01#7"), "")
	f.Add([]byte("MSH|^|a|b|c|d|||ACK|7|T|2.3\rMSA|AA|7"), "x\r\ny")
	f.Fuzz(func(t *testing.T, message []byte, text string) {
		_, _ = ParseAcknowledgement(message)
		h, err := ParseHeader(message)
		if err != nil && h != (Header{}) {
			t.Fatalf("an error with a header: %+v", h)
		}
		answer := Answer(h, AnswerOptions{Code: Fail, Text: text})
		ack, err := ParseAcknowledgement(answer)
		if err != nil || ack.Code != "AE" || ack.ControlID != h.ControlID {
			t.Fatalf("Answer(%+v) = %q reads as %+v, %v", h, answer, ack, err)
		}
		if lines := bytes.Count(answer, []byte{'\r'}); lines != 2 || bytes.IndexByte(answer, '\n') >= 0 {
			t.Fatalf("the answer has %d segments: %q", lines, answer)
		}
	})
}
