package http1

import (
	"bytes"
	"slices"
	"strconv"

	"evenkeel/engine/compress"
	"evenkeel/engine/request"
)

// leastCompressed is the length from which on a body is worth compressing.
const leastCompressed = 1 << 10

// each calls f for each field line, with its name, its value and where it begins and ends.
func (h *head) each(b []byte, f func(name, value []byte, from, to int)) {
	for i := h.lines; i < h.end; {
		name := i + request.TokenLen(b[i:])
		next := i + bytes.IndexByte(b[i:], '\n') + 1
		f(b[i:name], request.Trim(b[name+1:next-2]), i, next)
		i = next
	}
}

// coding returns the content coding that may be made for the request; one for HEAD is that of the GET that it stands for. A part of a body is never coded: ranges
// count bytes of what the server holds.
func (h *requestHead) coding(b []byte) compress.Coding {
	if h.minor == 0 {
		return compress.Identity
	}
	wish, whole := compress.Identity, true
	h.each(b, func(name, value []byte, _, _ int) {
		switch {
		case request.Equal(name, "accept-encoding"):
			wish = max(wish, compress.Choose(value))
		case request.Equal(name, "range"):
			whole = false
		}
	})
	if !whole {
		return compress.Identity
	}
	return wish
}

// codable is what a response head says about the coding of its body.
type codable struct {
	text, coded, fixed, varies bool
	length, ranges, tag        cut
	etag                       []byte
}

func (h *responseHead) codable(b []byte) codable {
	var c codable
	h.each(b, func(name, value []byte, from, to int) {
		line := cut{from, to, request.Plain}
		switch {
		case request.Equal(name, "content-type"):
			c.text = compress.Compressible(value)
		case request.Equal(name, "content-encoding"):
			c.coded = !request.Equal(value, "identity")
		case request.Equal(name, "cache-control"):
			c.fixed = c.fixed || bytes.Contains(bytes.ToLower(value), []byte("no-transform"))
		case request.Equal(name, "content-range"), request.Equal(name, "content-md5"), request.Equal(name, "digest"), request.Equal(name, "content-digest"):
			c.fixed = true
		case request.Equal(name, "vary"):
			c.varies = c.varies || bytes.Contains(bytes.ToLower(value), []byte("accept-encoding")) || string(value) == "*"
		case request.Equal(name, "content-length"):
			c.length = line
		case request.Equal(name, "accept-ranges"):
			c.ranges = line
		case request.Equal(name, "etag"):
			c.tag, c.etag = line, value
		}
	})
	return c
}

// compress decides whether the body of the response is coded and changes the head for it (RFC 9110, 8.4 and 8.8.3): the length goes, a strong ETag becomes a weak
// one, ranges are not offered, and caches are told that the answer depends on the wish.
func (k *core) compress(b []byte, h *responseHead, empty bool) {
	x := k.x
	if !k.service.Config().HTTP.Compress || h.status != 200 && h.status != 203 && h.status != 404 {
		return
	}
	c := h.codable(b)
	if !c.text || c.coded || c.fixed {
		return
	}
	if !c.varies {
		h.added = append(h.added, "Vary: Accept-Encoding\r\n"...)
	}
	if empty || h.length >= 0 && h.length < leastCompressed {
		return
	}
	if x.encoder = k.pool.encoders.Get(x.coding); x.encoder == nil {
		return
	}
	h.added = append(append(append(h.added, "Content-Encoding: "...), x.coding.String()...), "\r\n"...)
	if len(c.etag) > 0 && c.etag[0] == '"' {
		h.added = append(append(append(h.added, "ETag: W/"...), c.etag...), "\r\n"...)
		h.cuts = append(h.cuts, c.tag)
	}
	for _, line := range []cut{c.length, c.ranges} {
		if line.to > 0 {
			h.cuts = append(h.cuts, line)
		}
	}
	slices.SortFunc(h.cuts, func(c, d cut) int { return c.from - d.from })
	h.cuts = slices.CompactFunc(h.cuts, func(c, d cut) bool { return c.from == d.from })
	x.downChunks.bare = true
}

// sendContent sends a head and what has come of a body.
func (k *core) sendContent(out, b []byte) {
	if k.x.encoder == nil {
		k.keep(b)
		k.sendBoth(out, b)
		return
	}
	k.sendDown(out)
	k.sendCoded(b)
}

// sendCoded codes a part of the body and sends what is ready as a chunk. Where the length is not known the client gets at once what the server gave.
func (k *core) sendCoded(b []byte) {
	if x := k.x; len(b) > 0 {
		k.pool.coded = x.encoder.Append(k.pool.coded[:0], b, x.down != downLength)
		k.keep(k.pool.coded)
		k.sendChunk(k.pool.coded, "")
	}
}

// endCoded sends the end of a coded body.
func (k *core) endCoded() {
	switch x := k.x; {
	case x.encoder != nil:
		k.pool.coded = x.encoder.End(k.pool.coded[:0])
		k.keep(k.pool.coded)
		k.sendChunk(k.pool.coded, "0\r\n\r\n")
	case x.reframed:
		k.sendChunk(nil, "0\r\n\r\n")
	}
}

func (k *core) sendChunk(b []byte, end string) {
	out := k.pool.loop.Scratch()
	if len(b) > 0 {
		out = strconv.AppendInt(out, int64(len(b)), 16)
		out = append(out, "\r\n"...)
		out = append(append(out, b...), "\r\n"...)
	}
	k.sendDown(append(out, end...))
}
