package dicom

import (
	"fmt"
	"io"
)

// EchoOptions says who asks whom.
type EchoOptions struct {
	Calling string // our AE title, at most 16 characters; empty means DefaultCalling
	Called  string // the peer's AE title, at most 16 characters; empty means DefaultCalled
}

// EchoResult is what a verification found.
type EchoResult struct {
	Peer     User   // what the peer said about itself; set as soon as the association was accepted
	Status   Status // of the C-ECHO
	Released bool   // the peer confirmed the release; false is untidy, but the echo was good
}

// Echo verifies the DICOM application behind rw: it associates, sends one C-ECHO and releases. A nil error means that C-ECHO
// was answered with success. The text of an error is a sentence for operators; errors.As finds *Rejected (the server lives
// and gave its reason), *ContextRefused, *Aborted and *ProtocolError in it. The caller sets deadlines and closes.
func Echo(rw io.ReadWriter, options EchoOptions) (EchoResult, error) {
	association, err := Associate(rw, AssociateOptions{
		Calling: options.Calling, Called: options.Called, MaxPDU: 16 << 10,
		Contexts: []ContextOffer{{ID: 1, AbstractSyntax: Verification, TransferSyntaxes: []string{ImplicitLittleEndian}}},
	})
	if err != nil {
		return EchoResult{}, err
	}
	result := EchoResult{Peer: association.Peer()}
	if _, err := association.Context(Verification, ""); err != nil {
		_ = association.Release()
		return result, err
	}
	if result.Status, err = association.Echo(); err != nil {
		return result, err
	}
	result.Released = association.Release() == nil
	if result.Status != Success {
		return result, fmt.Errorf("C-ECHO was answered with %s", result.Status)
	}
	return result, nil
}
