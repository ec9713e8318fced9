package dicom

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
)

// Names that are used when options leave them empty.
const (
	DefaultCalling = "EVENKEEL"
	DefaultCalled  = "ANY-SCP"
)

// AssociateOptions says which association is asked for.
type AssociateOptions struct {
	Calling  string         // our AE title, at most 16 characters; empty means DefaultCalling
	Called   string         // the peer's AE title, at most 16 characters; empty means DefaultCalled
	Contexts []ContextOffer // at least one
	MaxPDU   uint32         // longest P-DATA-TF we take; zero means DefaultMaxPDU
}

// Association is the client's side of an established association. It is not safe for concurrent use.
type Association struct {
	link    *Link
	in      *Reader
	out     io.Writer
	offered []ContextOffer
	accept  *AssociateAccept
	message uint16
}

// stepError is one sentence about a step that went wrong.
type stepError struct {
	text  string
	cause error
}

// Error returns the sentence without a full stop.
func (e *stepError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *stepError) Unwrap() error { return e.cause }

// ContextRefused is the error of a client whose association was accepted, but not the presentation context it needs.
type ContextRefused struct {
	AbstractSyntax string
	Result         ContextResult
}

// Error returns one sentence without a full stop.
func (e *ContextRefused) Error() string {
	service := "service " + e.AbstractSyntax
	if e.AbstractSyntax == Verification {
		service = "verification (C-ECHO)"
	}
	return fmt.Sprintf("association accepted, but not %s: %s", service, e.Result)
}

// Associate asks for an association over rw. The text of an error is a sentence for operators; errors.As finds *Rejected,
// *Aborted and *ProtocolError in it. The caller sets deadlines and closes.
func Associate(rw io.ReadWriter, options AssociateOptions) (*Association, error) {
	if options.MaxPDU == 0 {
		options.MaxPDU = DefaultMaxPDU
	}
	request := &AssociateRequest{
		Called: orDefault(options.Called, DefaultCalled), Calling: orDefault(options.Calling, DefaultCalling), Contexts: options.Contexts,
		User: User{MaxPDU: options.MaxPDU, ImplementationClass: ImplementationClass, ImplementationVersion: ImplementationVersionName},
	}
	const step = "the association request"
	if err := Write(rw, request); err != nil {
		return nil, failed(step, err)
	}
	in := NewReader(rw, ReaderOptions{MaxPDU: int(options.MaxPDU) + pduHeader}) // some products do not count the header
	unit, err := in.Next()
	if err != nil {
		return nil, failed(step, err)
	}
	switch unit := unit.(type) {
	case *Rejected:
		return nil, unit
	case *Aborted:
		return nil, failed(step, unit)
	case *AssociateAccept:
		if err := checkAnswers(options.Contexts, unit.Contexts); err != nil {
			_ = Write(rw, &Aborted{Source: AbortedByUser})
			return nil, failed(step, err)
		}
		link := NewLink(in, rw, unit.User.MaxPDU)
		return &Association{link: link, in: in, out: rw, offered: options.Contexts, accept: unit}, nil
	}
	return nil, failed(step, nonsense("it was answered with a unit of another kind"))
}

// checkAnswers holds the answers against what was offered.
func checkAnswers(offers []ContextOffer, answers []ContextAnswer) error {
	for _, answer := range answers {
		i := slices.IndexFunc(offers, func(o ContextOffer) bool { return o.ID == answer.ID })
		if i < 0 {
			return nonsense("presentation context %d is answered and was not offered", answer.ID)
		}
		if answer.Result == ContextAccepted && !slices.Contains(offers[i].TransferSyntaxes, answer.TransferSyntax) {
			return nonsense("transfer syntax %.64s was accepted and not offered", answer.TransferSyntax)
		}
	}
	return nil
}

// Peer returns what the peer said about itself.
func (a *Association) Peer() User { return a.accept.User }

