package tlsterm

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"
)

// badRecord is the alert for a record that cannot be decrypted (RFC 8446, 6.2).
const badRecord tls.AlertError = 20

// Why words why a client's handshake came to nothing, and tells whether it was the client that gave it up: it left, or said so in an alert.
func Why(err error) (words string, byClient bool) {
	var alert *net.OpError
	switch {
	case errors.Is(err, errLeft), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		byClient = true
	case !errors.As(err, &alert):
	case alert.Op == "remote error":
		byClient = true
	case alert.Op == "local error" && alert.Err.Error() == badRecord.Error(): // OpenSSL sends its complaint in clear where TLS 1.3 wants it encrypted
		return "TLS: the client gave up without a reason that can be read; mostly it does not trust the certificate", true
	}
	return "TLS: " + strings.TrimPrefix(err.Error(), "tls: "), byClient
}
