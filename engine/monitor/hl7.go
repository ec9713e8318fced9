package monitor

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"evenkeel/engine/mllp"
)

// maxAcknowledgement bounds what is read of an answer.
const maxAcknowledgement = 64 << 10

// settle is how long a connection without a message is watched: a server that refuses clients closes it, or says something, within it.
const settle = 100 * time.Millisecond

// hl7Probe is the HL7 check. It sends the operator's message and nothing else; without one, nothing.
func (a *attempt) hl7Probe(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	if a.hl7.Message == "" {
		return a.quiet(ctx)
	}
	return a.exchange()
}

// quiet looks whether the connection stays open, and whether what the server says unasked, if anything, is MLLP.
func (a *attempt) quiet(ctx context.Context) outcome {
	opened := a.took()
	wait := min(settle, a.timeout/2)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
		wait = time.Until(deadline) / 2
	}
	_ = a.conn.SetReadDeadline(time.Now().Add(wait))
	_, err := mllp.NewReader(a.peer, mllp.ReaderOptions{MaxMessage: maxAcknowledgement}).Next()
	var frame *mllp.FrameError
	switch {
	case errors.As(err, &frame):
		return bad("The server does not speak MLLP: %s", inert(frame.Reason))
	case err == nil, timedOut(err):
		return good("Port %d opened in %s and stayed open; no message is sent", a.port, brief(opened))
	case errors.Is(err, mllp.ErrTooLarge):
		return bad("The server sends without being asked")
	case ended(err):
		return bad("Port %d opened, but the server closed the connection at once", a.port)
	}
	return a.unanswered(err, "silence")
}

// exchange sends the message and judges its acknowledgement.
func (a *attempt) exchange() outcome {
	message := []byte(strings.TrimRight(strings.NewReplacer("\r\n", "\r", "\n", "\r").Replace(a.hl7.Message), "\r") + "\r")
	header, err := mllp.ParseHeader(message)
	if err != nil {
		return bad("The message of this check does not begin with a valid MSH segment")
	}
	if err := mllp.Write(a.peer, message); err != nil {
		return a.unanswered(err, "an acknowledgement")
	}
	answer, err := mllp.NewReader(a.peer, mllp.ReaderOptions{MaxMessage: maxAcknowledgement}).Next()
	var frame *mllp.FrameError
	switch {
	case errors.As(err, &frame):
		return bad("The answer is not MLLP: %s", inert(frame.Reason))
	case errors.Is(err, mllp.ErrTooLarge):
		return bad("The answer is larger than %d KiB", maxAcknowledgement>>10)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return bad("The server closed the connection before it acknowledged")
	case err != nil:
		return a.unanswered(err, "an acknowledgement")
	}
	ack, err := mllp.ParseAcknowledgement(answer)
	if err != nil {
		return bad("The answer is not an acknowledgement: %s", quoted(string(answer)))
	}
	return a.judge(ack, header.ControlID)
}

func (a *attempt) judge(ack mllp.Acknowledgement, control string) outcome {
	expected := a.hl7.Expect
	if expected == "" {
		expected = "AA"
	}
	switch {
	case ack.ControlID != control:
		return bad("The acknowledgement is for message %s, not for %s", quoted(ack.ControlID), quoted(control))
	case ack.Code != expected && ack.Text != "":
		return bad("Acknowledged with %s where %s was expected: %s", quoted(ack.Code), expected, quoted(ack.Text))
	case ack.Code != expected:
		return bad("Acknowledged with %s where %s was expected", quoted(ack.Code), expected)
	}
	return good("Message acknowledged with %s in %s", expected, brief(a.took()))
}
