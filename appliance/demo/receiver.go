package demo

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"evenkeel/engine/mllp"
)

// receiver accepts every HL7 message that has a header.
type receiver struct {
	*crowd
	journal *journal // nil keeps nothing
	log     *slog.Logger
	now     func() time.Time
	served  *atomic.Int64
}

func openReceiver(options Options, served *atomic.Int64) (*receiver, error) {
	r := &receiver{log: options.Log, now: options.Now, served: served}
	r.crowd = newCrowd(r, options.Log)
	if options.Keep == "" {
		return r, nil
	}
	var err error
	if r.journal, err = openJournal(options.Keep); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *receiver) serve(conn *net.TCPConn) error {
	in := mllp.NewReader(conn, mllp.ReaderOptions{})
	for {
		message, err := in.Next()
		if err != nil {
			return err
		}
		answer := r.answer(message)
		if answer == nil {
			continue
		}
		if err := mllp.Write(conn, answer); err != nil {
			return err
		}
	}
}

// answer keeps the message and returns its acknowledgement, nil for a message that is one itself.
func (r *receiver) answer(message []byte) []byte {
	header, err := mllp.ParseHeader(message)
	switch {
	case err != nil:
		return mllp.Answer(header, mllp.AnswerOptions{Code: mllp.Reject, Text: err.Error(), Now: r.now()})
	case header.MessageType == "ACK":
		return nil
	}
	if r.journal != nil {
		if err := r.journal.append(message); err != nil {
			r.log.Error("message could not be kept", "error", err)
			return mllp.Answer(header, mllp.AnswerOptions{Code: mllp.Fail, Text: "the message could not be kept", Now: r.now()})
		}
	}
	r.served.Add(1)
	return mllp.Answer(header, mllp.AnswerOptions{Now: r.now()})
}

func (r *receiver) close() error {
	err := r.crowd.close()
	if r.journal != nil {
		r.journal.close()
	}
	return err
}
