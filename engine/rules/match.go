package rules

import (
	"bytes"

	"evenkeel/appliance"
	"evenkeel/engine/request"
)

// maxMatched is how much of a client's text an expression is run against; a request with more is refused: it must not pass a rule by being long.
const maxMatched = 4096

// line is a field line by offsets into Request.Fields.
type line struct{ name, nameEnd, value, valueEnd int32 }

// holds tells whether a condition holds.
func (e *Evaluator) holds(c *condition) bool { return e.found(c) != c.not }

func (e *Evaluator) found(c *condition) bool {
	r := e.request
	switch c.subject {
	case appliance.SubjectPath:
		return e.fits(c, e.decoded())
	case appliance.SubjectHost:
		return e.fits(c, r.host())
	case appliance.SubjectMethod:
		return e.fits(c, r.Method)
	case appliance.SubjectHeader:
		return e.header(c)
	case appliance.SubjectQuery:
		return e.query(c)
	case appliance.SubjectCookie:
		return e.cookie(c)
	case appliance.SubjectSource:
		for _, n := range c.networks {
			if n.Contains(r.Source.Unmap()) {
				return true
			}
		}
		return false
	case appliance.SubjectTLS:
		e.text = append(e.text[:0], r.TLSName...)
		return e.fits(c, e.text)
	}
	return false
}

// fits compares one text. A host or TLS name that is missing is not present.
func (e *Evaluator) fits(c *condition, text []byte) bool {
	switch c.operator {
	case appliance.OpPresent:
		return len(text) > 0
	case appliance.OpRegexp:
		if len(text) > maxMatched {
			e.tooLong = true
			return false
		}
		return c.re.Match(text)
	}
	for _, v := range c.values {
		if compare(c, text, v) {
			return true
		}
	}
	return false
}

func compare(c *condition, text, v []byte) bool {
	if len(text) < len(v) {
		return false
	}
	switch c.operator {
	case appliance.OpEqual:
		return len(text) == len(v) && same(c.fold, text, v)
	case appliance.OpBegins:
		return same(c.fold, text[:len(v)], v)
	case appliance.OpEnds:
		return same(c.fold, text[len(text)-len(v):], v)
	case appliance.OpContains:
		if !c.fold {
			return bytes.Contains(text, v)
		}
		for i := 0; i+len(v) <= len(text); i++ {
			if request.SameFold(text[i:i+len(v)], v) {
				return true
			}
		}
	}
	return false
}

func same(fold bool, a, b []byte) bool {
	if fold {
		return request.SameFold(a, b)
	}
	return bytes.Equal(a, b)
}

// decoded returns the path as the servers read it, made once for each request.
func (e *Evaluator) decoded() []byte {
	if len(e.path) == 0 {
		path, _ := e.request.split()
		e.path = decodePath(e.path, path)
		if len(e.path) == 0 {
			e.path = append(e.path, '/')
		}
	}
	return e.path
}

// lines returns the table of the field lines, made when the first rule asks.
func (e *Evaluator) lines() []line {
	if e.listed {
		return e.table
	}
	e.listed = true
	f := e.request.Fields
	for i := 0; i < len(f); {
		next := i + bytes.IndexByte(f[i:], '\n') + 1
		colon := i + bytes.IndexByte(f[i:], ':')
		if next <= i || colon < i || colon >= next {
			break // not from the scanner
		}
		from, to := colon+1, next
		for to > from && f[to-1] <= ' ' {
			to--
		}
		for from < to && f[from] <= ' ' {
			from++
		}
		e.table = append(e.table, line{int32(i), int32(colon), int32(from), int32(to)})
		i = next
	}
	return e.table
}

func (e *Evaluator) header(c *condition) bool {
	f := e.request.Fields
	for _, l := range e.lines() {
		if int(l.nameEnd-l.name) == len(c.name) && request.SameFold(f[l.name:l.nameEnd], c.name) && (c.operator == appliance.OpPresent || e.fits(c, f[l.value:l.valueEnd])) {
			return true
		}
	}
	return false
}

func (e *Evaluator) cookie(c *condition) bool {
	f := e.request.Fields
	for _, l := range e.lines() {
		if !request.Equal(f[l.name:l.nameEnd], "cookie") {
			continue
		}
		for rest := f[l.value:l.valueEnd]; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, semicolon)
			name, value, ok := bytes.Cut(request.Trim(pair), equals)
			if ok && bytes.Equal(name, c.name) && (c.operator == appliance.OpPresent || e.fits(c, value)) {
				return true
			}
		}
	}
	return false
}

var semicolon, equals, ampersand = []byte(";"), []byte("="), []byte("&") // never written to

func (e *Evaluator) query(c *condition) bool {
	_, rest := e.request.split()
	rest = bytes.TrimPrefix(rest, []byte("?"))
	if len(c.name) == 0 {
		return e.fits(c, rest)
	}
	for len(rest) > 0 {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, ampersand)
		name, value, _ := bytes.Cut(pair, equals)
		if e.text = decodeQuery(e.text[:0], name); !bytes.Equal(e.text, c.name) {
			continue
		}
		if c.operator == appliance.OpPresent {
			return true
		}
		if e.text = decodeQuery(e.text[:0], value); e.fits(c, e.text) {
			return true
		}
	}
	return false
}
