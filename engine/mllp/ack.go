package mllp

import (
	"strings"
	"time"
)

// Code is the verdict in MSA-1 of an answer in original mode.
type Code string

// The verdicts.
const (
	Accept Code = "AA" // the message was taken
	Fail   Code = "AE" // the message was understood, but could not be worked on
	Reject Code = "AR" // the message cannot be worked on as it is
)

// AnswerOptions says how an answer is made.
type AnswerOptions struct {
	Code Code      // empty means Accept
	Text string    // MSA-3, for people; empty leaves the field out
	ID   string    // MSH-10 of the answer; empty means the control id of the message
	Now  time.Time // MSH-7; zero leaves the field empty
}

// Answer returns the acknowledgement to the message with header h, without its frame: sender and receiver are swapped,
// delimiters, processing id, version and character set are kept, MSA-2 is the message's control id. With a zero h it is an
// answer in default delimiters to a message that could not be read.
func Answer(h Header, options AnswerOptions) []byte {
	if h.FieldSeparator == 0 {
		h.FieldSeparator, h.Encoding = '|', `^~\&`
	}
	if options.Code == "" {
		options.Code = Accept
	}
	if options.ID == "" {
		options.ID = h.ControlID
	}
	kind := "ACK"
	if h.Trigger != "" {
		kind += h.Encoding[:1] + h.Trigger
	}
	var at string
	if !options.Now.IsZero() {
		at = options.Now.Format("20060102150405-0700")
	}
	header := []string{
		"MSH", h.Encoding, h.ReceivingApplication, h.ReceivingFacility, h.SendingApplication, h.SendingFacility,
		at, "", kind, escape(options.ID, h), h.ProcessingID, h.Version,
	}
	if options.ID == h.ControlID {
		header[9] = h.ControlID
	}
	if h.CharacterSet != "" {
		header = append(header, "", "", "", "", "", h.CharacterSet)
	}
	verdict := []string{"MSA", string(options.Code), h.ControlID}
	if options.Text != "" {
		verdict = append(verdict, escape(options.Text, h))
	}
	separator := string(rune(h.FieldSeparator))
	return []byte(strings.Join(header, separator) + "\r" + strings.Join(verdict, separator) + "\r")
}

// escapeLetters are HL7's escape letters of the delimiters, in the order of MSH-2: component, repetition, escape,
// subcomponent, truncation.
const escapeLetters = "SRETP"

// escape writes text so that it cannot break out of its field: delimiters as \F\, \S\, \R\, \E\, \T\, control characters as
// spaces.
func escape(text string, h Header) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		letter := letterOf(c, h)
		switch {
		case c < ' ' || c == 0x7F:
			b.WriteByte(' ')
		case letter == 0:
			b.WriteByte(c)
		case len(h.Encoding) < 3:
			b.WriteByte(' ')
		default:
			b.Write([]byte{h.Encoding[2], letter, h.Encoding[2]})
		}
	}
	return b.String()
}

// unescape reverses escape; what it does not know stays as it is.
func unescape(text string, h Header) string {
	if len(h.Encoding) < 3 {
		return text
	}
	mark := h.Encoding[2]
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == mark && i+2 < len(text) && text[i+2] == mark {
			if c := delimiterOf(text[i+1], h); c != 0 {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// letterOf returns the escape letter of delimiter c, zero when c is none.
func letterOf(c byte, h Header) byte {
	if c == h.FieldSeparator {
		return 'F'
	}
	if i := strings.IndexByte(h.Encoding, c); i >= 0 && i < len(escapeLetters) {
		return escapeLetters[i]
	}
	return 0
}

// delimiterOf returns the delimiter of an escape letter, zero when there is none.
func delimiterOf(letter byte, h Header) byte {
	if letter == 'F' {
		return h.FieldSeparator
	}
	if i := strings.IndexByte(escapeLetters, letter); i >= 0 && i < len(h.Encoding) {
		return h.Encoding[i]
	}
	return 0
}
