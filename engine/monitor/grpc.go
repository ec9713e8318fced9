package monitor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The bounds of an answer over HTTP/2.
const (
	maxFrames       = 256
	maxFrame        = 16 << 10
	maxGRPCHead     = 16 << 10
	maxGRPCMessage  = 4 << 10
	maxGRPCAnswer   = 256 << 10
	healthMethod    = "/grpc.health.v1.Health/Check"
	grpcStream      = 1
	grpcPrefix      = 5 // a flag and a length before each message
	healthServing   = 1
	frameHead       = 9
	frameSettings   = 4
	grpcOK          = 0
	grpcNotFound    = 5
	grpcUnknownCall = 12
)

// errNotHTTP2 says that a server does not begin as one of HTTP/2 does.
var errNotHTTP2 = errors.New("not HTTP/2")

// grpcAnswer is what a server said on the stream of the check.
type grpcAnswer struct {
	http    string // :status
	content string // content-type
	status  string // grpc-status
	reason  string // grpc-message, decoded
	message []byte
	reset   string // why the server ended the stream or the connection early, or ""
}

// health is the gRPC check: Check of grpc.health.v1 over HTTP/2 in clear, which must say SERVING.
func (a *attempt) health(ctx context.Context) outcome {
	if o, ok := a.open(ctx); !ok {
		return o
	}
	if _, err := a.peer.Write(healthRequest(a.address(), a.grpc.Service)); err != nil {
		return a.unanswered(err, "an answer in gRPC")
	}
	in := bufio.NewReaderSize(io.LimitReader(a.peer, maxGRPCAnswer), frameHead+maxFrame)
	answer, err := readGRPC(a.peer, in)
	var broken http2.ConnectionError
	var stream http2.StreamError
	switch {
	case errors.Is(err, errNotHTTP2):
		start, _ := in.Peek(min(in.Buffered(), 2*maxQuoted))
		return bad("The answer on port %d is not HTTP/2: %s", a.port, quoted(string(start)))
	case errors.As(err, &broken), errors.As(err, &stream), errors.Is(err, http2.ErrFrameTooLarge):
		return bad("The answer on port %d is broken HTTP/2: %s", a.port, inert(err.Error()))
	case err != nil:
		return a.unanswered(err, "an answer in gRPC")
	}
	a.farewell = func() { _ = http2.NewFramer(a.peer, nil).WriteGoAway(0, http2.ErrCodeNo, nil) }
	return a.judgeHealth(answer)
}

func (a *attempt) judgeHealth(answer grpcAnswer) outcome {
	code, err := strconv.Atoi(answer.status)
	reason := "status " + inert(answer.status)
	if answer.reason != "" {
		reason += ", " + quoted(answer.reason)
	}
	switch {
	case answer.reset != "":
		return bad("The server ended the call: %s", answer.reset)
	case answer.http != "200":
		return bad("HTTP %s where gRPC answers with 200", inert(answer.http))
	case !strings.HasPrefix(answer.content, "application/grpc"):
		return bad("The server speaks HTTP/2, but not gRPC: its answer is %s", quoted(answer.content))
	case err != nil:
		return bad("The answer has no gRPC status")
	case code == grpcUnknownCall:
		return outcome{what: "The server speaks gRPC, but has no health service: " + reason, more: "Register grpc.health.v1.Health there, or check that the port opens."}
	case code == grpcNotFound:
		return bad("The server does not know the service %s: %s", quoted(a.grpc.Service), reason)
	case code != grpcOK:
		return bad("The health service answers with an error: %s", reason)
	}
	return a.serving(answer.message)
}

// serving judges the message of a call that went well.
func (a *attempt) serving(message []byte) outcome {
	state, ok := parseHealth(message)
	names := []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}
	switch {
	case !ok:
		return bad("The health service's answer cannot be read: %s", quoted(string(message)))
	case state == healthServing:
		return good("SERVING in %s", brief(a.took()))
	case state < uint64(len(names)):
		return bad("The health service says %s", names[state])
	}
	return bad("The health service says %d, which means nothing", state)
}

// healthRequest is all that the check sends at first: the preface, settings, and the call.
func healthRequest(authority, service string) []byte {
	var fields, out bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for _, f := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", healthMethod},
		{":authority", authority},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
		{"user-agent", "Evenkeel-health-check"},
	} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // a bytes.Buffer takes everything
	}
	var request []byte
	if service != "" {
		request = binary.AppendUvarint([]byte{0x0a}, uint64(len(service)))
		request = append(request, service...)
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request)))
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxGRPCHead})
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: grpcStream, BlockFragment: fields.Bytes(), EndHeaders: true})
	_ = framer.WriteData(grpcStream, true, append(message, request...))
	return out.Bytes()
}

