package tlsterm

import (
	"crypto/tls"
	"errors"
)

// ErrClear is why a client is turned away that speaks HTTP in clear where TLS is spoken. Whoever is told of it may still send a word of explanation on the connection below,
// which is closed behind it.
var ErrClear = errors.New("plain HTTP on a port that speaks TLS")

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
