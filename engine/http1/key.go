package http1

import (
	"bytes"

	"evenkeel/appliance"
	"evenkeel/engine/request"
	"evenkeel/engine/wire"
)

// key returns what the service's scheduler chooses by, hashed; 0: the request does not have it. The path counts without its query; a header is looked for as the
// client sent it, and the first of several counts.
func (h *requestHead) key(b []byte, config *appliance.VirtualService) uint64 {
	if config.Scheduler == appliance.URIHash {
		path := h.path
		if i := bytes.IndexByte(path, '?'); i >= 0 {
			path = path[:i]
		}
		return wire.HashKey(path)
	}
	if value, found := h.value(b, config.HashHeader); found && len(value) > 0 {
		return wire.HashKey(value)
	}
	return 0
}

// value returns the first value of a field. It walks the lines again: for what few services ask.
func (h *requestHead) value(b []byte, name string) ([]byte, bool) {
	if h.absolute && sameName([]byte("host"), name) {
		return h.authority, true
	}
	for i := h.lines; i < h.end; {
		end := i + request.TokenLen(b[i:])
		next := i + bytes.IndexByte(b[i:], '\n') + 1
		if sameName(b[i:end], name) {
			return lineValue(b[i:next]), true
		}
		i = next
	}
	return nil, false
}

// sameName tells whether two names of fields are equal without regard to case.
func sameName(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		if c, d := b[i], name[i]; c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