// readGRPC reads frames until the stream ends, and confirms settings and pings on out meanwhile. On errNotHTTP2 nothing was taken from in.
func readGRPC(out io.Writer, in *bufio.Reader) (grpcAnswer, error) {
	var answer grpcAnswer
	if head, err := in.Peek(frameHead); !settingsHead(head) {
		if len(head) == 0 || len(head) < frameHead && timedOut(err) {
			return answer, err
		}
		return answer, errNotHTTP2
	}
	framer := http2.NewFramer(out, in)
	framer.SetMaxReadFrameSize(maxFrame)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.MaxHeaderListSize = maxGRPCHead
	for range maxFrames {
		frame, err := framer.ReadFrame()
		if err != nil {
			return answer, err
		}
		if ended, err := answer.take(framer, frame); ended || err != nil {
			return answer, err
		}
	}
	answer.reset = fmt.Sprintf("more than %d frames and no end", maxFrames)
	return answer, nil
}

// settingsHead tells whether a connection begins with settings, as each server of HTTP/2 begins (RFC 9113, 3.4).
func settingsHead(head []byte) bool {
	return len(head) == frameHead && head[0] == 0 && head[3] == frameSettings && head[4]&1 == 0 && binary.BigEndian.Uint32(head[5:]) == 0
}

// take adds a frame, and tells whether it was the last one that matters.
func (g *grpcAnswer) take(framer *http2.Framer, frame http2.Frame) (ended bool, err error) {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		if f.LastStreamID < grpcStream {
			g.reset = "GOAWAY " + f.ErrCode.String() + " " + quoted(string(f.DebugData()))
			return true, nil
		}
	case *http2.RSTStreamFrame:
		if f.StreamID == grpcStream {
			g.reset = f.ErrCode.String()
			return true, nil
		}
	case *http2.MetaHeadersFrame:
		if f.StreamID == grpcStream {
			g.takeHead(f)
			return f.StreamEnded(), nil
		}
	case *http2.DataFrame:
		if f.StreamID != grpcStream {
			break
		}
		if g.message = append(g.message, f.Data()...); len(g.message) > maxGRPCMessage {
			g.reset = fmt.Sprintf("its answer is larger than %d KiB", maxGRPCMessage>>10)
			return true, nil
		}
		return f.StreamEnded(), nil
	}
	return false, err
}

// takeHead reads the fields of the head, of the trailers, or of both in one.
func (g *grpcAnswer) takeHead(f *http2.MetaHeadersFrame) {
	for _, field := range f.Fields {
		switch field.Name {
		case ":status":
			g.http = field.Value
		case "content-type":
			g.content = field.Value
		case "grpc-status":
			g.status = field.Value
		case "grpc-message":
			g.reason = field.Value
			if text, err := url.PathUnescape(field.Value); err == nil {
				g.reason = text
			}
		}
	}
}

// parseHealth reads the prefix and a HealthCheckResponse, whose field 1 is the state; a field that is absent is 0.
func parseHealth(message []byte) (state uint64, ok bool) {
	if len(message) < grpcPrefix || message[0] != 0 || uint64(binary.BigEndian.Uint32(message[1:])) != uint64(len(message)-grpcPrefix) {
		return 0, false
	}
	for b := message[grpcPrefix:]; len(b) > 0; {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		value, size := protoValue(b[n:], key&7)
		if size < 0 {
			return 0, false
		}
		if key == 1<<3 {
			state = value
		}
		b = b[n+size:]
	}
	return state, true
}

// protoValue returns a value of that wire type and its size, which is negative when there is none.
func protoValue(b []byte, wire uint64) (value uint64, size int) {
	switch wire {
	case 0:
		if value, size = binary.Uvarint(b); size > 0 {
			return value, size
		}
	case 1:
		size = 8
	case 2:
		length, n := binary.Uvarint(b)
		if n > 0 && length <= uint64(len(b)-n) {
			return 0, n + int(length)
		}
		return 0, -1
	case 5:
		size = 4
	}
	if size <= 0 || size > len(b) {
		return 0, -1
	}
	return 0, size
}
