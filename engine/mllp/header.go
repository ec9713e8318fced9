package mllp

import (
	"bytes"
	"errors"
	"strings"
)

// ErrNoHeader says that a message does not begin with a well-formed MSH segment.
var ErrNoHeader = errors.New("the message does not begin with a valid MSH segment")

// ErrNoAcknowledgement says that a message carries no MSA segment.
var ErrNoAcknowledgement = errors.New("the answer carries no MSA segment")

// Header is what the MSH segment (HL7 v2, chapter 2) says, as far as an acknowledgement needs it. Fields are kept as they
// were written, escapes included. The zero value stands for a message whose header could not be read.
type Header struct {
	FieldSeparator       byte   // MSH-1; zero is written as |
	Encoding             string // MSH-2; empty is written as ^~\&
	SendingApplication   string // MSH-3
	SendingFacility      string // MSH-4
	ReceivingApplication string // MSH-5
	ReceivingFacility    string // MSH-6
	MessageType          string // first component of MSH-9, such as ADT
	Trigger              string // second component of MSH-9, such as A01; may be empty
	ControlID            string // MSH-10; may be empty
	ProcessingID         string // MSH-11
	Version              string // MSH-12
	CharacterSet         string // MSH-18
}

// Acknowledgement is what the MSA segment of an answer says.
type Acknowledgement struct {
	Code      string // MSA-1: AA, AE, AR, or CA, CE, CR in enhanced mode
	ControlID string // MSA-2: the control id of the message that is answered
	Text      string // MSA-3, unescaped; may be empty
}

// Accepted reports whether the answer says that the message was taken.
func (a Acknowledgement) Accepted() bool { return a.Code == "AA" || a.Code == "CA" }

// ParseHeader reads the MSH segment of a message. The only error is ErrNoHeader.
func ParseHeader(message []byte) (Header, error) {
	segment, _ := cutSegment(message)
	if len(segment) < 5 || string(segment[:3]) != "MSH" || !isDelimiter(segment[3]) {
		return Header{}, ErrNoHeader
	}
	separator := segment[3]
	fields := strings.Split(string(segment[4:]), string(rune(separator)))
	if !validEncoding(fields[0], separator) || len(fields) < 8 {
		return Header{}, ErrNoHeader
	}
	// fields[0] is MSH-2, so that MSH-n stands at n-2.
	field := func(n int) string {
		if n-2 < len(fields) {
			return fields[n-2]
		}
		return ""
	}
	h := Header{
		FieldSeparator: separator, Encoding: fields[0],
		SendingApplication: field(3), SendingFacility: field(4), ReceivingApplication: field(5), ReceivingFacility: field(6),
		ControlID: field(10), ProcessingID: field(11), Version: field(12), CharacterSet: field(18),
	}
	components := strings.Split(field(9), fields[0][:1])
	h.MessageType = components[0]
	if len(components) > 1 {
		h.Trigger = components[1]
	}
	if h.MessageType == "" {
		return Header{}, ErrNoHeader
	}
	return h, nil
}

// ParseAcknowledgement reads MSH and MSA of an answer. Errors: ErrNoHeader, ErrNoAcknowledgement.
func ParseAcknowledgement(message []byte) (Acknowledgement, error) {
	h, err := ParseHeader(message)
	if err != nil {
		return Acknowledgement{}, err
	}
	for rest := message; len(rest) > 0; {
		var segment []byte
		segment, rest = cutSegment(rest)
		if len(segment) < 4 || string(segment[:3]) != "MSA" || segment[3] != h.FieldSeparator {
			continue
		}
		fields := strings.Split(string(segment[4:]), string(rune(h.FieldSeparator)))
		fields = append(fields, "", "")
		return Acknowledgement{Code: fields[0], ControlID: fields[1], Text: unescape(fields[2], h)}, nil
	}
	return Acknowledgement{}, ErrNoAcknowledgement
}

// cutSegment splits the first segment off. Segments end with CR; LF and CR LF are understood because they occur.
func cutSegment(message []byte) (segment, rest []byte) {
	i := bytes.IndexAny(message, "\r\n")
	if i < 0 {
		return message, nil
	}
	return message[:i], bytes.TrimLeft(message[i:], "\r\n")
}

// isDelimiter reports whether b can separate: printable ASCII that is neither letter nor digit nor space.
func isDelimiter(b byte) bool {
	switch {
	case b <= ' ' || b >= 0x7F, b >= '0' && b <= '9', b >= 'A' && b <= 'Z', b >= 'a' && b <= 'z':
		return false
	}
	return true
}

// validEncoding reports whether MSH-2 holds one to five delimiters that differ from each other and from the separator.
func validEncoding(encoding string, separator byte) bool {
	if len(encoding) < 1 || len(encoding) > 5 {
		return false
	}
	for i := range len(encoding) {
		b := encoding[i]
		if !isDelimiter(b) || b == separator || strings.IndexByte(encoding[:i], b) >= 0 {
			return false
		}
	}
	return true
}
