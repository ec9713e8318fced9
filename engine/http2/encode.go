package http2

import (
	"strconv"

	"evenkeel/engine/request"

	"golang.org/x/net/http2/hpack"
)

// Fields are encoded by the static table alone (RFC 7541, appendix A), so that encoding has no state, costs no memory of a connection, and a block may be made
// before its turn to be sent has come.

// staticNames gives the first index of each name of the static table.
var staticNames = staticTable()

// staticTable asks the decoder for its table.
func staticTable() map[string]byte {
	names := map[string]byte{}
	index := byte(0)
	d := hpack.NewDecoder(0, func(f hpack.HeaderField) {
		if _, known := names[f.Name]; !known {
			names[f.Name] = index
		}
	})
	for index = 1; index <= 61; index++ {
		if _, err := d.Write([]byte{0x80 | index}); err != nil {
			panic(err) // the table has 61 entries
		}
	}
	return names
}

// Indexes of whole entries of the static table.
const (
	indexMethodGet  = 2
	indexMethodPost = 3
	indexPathSlash  = 4
	indexHTTP       = 6
	indexHTTPS      = 7
	indexStatus200  = 8
)

// The names of pseudo-fields as indexes.
const (
	nameAuthority = 1
	nameMethod    = 2
	namePath      = 4
	nameStatus    = 8
)

const (
	literal      = 0x00 // without indexing, 4 bits of index
	literalNever = 0x10 // never indexed, on the way ahead too
)

// appendInteger appends an integer with a prefix of bits (RFC 7541, 5.1); first holds the bits before it.
func appendInteger(out []byte, first byte, bits uint, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(out, first|byte(n))
	}
	out = append(out, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

// appendText appends a string literal as it is: Huffman coding would save a quarter and cost more time than all the rest.
func appendText[T []byte | string](out []byte, s T) []byte {
	return append(appendInteger(out, 0, 7, len(s)), s...)
}

// appendNamed appends a field whose name has an index.
func appendNamed[T []byte | string](out []byte, name int, value T) []byte {
	return appendText(appendInteger(out, literal, 4, name), value)
}

func appendStatus(out []byte, status []byte) []byte {
	if string(status) == "200" {
		return append(out, 0x80|indexStatus200)
	}
	return appendNamed(out, nameStatus, status)
}

// appendField appends a field; the name is written in lower case. Secrets are marked so that nobody on the way indexes them (RFC 7541, 7.1.3).
func appendField(out, name, value []byte) []byte {
	var low [64]byte
	lower := appendLower(low[:0], name)
	kind := byte(literal)
	if request.Equal(lower, "authorization") || request.Equal(lower, "set-cookie") || request.Equal(lower, "cookie") {
		kind = literalNever
	}
	if i, known := staticNames[string(lower)]; known {
		return appendText(appendInteger(out, kind, 4, int(i)), value)
	}
	return appendText(appendText(append(out, kind), lower), value)
}

func appendLower(out, name []byte) []byte {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		out = append(out, c)
	}
	return out
}

func appendHex(out []byte, n int) []byte { return strconv.AppendInt(out, int64(n), 16) }
