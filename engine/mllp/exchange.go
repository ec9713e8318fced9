package mllp

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Exchange sends message over rw and returns the acknowledgement to it. The text of an error is a sentence for operators:
// the answer did not come, is not MLLP or HL7, or answers another message. An acknowledgement that refuses is no error:
// ask Accepted. The caller sets deadlines and closes.
func Exchange(rw io.ReadWriter, message []byte, options ReaderOptions) (Acknowledgement, error) {
	h, err := ParseHeader(message)
	if err != nil {
		return Acknowledgement{}, fmt.Errorf("read the message to send: %w", err)
	}
	if err := Write(rw, message); err != nil {
		return Acknowledgement{}, fmt.Errorf("send the message: %w", err)
	}
	answer, err := NewReader(rw, options).Next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Acknowledgement{}, fmt.Errorf("the server closed the connection before it acknowledged the message: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Acknowledgement{}, fmt.Errorf("the server did not acknowledge the message in time: %w", err)
	case err != nil:
		return Acknowledgement{}, fmt.Errorf("read the acknowledgement: %w", err)
	}
	ack, err := ParseAcknowledgement(answer)
	if err != nil {
		return Acknowledgement{}, fmt.Errorf("read the acknowledgement: %w", err)
	}
	if ack.ControlID != h.ControlID {
		return ack, fmt.Errorf("the acknowledgement is for message %.40q, not for %.40q", ack.ControlID, h.ControlID)
	}
	return ack, nil
}
