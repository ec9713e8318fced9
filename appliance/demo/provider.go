package demo

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"evenkeel/engine/dicom"
)

const (
	// firstUnit is how long a connection may stay silent before it asks for an association: long, because idle connections
	// through a virtual service are normal here.
	firstUnit = 10 * time.Minute
	// lastClose is how long a client may take to close after the release, PS3.8 section 9.1.5.
	lastClose = 5 * time.Second
)

// service is what an application does beyond C-ECHO.
type service interface {
	// negotiate answers one proposed presentation context of any abstract syntax but verification.
	negotiate(offer dicom.ContextOffer) dicom.ContextAnswer
	// handle serves one request. Its error ends the association.
	handle(m *message) error
}

// message is one request within an association.
type message struct {
	link    *dicom.Link
	context dicom.ContextAnswer
	command dicom.Command
}

// provider is the accepting side of DICOM associations: any AE title, verification, and a service.
type provider struct {
	service service
}

func (p *provider) serve(conn *net.TCPConn) error {
	_ = conn.SetReadDeadline(time.Now().Add(firstUnit))
	in := dicom.NewReader(conn, dicom.ReaderOptions{MaxPDU: dicom.DefaultMaxPDU + 64}) // some products do not count headers
	unit, err := in.Next()
	if err != nil {
		return abort(conn, err)
	}
	request, ok := unit.(*dicom.AssociateRequest)
	if !ok {
		return abort(conn, &dicom.ProtocolError{Reason: "the first unit is no association request"})
	}
	_ = conn.SetReadDeadline(time.Time{})
	accept := p.answer(request)
	if err := dicom.Write(conn, accept); err != nil {
		return err
	}
	contexts := map[byte]dicom.ContextAnswer{}
	for _, c := range accept.Contexts {
		if c.Result == dicom.ContextAccepted {
			contexts[c.ID] = c
		}
	}
	err = p.converse(dicom.NewLink(in, conn, request.User.MaxPDU), contexts)
	if errors.Is(err, dicom.ErrReleaseRequested) {
		return release(conn)
	}
	return abort(conn, err)
}

// answer accepts the request and answers its contexts.
func (p *provider) answer(request *dicom.AssociateRequest) *dicom.AssociateAccept {
	accept := &dicom.AssociateAccept{
		Called: request.Called, Calling: request.Calling,
		User: dicom.User{MaxPDU: dicom.DefaultMaxPDU, ImplementationClass: dicom.ImplementationClass, ImplementationVersion: dicom.ImplementationVersionName},
	}
	for _, offer := range request.Contexts {
		if offer.AbstractSyntax == dicom.Verification {
			accept.Contexts = append(accept.Contexts, first(offer))
			continue
		}
		accept.Contexts = append(accept.Contexts, p.service.negotiate(offer))
	}
	return accept
}

// first accepts an offer in its first transfer syntax.
func first(offer dicom.ContextOffer) dicom.ContextAnswer {
	return dicom.ContextAnswer{ID: offer.ID, TransferSyntax: offer.TransferSyntaxes[0]}
}

// refuse refuses an offer.
func refuse(offer dicom.ContextOffer, why dicom.ContextResult) dicom.ContextAnswer {
	return dicom.ContextAnswer{ID: offer.ID, Result: why, TransferSyntax: offer.TransferSyntaxes[0]}
}

// converse serves requests one after the other until the association ends; it never returns nil.
func (p *provider) converse(link *dicom.Link, contexts map[byte]dicom.ContextAnswer) error {
	for {
		id, command, err := link.Receive()
		if err != nil {
			return err
		}
		context, accepted := contexts[id]
		if !accepted {
			return &dicom.ProtocolError{Reason: fmt.Sprintf("presentation context %d was not accepted", id)}
		}
		m := &message{link: link, context: context, command: command}
		switch {
		case command.Field == dicom.CancelRequest: // every answer has been sent by now
		case command.Field == dicom.EchoRequest:
			err = m.reply(dicom.Success, "", nil)
		case command.Field.IsResponse():
			err = &dicom.ProtocolError{Reason: "a response came where a request must"}
		default:
			err = p.service.handle(m)
		}
		if err != nil {
			return err
		}
	}
}

// reply sends the response to m, with a data set unless set is nil.
func (m *message) reply(status dicom.Status, comment string, set io.Reader) error {
	return m.link.Send(m.context.ID, dicom.Command{
		Field: m.command.Field.Response(), Class: m.command.Class, Instance: m.command.Instance, MessageID: m.command.MessageID,
		Status: status, Comment: comment,
	}, set)
}

// release confirms the release and gives the client the time to close first.
func release(conn *net.TCPConn) error {
	if err := dicom.Write(conn, &dicom.ReleaseResponse{}); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(lastClose))
	_, _ = io.Copy(io.Discard, conn)
	return nil
}

// abort tells a client that broke the protocol; other errors it only passes on.
func abort(conn *net.TCPConn, err error) error {
	var protocol *dicom.ProtocolError
	if errors.As(err, &protocol) {
		_ = dicom.Write(conn, &dicom.Aborted{Source: dicom.AbortedByProvider, Reason: dicom.AbortInvalidPDU})
	}
	return err
}
