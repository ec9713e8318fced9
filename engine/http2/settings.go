package http2

import "encoding/binary"

// settings takes SETTINGS and acknowledges it (RFC 9113, 6.5).
func (c *conn) settings(f frame) {
	switch {
	case f.stream != 0:
		c.fail(protocolError, "a SETTINGS has a stream")
	case len(f.payload)%6 != 0 || f.has(flagAck) && len(f.payload) > 0:
		c.fail(frameSizeError, "a SETTINGS has a wrong size")
	case f.has(flagAck) || c.state.greeted && !c.charge(1, "there are too many SETTINGS"):
	default:
		for b := f.payload; len(b) > 0 && !c.state.over; b = b[6:] {
			c.setting(setting(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint32(b[2:]))
		}
		c.acknowledge()
	}
}

func (c *conn) acknowledge() {
	if c.state.over {
		return
	}
	first := !c.state.greeted
	c.state.greeted = true
	c.room()
	c.out = appendHead(c.out, 0, frameSettings, flagAck, 0)
	if first {
		for i := 0; i < len(c.streams) && !c.state.over; i++ {
			c.streams[i].greeted()
		}
	}
	c.pump()
}

func (c *conn) setting(name setting, value uint32) {
	switch name {
	case headerTableSize:
		c.state.dropTable = true
	case enablePush:
		if value > 1 || value == 1 && !c.role.answers() {
			c.fail(protocolError, "a setting has a value that is not allowed")
		}
	case maxConcurrentStreams:
		c.peerStreams = int(min(value, 1000))
	case initialWindowSize:
		if value > largestWindow {
			c.fail(flowControlError, "a window is larger than 2^31-1")
			return
		}
		c.resize(int64(value))
	case maxFrameSize:
		if value < frameLimit || value > 1<<24-1 {
			c.fail(protocolError, "a setting has a value that is not allowed")
		}
	case enableConnectProtocol:
		if value > 1 || c.state.webSocket && value == 0 {
			c.fail(protocolError, "a setting has a value that is not allowed")
		}
		c.state.webSocket = value == 1
	}
}

// resize changes the windows of all streams; they may become negative (RFC 9113, 6.9.2).
func (c *conn) resize(initial int64) {
	by := initial - c.peerInitial
	c.peerInitial = initial
	for _, s := range c.streams {
		if s.sendWindow += by; s.sendWindow > largestWindow {
			c.fail(flowControlError, "a window is larger than 2^31-1")
			return
		}
	}
}

// recent is the numbers of the streams to which something happened last: frames of theirs may still be on their way.
type recent struct {
	ids  [64]uint32
	next uint8
}

func (r *recent) add(id uint32) {
	r.ids[r.next%uint8(len(r.ids))] = id
	r.next++
}

func (r *recent) has(id uint32) bool {
	for _, known := range r.ids {
		if known == id {
			return true
		}
	}
	return false
}
