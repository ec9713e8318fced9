// Package cache is a small shared cache of responses (RFC 9111): what may be kept, for how long, and for which requests it may be given again. It keeps only what
// a server explicitly allows, in memory, within a bound. One Store belongs to one service on one loop; it does no I/O and is not safe for concurrent use.
package cache

import (
	"bytes"
	"net/http"
	"time"

	"evenkeel/engine/request"
)

// Directives are what a Cache-Control says, as far as a shared cache must know it (RFC 9111, 5.2).
type Directives struct {
	NoStore, NoCache, Private, Public, Revalidate bool
	MaxAge, SharedAge                             time.Duration // -1: not said
}

// NewDirectives returns what is said by no field.
func NewDirectives() Directives { return Directives{MaxAge: -1, SharedAge: -1} }

// Read adds what one Cache-Control field says. What is malformed makes the answer one that is not kept.
func (d *Directives) Read(value []byte) {
	for len(value) > 0 {
		item := value
		if i := separator(value); i >= 0 {
			item, value = value[:i], value[i+1:]
		} else {
			value = nil
		}
		name, argument, _ := bytes.Cut(request.Trim(item), []byte("="))
		if len(name) == 0 {
			continue
		}
		switch {
		case !request.Token(name):
			d.NoStore = true
		case request.Equal(name, "no-store"):
			d.NoStore = true
		case request.Equal(name, "no-cache"):
			d.NoCache = true
		case request.Equal(name, "private"):
			d.Private = true
		case request.Equal(name, "public"):
			d.Public = true
		case request.Equal(name, "must-revalidate"), request.Equal(name, "proxy-revalidate"):
			d.Revalidate = true
		case request.Equal(name, "max-age"):
			d.MaxAge = seconds(argument, d.MaxAge)
		case request.Equal(name, "s-maxage"):
			d.SharedAge = seconds(argument, d.SharedAge)
		}
	}
}

// separator returns where the next comma outside of quotes stands, or -1.
func separator(b []byte) int {
	quoted := false
	for i, c := range b {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return i
		}
	}
	return -1
}

// longest is the longest time that is believed; more is a year as well.
const longest = 365 * 24 * time.Hour

// seconds reads a delta-seconds; what is none counts as 0, and of two the smaller counts.
func seconds(b []byte, before time.Duration) time.Duration {
	b = bytes.Trim(request.Trim(b), `"`)
	n := time.Duration(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			n = 0
			break
		}
		if n = n*10 + time.Duration(c-'0'); n > longest/time.Second {
			n = longest / time.Second
		}
	}
	if n *= time.Second; before >= 0 {
		return min(n, before)
	}
	return n
}

// Freshness returns for how long a response may be given again without asking the server, since it was made: what a shared cache is told first (RFC 9111, 4.2.1).
// Nothing is guessed: without an explicit lifetime it is 0. date and expires are the values of their fields, nil when absent.
func (d *Directives) Freshness(date, expires []byte) time.Duration {
	switch {
	case d.NoStore || d.NoCache || d.Private:
		return 0
	case d.SharedAge >= 0:
		return d.SharedAge
	case d.MaxAge >= 0:
		return d.MaxAge
	case expires == nil || date == nil:
		return 0
	}
	until, err := http.ParseTime(string(expires))
	from, wrong := http.ParseTime(string(date))
	if err != nil || wrong != nil {
		return 0
	}
	return min(max(until.Sub(from), 0), longest)
}

// Keepable tells whether responses of that status are kept at all: those whose meaning does not change by being repeated.
func Keepable(status int) bool {
	switch status {
	case 200, 203, 301, 308, 404, 410:
		return true
	}
	return false
}

// Unchanged tells whether the condition of a request is met by an entity tag, so that 304 is the answer (RFC 9110, 13.1.2: weak comparison).
func Unchanged(ifNoneMatch, etag []byte) bool {
	etag = bytes.TrimPrefix(etag, []byte("W/"))
	if len(etag) == 0 {
		return false
	}
	for len(ifNoneMatch) > 0 {
		item := ifNoneMatch
		if i := separator(ifNoneMatch); i >= 0 {
			item, ifNoneMatch = ifNoneMatch[:i], ifNoneMatch[i+1:]
		} else {
			ifNoneMatch = nil
		}
		item = request.Trim(item)
		if string(item) == "*" || bytes.Equal(bytes.TrimPrefix(item, []byte("W/")), etag) {
			return true
		}
	}
	return false
}