// Context returns the accepted presentation context of an abstract syntax, in the transfer syntax asked for unless that is
// empty. The error is *ContextRefused.
func (a *Association) Context(abstractSyntax, transferSyntax string) (ContextAnswer, error) {
	refused := &ContextRefused{AbstractSyntax: abstractSyntax, Result: ContextUnanswered}
	for _, offer := range a.offered {
		if offer.AbstractSyntax != abstractSyntax {
			continue
		}
		for _, answer := range a.accept.Contexts {
			switch {
			case answer.ID != offer.ID:
			case answer.Result != ContextAccepted:
				refused.Result = answer.Result
			case transferSyntax == "" || answer.TransferSyntax == transferSyntax:
				return answer, nil
			}
		}
	}
	return ContextAnswer{}, refused
}

// Echo sends C-ECHO and returns the verdict.
func (a *Association) Echo() (Status, error) {
	context, err := a.Context(Verification, "")
	if err != nil {
		return 0, err
	}
	return a.ask("C-ECHO", context.ID, Command{Field: EchoRequest, Class: Verification}, nil)
}

// Store sends the encoded data set of an object with C-STORE, in the transfer syntax it is encoded in, and returns the verdict.
func (a *Association) Store(object FileHeader, set io.Reader) (Status, error) {
	context, err := a.Context(object.Class, object.TransferSyntax)
	if err != nil {
		return 0, err
	}
	return a.ask("C-STORE", context.ID, Command{Field: StoreRequest, Class: object.Class, Instance: object.Instance}, set)
}

// ask sends a request and waits for its answer.
func (a *Association) ask(step string, context byte, request Command, set io.Reader) (Status, error) {
	a.message++
	request.MessageID = a.message
	if err := a.link.Send(context, request, set); err != nil {
		return 0, failed(step, err)
	}
	_, answer, err := a.link.Receive()
	switch {
	case err != nil:
	case answer.Field != request.Field.Response():
		err = nonsense("%s was answered with command 0x%04X", step, uint16(answer.Field))
	case answer.MessageID != request.MessageID:
		err = nonsense("message %d was answered as %d", request.MessageID, answer.MessageID)
	}
	if err != nil {
		a.Abort()
		return 0, failed(step, err)
	}
	return answer.Status, nil
}

// Release ends the association in order. The connection is then the caller's to close.
func (a *Association) Release() error {
	const step = "the release request"
	if err := Write(a.out, &ReleaseRequest{}); err != nil {
		return failed(step, err)
	}
	for {
		unit, err := a.in.Next()
		if err != nil {
			return failed(step, err)
		}
		switch unit := unit.(type) {
		case *ReleaseResponse:
			return nil
		case *Aborted:
			return failed(step, unit)
		case *ReleaseRequest: // both sides asked at once, PS3.8 section 9.2.2.3
			if err := Write(a.out, &ReleaseResponse{}); err != nil {
				return failed(step, err)
			}
		}
	}
}

// Abort tells the peer that the association ends now, as far as the connection still carries it.
func (a *Association) Abort() { _ = Write(a.out, &Aborted{Source: AbortedByUser}) }

// failed says in one sentence what came of a step.
func failed(step string, err error) error {
	var aborted *Aborted
	var protocol *ProtocolError
	text := fmt.Sprintf("%s could not be sent or answered: %v", step, err)
	switch {
	case errors.As(err, &aborted):
		text = fmt.Sprintf("%v, instead of an answer to %s", aborted, step)
	case errors.As(err, &protocol):
		text = fmt.Sprintf("the answer to %s breaks the DICOM protocol: %s", step, protocol.Reason)
	case errors.Is(err, ErrReleaseRequested):
		text = fmt.Sprintf("the server released the association before it answered %s", step)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = fmt.Sprintf("the server closed the connection before it answered %s", step)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = fmt.Sprintf("the server reset the connection before it answered %s", step)
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = fmt.Sprintf("the server did not answer %s in time", step)
	}
	return &stepError{text: text, cause: err}
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
