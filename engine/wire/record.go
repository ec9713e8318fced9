package wire

import (
	"net/netip"
	"time"
)

// Record is what can be told of one request (HTTP Mode) or one session (TCP Mode) when it is over. It is the core's and, with all that it points to, valid
// during Recorder.Record only.
type Record struct {
	ID        uint64 // Recorder.NewID's
	Began     Time   // when the head was complete (HTTP) or the client connected (TCP)
	Ended     Time
	Connected Time // when the connection to the server stood; zero: never
	FirstByte Time // when the server's first byte came; zero: never
	Session   bool // a session of TCP Mode, not a request
	Client    netip.AddrPort
	Server    *Server        // nil: none was chosen
	Address   netip.AddrPort // of the server
	Reason    Reason         // why that server
	Tries     int            // servers that had failed before it
	Queued    time.Duration  // time spent in the queue for a free place
	Line      []byte         // method, host and path, each ended by a NUL; empty in TCP Mode and when the head could not be read
	Cut       bool           // Line holds only the beginning of the path
	Status    int            // that the client was given; zero: none
	Own       bool           // the appliance gave the answer, not a server
	Kept      bool           // the answer came from what is kept of a server's earlier one
	BytesIn   uint64
	BytesOut  uint64
	End       End
	Why       string // one of the appliance's own sentences, empty when all went well
}

// Recorder is told of everything that is over. One belongs to one service and loop. It must neither wait nor allocate.
type Recorder interface {
	// NewID returns a number for a request or a session, which no other on this loop has.
	NewID() uint64
	// AppendID appends the number as it stands in the traffic log and in X-Request-ID.
	AppendID(dst []byte, id uint64) []byte
	// Lines tells whether the service keeps a traffic log, so that Record.Line is wanted.
	Lines() bool
	// Blank returns a cleared record, the recorder's own, to be filled for the next Record.
	Blank() *Record
	Record(r *Record)
}

// Took returns the time from t to an event, or -1 when that never came.
func (r *Record) Took(event Time) time.Duration {
	if event == 0 {
		return -1
	}
	return event.Sub(r.Began)
}

// End says how a request or a session ended.
type End uint8

// The ends. Their names are the vocabulary of the traffic log.
const (
	EndUnknown       End = iota
	EndDone              // answered in full; both sides said that they are finished
	EndClientClosed      // the client broke off
	EndServerClosed      // the server broke off
	EndServerInvalid     // the server's answer was not valid
	EndClientTimeout     // the client was silent, or did not read, for too long
	EndServerTimeout     // the server was silent for too long while it owed an answer
	EndConnectFailed     // no server that was tried could be reached
	EndNoServer          // no server could serve
	EndRefused           // the appliance refused it
	EndEvicted           // an operator or a new configuration ended it
	EndQueueTimeout      // no place became free in time
	endCount
)

// Ends is how many ends there are.
const Ends = int(endCount)

// String returns the end's name in the traffic log.
func (e End) String() string {
	switch e {
	case EndDone:
		return "done"
	case EndClientClosed:
		return "client_closed"
	case EndServerClosed:
		return "server_closed"
	case EndServerInvalid:
		return "server_invalid"
	case EndClientTimeout:
		return "timeout_client"
	case EndServerTimeout:
		return "timeout_server"
	case EndConnectFailed:
		return "connect_failed"
	case EndNoServer:
		return "no_server"
	case EndRefused:
		return "refused"
	case EndEvicted:
		return "evicted"
	case EndQueueTimeout:
		return "timeout_queue"
	}
	return "unknown"
}

// Good tells whether the end is nobody's failure.
func (e End) Good() bool { return e == EndDone || e == EndEvicted }
