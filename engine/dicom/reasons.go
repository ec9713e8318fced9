package dicom

import "fmt"

// Results of a rejection, PS3.8 section 9.3.4.
const (
	RejectedForGood byte = 1
	RejectedForNow  byte = 2
)

// Rejected is an A-ASSOCIATE-RJ, and the error of a client whose association was rejected: the server lives, and does not
// want this association.
type Rejected struct {
	Result, Source, Reason byte
}

// Error returns one sentence without a full stop.
func (r *Rejected) Error() string {
	text := "association rejected: "
	if r.Result == RejectedForNow {
		text = "association rejected for now: "
	}
	return text + r.why()
}

func (r *Rejected) why() string {
	switch [2]byte{r.Source, r.Reason} {
	case [2]byte{1, 1}, [2]byte{2, 1}, [2]byte{3, 0}:
		return "no reason given"
	case [2]byte{1, 2}:
		return "application context not supported"
	case [2]byte{1, 3}:
		return "calling AE title not recognised"
	case [2]byte{1, 7}:
		return "called AE title not recognised"
	case [2]byte{2, 2}:
		return "protocol version not supported"
	case [2]byte{3, 1}:
		return "the server is congested"
	case [2]byte{3, 2}:
		return "the server's limit of associations is reached"
	}
	return fmt.Sprintf("source %d, reason %d", r.Source, r.Reason)
}

// Sources of an abort, PS3.8 section 9.3.8.
const (
	AbortedByUser     byte = 0
	AbortedByProvider byte = 2
)

// Reasons of an abort by the provider.
const (
	AbortNoReason       byte = 0
	AbortUnexpectedPDU  byte = 2
	AbortInvalidPDU     byte = 6
	abortUnrecognised   byte = 1
	abortUnrecognisedIn byte = 4
	abortUnexpectedIn   byte = 5
)

// Aborted is an A-ABORT, and the error of the side that received it.
type Aborted struct {
	Source, Reason byte // Reason counts only when Source is AbortedByProvider
}

// Error returns one sentence without a full stop.
func (a *Aborted) Error() string {
	if a.Source != AbortedByProvider {
		return "the peer aborted the association"
	}
	switch a.Reason {
	case abortUnrecognised:
		return "the peer aborted the association: it did not recognise a unit"
	case AbortUnexpectedPDU:
		return "the peer aborted the association: it did not expect a unit"
	case abortUnrecognisedIn:
		return "the peer aborted the association: it did not recognise a parameter"
	case abortUnexpectedIn:
		return "the peer aborted the association: it did not expect a parameter"
	case AbortInvalidPDU:
		return "the peer aborted the association: a parameter had an invalid value"
	}
	return "the peer aborted the association without a reason"
}

// ContextResult is the answer to one presentation context, PS3.8 section 9.3.3.2.
type ContextResult byte

// The answers. ContextUnanswered never travels: the peer left the context out, or accepted it otherwise than it is needed.
const (
	ContextAccepted           ContextResult = 0
	ContextRefusedByUser      ContextResult = 1
	ContextNoReason           ContextResult = 2
	ContextNoAbstractSyntax   ContextResult = 3
	ContextNoTransferSyntaxes ContextResult = 4
	ContextUnanswered         ContextResult = 255
)

// String returns the answer in words.
func (r ContextResult) String() string {
	switch r {
	case ContextAccepted:
		return "accepted"
	case ContextRefusedByUser:
		return "refused by the application"
	case ContextNoReason:
		return "refused without a reason"
	case ContextNoAbstractSyntax:
		return "abstract syntax not supported"
	case ContextNoTransferSyntaxes:
		return "transfer syntaxes not supported"
	case ContextUnanswered:
		return "it was not accepted as it was offered"
	}
	return fmt.Sprintf("refused with result %d", byte(r))
}
