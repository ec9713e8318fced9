package traffic

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"evenkeel/engine/wire"
)

// MaxLine bounds a line: whatever a client sends, it takes no more.
const MaxLine = 10 << 10

// Entry is a record with what its loop and its service know of it.
type Entry struct {
	*wire.Record
	Stamp   []byte // of the end, as AppendStamp writes it
	Service string // label
	Name    []byte // the record's ID as text
}

// AppendStamp appends a time as a line begins with it: UTC, milliseconds.
func AppendStamp(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}

// AppendLine appends the line of an entry with its line feed: a time, then key=value, in the same order always. What a client sent is escaped, so that it can
// neither end the line, nor look like another field, nor steer a terminal.
func AppendLine(dst []byte, e *Entry) []byte {
	dst = append(dst, e.Stamp...)
	dst = append(append(dst, " id="...), e.Name...)
	dst = appendLabel(append(dst, " service="...), e.Service)
	dst = appendAddrPort(append(dst, " client="...), e.Client)
	dst = append(dst, " server="...)
	switch {
	case e.Kept:
		dst = append(dst, "cache"...)
	case e.Server == nil:
		dst = append(dst, '-')
	default:
		dst = appendLabel(dst, e.Server.Label)
		dst = appendAddrPort(append(dst, " address="...), e.Address)
	}
	if !e.Session {
		dst = appendRequest(dst, e.Record)
	}
	if e.Queued > 0 {
		dst = appendTime(append(dst, " queued="...), e.Queued)
	}
	dst = appendTime(append(dst, " connect="...), e.Took(e.Connected))
	dst = appendTime(append(dst, " first="...), e.Took(e.FirstByte))
	dst = appendTime(append(dst, " total="...), e.Took(e.Ended))
	dst = strconv.AppendUint(append(dst, " in="...), e.BytesIn, 10)
	dst = strconv.AppendUint(append(dst, " out="...), e.BytesOut, 10)
	if e.Server != nil {
		dst = append(append(dst, " by="...), reason(e.Reason)...)
	}
	if e.Tries > 0 {
		dst = strconv.AppendInt(append(dst, " retries="...), int64(e.Tries), 10)
	}
	dst = append(append(dst, " end="...), e.End.String()...)
	if e.Why != "" {
		dst = appendText(append(dst, " why="...), e.Why)
	}
	return append(dst, '\n')
}

func appendRequest(dst []byte, r *wire.Record) []byte {
	method, rest, _ := bytes.Cut(r.Line, []byte{0})
	host, path, _ := bytes.Cut(rest, []byte{0})
	path = bytes.TrimSuffix(path, []byte{0})
	dst = appendValue(append(dst, " method="...), method)
	dst = appendValue(append(dst, " host="...), host)
	dst = appendValue(append(dst, " path="...), path)
	if r.Cut {
		dst = append(dst, " cut=path"...)
	}
	dst = append(dst, " status="...)
	if r.Status == 0 {
		dst = append(dst, '-')
	} else {
		dst = strconv.AppendInt(dst, int64(r.Status), 10)
	}
	if r.Own {
		dst = append(dst, " answer=own"...)
	}
	return dst
}

// reason is the name of a choice's reason in the log.
func reason(r wire.Reason) string {
	switch r {
	case wire.ByScheduler:
		return "scheduler"
	case wire.ByPersistence:
		return "persistence"
	case wire.ByRule:
		return "rule"
	case wire.ByFallback:
		return "fallback"
	}
	return "other"
}

func appendAddrPort(dst []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(dst, '-')
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).AppendTo(dst)
}

// appendTime appends milliseconds with three places, or - for what never came.
func appendTime(dst []byte, d time.Duration) []byte {
	if d < 0 {
		return append(dst, '-')
	}
	dst = strconv.AppendInt(dst, int64(d/time.Millisecond), 10)
	rest := int(d % time.Millisecond / time.Microsecond)
	return append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

const hex = "0123456789abcdef"

// plain tells whether a byte stands in a value as it is, without quotes.
func plain(c byte) bool { return '!' <= c && c <= '~' && c != '"' && c != '\\' && c != '=' }

// appendValue appends what a stranger sent. A value of plain bytes, and = within it, stands as it is, an empty one is -; any other stands in quotes, with every
// byte that is not printable ASCII as \xNN.
func appendValue(dst, value []byte) []byte {
	if len(value) == 0 {
		return append(dst, '-')
	}
	simple := value[0] != '-' || len(value) > 1
	for _, c := range value {
		simple = simple && (plain(c) || c == '=')
	}
	if simple {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for _, c := range value {
		dst = appendByte(dst, c)
	}
	return append(dst, '"')
}

func appendByte(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c < ' ' || c > '~':
		return append(dst, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return append(dst, c)
}

// appendText appends one of the appliance's own sentences.
func appendText(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		dst = appendByte(dst, text[i])
	}
	return append(dst, '"')
}

// appendLabel appends a label, whose letters of any language stay readable; in quotes when there is a space in it.
func appendLabel(dst []byte, label string) []byte {
	quoted := label == "" || label == "-"
	for i := 0; i < len(label); i++ {
		quoted = quoted || !plain(label[i])
	}
	if !quoted {
		return append(dst, label...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(label); {
		r, n := utf8.DecodeRuneInString(label[i:])
		if n > 1 && (unicode.IsLetter(r) || unicode.IsNumber(r)) {
			dst = append(dst, label[i:i+n]...)
		} else {
			for ; n > 0; n-- {
				dst = appendByte(dst, label[i])
				i++
			}
			continue
		}
		i += n
	}
	return append(dst, '"')
}
