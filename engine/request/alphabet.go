package request

import "encoding/binary"

// The tables hold one digit for each byte value.
const (
	none32     = "00000000000000000000000000000000"
	tokenTable = none32 + // control bytes
		"0101111100110110" + "1111111111000000" + // ! to /, digits
		"0111111111111111" + "1111111111100011" + // upper case
		"1111111111111111" + "1111111111101010" + // lower case
		none32 + none32 + none32 + none32 // 8-bit bytes
	hostTable = none32 +
		"0000000000000110" + "1111111111000000" + // - . digits
		"0111111111111111" + "1111111111100001" + // upper case, _
		"0111111111111111" + "1111111111100010" + // lower case, ~
		none32 + none32 + none32 + none32
)

// TokenByte tells whether c may stand in a method or a field name (RFC 9110, 5.6.2).
func TokenByte(c byte) bool { return tokenTable[c] == '1' }

// Token tells whether b is a token: not empty, and nothing but token bytes.
func Token(b []byte) bool { return len(b) > 0 && TokenLen(b) == len(b) }

// TokenLen returns how many token bytes b begins with.
func TokenLen(b []byte) int {
	for i, c := range b {
		if tokenTable[c] != '1' {
			return i
		}
	}
	return len(b)
}

// ValueLen returns how many bytes b begins with that may stand in a field's value: visible, space, tab and 8-bit bytes, no control byte (RFC 9110, 5.5).
// Eight at a time are looked at.
func ValueLen(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for {
		for ; i+8 <= len(b); i += 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			del := w ^ 0x7f*ones
			if ((w-0x20*ones)&^w|(del-ones)&^del)&tops != 0 {
				break
			}
		}
		// One by one: the rest, or eight bytes of which one is suspicious.
		for end := min(i+8, len(b)); i < end; i++ {
			if c := b[i]; c < ' ' && c != '\t' || c == 0x7f {
				return i
			}
		}
		if i == len(b) {
			return i
		}
	}
}

// Value tells whether b may be the value of a field.
func Value(b []byte) bool { return ValueLen(b) == len(b) }

// Trim returns b without the spaces and tabs around it.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// Equal tells whether b is lower, without regard to case. lower has only lower-case letters, digits and hyphens, b only token bytes.
func Equal(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// SameFold tells whether a and b are equal without regard to the case of ASCII letters.
func SameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// ParseLength reads a Content-Length: digits only, no sign, no leading zero, at most 2^63-1.
func ParseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return int64(n), n < 1<<63
}
