package http2

import "encoding/binary"

// frameType is the type of a frame (RFC 9113, 6).
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

// The flags of frames.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// errorCode says why a stream or a connection ends (RFC 9113, 7).
type errorCode uint32

const (
	noError errorCode = iota
	protocolError
	internalError
	flowControlError
	settingsTimeout
	streamClosed
	frameSizeError
	refusedStream
	cancelled
	compressionError
	connectError
	enhanceYourCalm
)

// setting is the identifier of a setting (RFC 9113, 6.5.2; RFC 8441, 3).
type setting uint16

const (
	headerTableSize setting = 1 + iota
	enablePush
	maxConcurrentStreams
	initialWindowSize
	maxFrameSize
	maxHeaderListSize
	enableConnectProtocol setting = 8
)

const (
	frameHead     = 9
	frameLimit    = 16384 // the largest payload that we take and send: every peer takes it (RFC 9113, 4.2)
	largestWindow = 1<<31 - 1
	firstWindow   = 65535 // of everything, until a peer says something else
)

// preface is what a client begins a connection with (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is one frame; payload points into what was received.
type frame struct {
	payload []byte
	stream  uint32
	kind    frameType
	flags   uint8
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// readHead reads a frame's head, which b must hold, and returns the length of its payload.
func readHead(b []byte) (f frame, length int) {
	length = int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	return frame{kind: frameType(b[3]), flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31)}, length
}

func appendHead(out []byte, length int, kind frameType, flags uint8, stream uint32) []byte {
	return append(out, byte(length>>16), byte(length>>8), byte(length), byte(kind), flags, byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendReset(out []byte, stream uint32, code errorCode) []byte {
	return binary.BigEndian.AppendUint32(appendHead(out, 4, frameReset, 0, stream), uint32(code))
}

func appendWindowUpdate(out []byte, stream uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(appendHead(out, 4, frameWindowUpdate, 0, stream), uint32(n))
}

func appendGoAway(out []byte, last uint32, code errorCode) []byte {
	out = binary.BigEndian.AppendUint32(appendHead(out, 8, frameGoAway, 0, 0), last)
	return binary.BigEndian.AppendUint32(out, uint32(code))
}

// option is one setting with its value.
type option struct {
	name  setting
	value uint32
}

func appendSettings(out []byte, list ...option) []byte {
	out = appendHead(out, 6*len(list), frameSettings, 0, 0)
	for _, s := range list {
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(out, uint16(s.name)), s.value)
	}
	return out
}

// unpad returns the payload of a DATA or HEADERS frame without its padding; false: the padding is longer than the frame.
func (f *frame) unpad() ([]byte, bool) {
	if !f.has(flagPadded) {
		return f.payload, true
	}
	if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
		return nil, false
	}
	return f.payload[1 : len(f.payload)-int(f.payload[0])], true
}

// appendBlock appends a header block as HEADERS and, when it is large, CONTINUATION frames.
func appendBlock(out, block []byte, stream uint32, end bool) []byte {
	kind, flags := frameHeaders, uint8(0)
	if end {
		flags = flagEndStream
	}
	for len(block) > frameLimit {
		out = append(appendHead(out, frameLimit, kind, flags, stream), block[:frameLimit]...)
		block, kind, flags = block[frameLimit:], frameContinuation, 0
	}
	return append(appendHead(out, len(block), kind, flags|flagEndHeaders, stream), block...)
}
