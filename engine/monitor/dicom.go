package monitor

import (
	"context"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"evenkeel/engine/dicom"
)

// echo is the DICOM check: association, C-ECHO, release (PS3.4, annex A). When no AE title to call is given, a rejected association is a sign of life: the
// application answers, it only does not know us.
func (a *attempt) echo(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	if a.dicom.TLS {
		if o, ok := a.secure(ctx, a.host, a.dicom.Verify); !ok {
			return o
		}
	}
	_, err := dicom.Echo(a.peer, dicom.EchoOptions{Calling: a.dicom.Calling, Called: a.dicom.Called})
	var rejected *dicom.Rejected
	var refused *dicom.ContextRefused
	switch {
	case err == nil:
		return good("C-ECHO answered in %s", brief(a.took()))
	case errors.As(err, &rejected) && a.dicom.Called == "":
		return outcome{good: true, what: fmt.Sprintf("The server answers in %s", brief(a.took())), more: sentenceOf(err) + "; name its AE title to check with C-ECHO."}
	case errors.As(err, &rejected), errors.As(err, &refused):
		return bad("%s", sentenceOf(err))
	case exhausted(err):
		return ours(err)
	case timedOut(err):
		return a.unanswered(err, "an answer in DICOM")
	}
	return bad("%s", sentenceOf(err))
}

// sentenceOf returns an error of a codec as the beginning of a sentence, inert.
func sentenceOf(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return escaped(string(unicode.ToUpper(first)) + text[size:])
}
