package wire

// Secured is a Conn that runs over TLS.
type Secured interface {
	Conn
	// Secrecy returns what the handshake came to; never nil, never changed.
	Secrecy() *Secrecy
}

// Secrecy is what the handshake of one connection came to. Texts of the peer are as it sent them: hostile.
type Secrecy struct {
	ServerName string // that was asked for; empty: none
	Version    string // "1.2" or "1.3"
	Cipher     string // the suite's name
	Protocol   string // chosen by ALPN; empty: none
	Resumed    bool
	Subject    string // of the peer's certificate, as RFC 2253 writes it; empty: none was shown
}
