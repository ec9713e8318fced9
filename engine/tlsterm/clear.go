package tlsterm

import (
	"crypto/tls"
	"errors"
	"strconv"
)

// ErrClear is why a client is turned away that speaks HTTP in clear on a port of HTTPS. It got an answer that says so.
var ErrClear = errors.New("plain HTTP on a port that speaks HTTPS")

const clearSentence = "This port speaks HTTPS: write https:// in front of the address.\n"

// ClearAnswer is what such a client gets.
var ClearAnswer = []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + strconv.Itoa(len(clearSentence)) + "\r\nConnection: close\r\n\r\n" + clearSentence)

// spokeClear tells whether a handshake failed because its first bytes were those of a request in clear.
func spokeClear(err error) bool {
	var odd tls.RecordHeaderError
	if !errors.As(err, &odd) || odd.Conn == nil {
		return false
	}
	switch string(odd.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PROPF", "CONNE", "TRACE":
		return true
	}
	return false
}
